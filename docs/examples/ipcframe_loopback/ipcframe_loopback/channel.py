"""LoopbackChannel: a belt that holds so many packets at most."""

from __future__ import annotations

from ipcframe.abc import Channel
from ipcframe.deadline import Deadline
from ipcframe.errors import UnsupportedOperation

from .belt import Belt, Item
from .resident import ResidentEndpoint
from .waiters import Waiters

__all__ = ["CAPACITY", "PACKET_SIZE", "LoopbackChannel"]

PACKET_SIZE = 64 * 1024
CAPACITY = 64
_UNBOUNDED = float("inf")


class LoopbackChannel(ResidentEndpoint, Channel):
    """A channel within the process."""

    packet_size = PACKET_SIZE
    capacity = CAPACITY

    def __init__(self) -> None:
        self._belt = Belt()
        self._senders = Waiters()
        self._receivers = Waiters()

    def _send(self, packet: bytes, deadline: Deadline) -> bool:
        item = Item(bytes(packet), len(packet))

        def attempt() -> bool:
            self._check_open()
            return self._belt.append(item, CAPACITY, _UNBOUNDED)

        return self._senders.wait(attempt, deadline, wakes=self._receivers)

    def _receive(self, deadline: Deadline) -> bytes | None:
        taken: Item | None = None

        def attempt() -> bool:
            nonlocal taken
            self._check_open()
            taken = self._belt.take()
            return taken is not None

        try:
            self._receivers.wait(attempt, deadline, wakes=self._senders)
            return None if taken is None else taken.value
        except BaseException:
            if taken is not None:
                self._belt.give_back(taken)
                self._receivers.wake()
            raise

    def _backlog(self) -> int:
        return self._belt.size

    def _fileno(self) -> int:
        raise UnsupportedOperation(
            f"{self!r} has no descriptor: the backend 'loopback' declares fileno=False",
            "wait by receive, in a thread",
        )

    def _close(self) -> None:
        self._senders.wake()
        self._receivers.wake()

    def _describe(self) -> str:
        return f"{self._belt.count} packets"
