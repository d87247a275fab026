"""LoopbackConnection: two ends, and a belt for each direction."""

from __future__ import annotations

from collections.abc import Sequence

from ipcframe.abc import Buffer, Connection
from ipcframe.deadline import Deadline
from ipcframe.errors import BrokenConnection, EndOfStream, MessageTooLarge, PeerGone, UnsupportedOperation
from ipcframe.toolkit.serialisation import PICKLE

from .belt import Belt, Item
from .resident import ResidentEndpoint
from .waiters import Waiters

__all__ = ["LoopbackConnection", "connect"]

_UNBOUNDED = float("inf")


class Stream:
    """One direction of a connection."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.belt = Belt()
        self.senders = Waiters()
        self.receivers = Waiters()
        self.sender_gone = False
        self.receiver_gone = False

    def wake(self) -> None:
        """Have everybody look again: an end was closed."""
        self.senders.wake()
        self.receivers.wake()


class LoopbackConnection(ResidentEndpoint, Connection):
    """One end of a connection within the process."""

    def __init__(self, incoming: Stream | None, outgoing: Stream | None) -> None:
        super().__init__(serializer=PICKLE, readable=incoming is not None, writable=outgoing is not None)
        # The direction that there is not is closed at both of its ends, and never asked.
        self._incoming = incoming or Stream(0)
        self._outgoing = outgoing or Stream(0)
        self._refused = ""

    def _send(self, parts: Sequence[Buffer], deadline: Deadline) -> bool:
        message = b"".join(parts)  # the parts may change when this has returned
        stream = self._outgoing
        item = Item(message, len(message) + 1)  # an empty message takes room too

        def attempt() -> bool:
            self._check_open()
            if stream.receiver_gone:
                raise PeerGone(f"{self!r}: the other end is closed", "nobody can receive what is sent")
            return stream.belt.append(item, _UNBOUNDED, stream.room)

        return stream.senders.wait(attempt, deadline, wakes=stream.receivers)

    def _peek(self, deadline: Deadline, limit: int | None) -> bytes | None:
        stream = self._incoming
        found: Item | None = None

        def attempt() -> bool:
            nonlocal found
            self._check_receivable()
            found = stream.belt.lift()
            return found is not None or self._check_not_ended()

        stream.receivers.wait(attempt, deadline, wakes=stream.senders)
        if found is None:
            return None
        if limit is not None and len(found.value) > limit:
            self._refused = f"a message of {len(found.value)} bytes, above the maxlength of {limit}"
            raise MessageTooLarge(
                f"{self!r} refused {self._refused}",
                "receive with a larger maxlength, or none; this end cannot receive more",
            )
        return found.value

    def _take(self, message: Buffer) -> bool:
        return self._incoming.belt.take(message) is not None  # type: ignore[arg-type]

    def _give_back(self, message: Buffer) -> None:
        self._incoming.belt.give_back(Item(bytes(message), 0))
        self._incoming.receivers.wake()

    def _poll(self, deadline: Deadline) -> bool:
        stream = self._incoming

        def attempt() -> bool:
            self._check_open()
            return stream.belt.first is not None or stream.sender_gone

        return stream.receivers.wait(attempt, deadline)

    def _holds_message(self) -> bool:
        return self._incoming.belt.first is not None or self._incoming.sender_gone

    def _check_receivable(self) -> None:
        self._check_open()
        if self._refused:
            raise BrokenConnection(f"{self!r} has refused {self._refused}", "make a new connection")

    def _check_not_ended(self) -> bool:
        if self._incoming.sender_gone and self._incoming.belt.first is None:
            raise EndOfStream(f"{self!r}: the other end is closed, and everything that it sent was received")
        return False

    def _fileno(self) -> int:
        raise UnsupportedOperation(
            f"{self!r} has no descriptor: the backend 'loopback' declares fileno=False",
            "wait by recv or poll, in a thread",
        )

    def _close(self) -> None:
        self._incoming.receiver_gone = self._outgoing.sender_gone = True
        self._incoming.wake()
        self._outgoing.wake()

    def __del__(self) -> None:
        if self._closed_by is None and hasattr(self, "_refused"):
            self._closed_by = "the garbage collector"
            self._close()


def connect(duplex: bool, room: int) -> tuple[LoopbackConnection, LoopbackConnection]:
    """Two ends; not duplex, the first only receives and the second only sends."""
    there = Stream(room)
    back = Stream(room) if duplex else None
    return LoopbackConnection(there, back), LoopbackConnection(back, there)
