"""Channel: packets from any process to any process, the ground on which queues are built."""

from __future__ import annotations

from abc import abstractmethod

from ..deadline import Deadline, deadline_after
from ..errors import MessageTooLarge, TimedOut
from .endpoint import Endpoint

__all__ = ["Channel"]


class Channel(Endpoint):
    """An any-to-any conveyor of packets: each is taken whole, by exactly one receiver.

    A packet is permit and message in one: a receiver that is killed takes along at most the packet that
    it was taking, and a sender's packet is there whole or not at all. Packets of one sender keep their
    order. Every process that holds the channel may send and receive, so it has no end of stream.
    """

    @property
    @abstractmethod
    def packet_size(self) -> int:
        """The largest packet, in bytes."""

    @property
    @abstractmethod
    def capacity(self) -> int:
        """How many packets it holds at once, at most; the number that it takes at times may be smaller."""

    def backlog(self) -> int:
        """The sizes of all packets that wait in the channel, added up; 0 if and only if none does."""
        self._check_open()
        return self._backlog()

    def send(self, packet: bytes, *, timeout: float | None = None) -> None:
        """Put a packet of 1 to `packet_size` bytes in; waits while the channel is full.

        Raises `TimedOut`, `MessageTooLarge`, `ClosedError`, and ValueError for an empty packet.
        """
        self._check_open()
        if not packet:
            raise ValueError("an empty packet cannot be told from none")
        if len(packet) > self.packet_size:
            raise MessageTooLarge(
                f"a packet of {len(packet)} bytes for {self!r}, which takes {self.packet_size}",
                "send large data by another way and its description as the packet",
            )
        if not self._send(packet, deadline_after(timeout)):
            raise TimedOut(f"send on {self!r}: still full after {timeout} s")

    def receive(self, *, timeout: float | None = None) -> bytes:
        """Take the next packet; raises `TimedOut` or `ClosedError`."""
        self._check_open()
        packet = self._receive(deadline_after(timeout))
        if packet is None:
            raise TimedOut(f"receive on {self!r}: still empty after {timeout} s")
        return packet

    def fileno(self) -> int:
        """A descriptor that is readable when a packet can be taken."""
        self._check_open()
        return self._fileno()

    @abstractmethod
    def _send(self, packet: bytes, deadline: Deadline) -> bool:
        """Put one packet in; False when the deadline passed first.

        Blocks: while the channel is full, until the deadline.
        Threads: any number at once, signal handlers included.
        Buffers: the packet is copied.
        Raises: `ClosedError`.
        Interrupted: the packet is in, whole, or it is not.
        Peer death: makes no difference: nobody in particular is awaited.
        After fork: works in the child.
        """

    @abstractmethod
    def _receive(self, deadline: Deadline) -> bytes | None:
        """Take the next packet; None when the deadline passed first.

        Blocks: until there is a packet, or the deadline.
        Threads: any number at once, signal handlers included; each packet goes to one of them.
        Buffers: the packet is the caller's.
        Raises: `ClosedError`.
        Interrupted: a packet that was being taken comes with the next call in this process.
        Peer death: a receiver that is killed takes along at most the packet that it was taking.
        After fork: works in the child; a packet that the parent was taking stays the parent's.
        """

    @abstractmethod
    def _backlog(self) -> int:
        """The sizes of all packets in the channel, added up: those sent and not yet taken by anybody.

        Blocks: never.
        Threads: any number at once.
        Buffers: none.
        Raises: `ClosedError`.
        Interrupted: changes nothing.
        Peer death: what a dead receiver had taken is not counted, what a dead sender had sent is.
        After fork: the same in every process.
        """

    @abstractmethod
    def _fileno(self) -> int:
        """The descriptor to wait on.

        Blocks: never.
        Threads: any number at once.
        Buffers: none; the descriptor stays the channel's.
        Raises: `UnsupportedOperation` where `Capabilities.fileno` is False.
        Interrupted: changes nothing.
        Peer death: makes no difference.
        After fork: each process has its own.
        """

    def _holds_packet(self) -> bool:
        """Whether an interrupted receive has left a packet here, where `fileno` does not show it."""
        return False
