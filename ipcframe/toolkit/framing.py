"""Messages over a byte stream: how they are framed, and the rules that `Intake` and `Outlet` follow.

Both work on a non-blocking descriptor and never sleep; whoever calls waits. Both keep what is under way in
a *step*, and survive that a signal handler raises, or uses the same object, between any two of their
bytecodes. The rules that make it so:

I1  CPython runs signal handlers after a call of a C function, at the start of a Python function and on
    backward jumps, before the result of the call is stored: ``n = os.readv(…)`` loses n. So the result
    never passes through a variable: ``landed.extend(map(readv, …))`` appends it in C, in one call.
I2  A step is never changed but by that append. What follows from what has landed is a new step, computed
    aside and put in place by one store, and only if the old one is still there.
I3  Before a descriptor is touched, the step must still be the current one and nothing must have landed;
    no call stands between that test and the append. So of two nested users one reads, the other sees it.
I4  Threads exclude each other by a lock around each non-blocking move; nobody sleeps holding it. It is
    reentrant for the sake of signal handlers, whom I2 and I3 protect.
I5  A message is complete when its step says so, and taken by one store. No call stands between the test
    that the step is still the current one and that store, nor between the store and the return.

What stands before a message is a matter of `Framing`; there are two of them. Written as one gather write, a
frame of at most PIPE_BUF bytes is never split.
"""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod

__all__ = [
    "HEADER",
    "LENGTH_MASK",
    "MAGIC",
    "NATIVE",
    "RIGHTS",
    "SMALL",
    "STANDARD",
    "Framing",
    "frame_header",
]

HEADER = struct.Struct("<Q")
MAGIC = 0x1FC7 << 48
RIGHTS = 0x1FC8 << 48
"""The magic number of a message that brings a descriptor along; see `rights`."""
LENGTH_MASK = (1 << 48) - 1
SMALL = 64 * 1024
"""A message of at most so many bytes is read and written as one bytes object."""


def frame_header(size: int) -> bytes:
    """The 8 bytes that stand before a message of `size` bytes in our own framing."""
    return HEADER.pack(MAGIC | size)


class Framing(ABC):
    """How the length of a message stands before it.

    The header of a message of up to `SMALL` bytes is ``head.pack(base + size)``; others' begin with as many
    bytes. It has no state, and blocks nowhere.
    """

    head: struct.Struct
    base: int

    @abstractmethod
    def header(self, size: int) -> bytes:
        """What stands before a message of `size` bytes."""

    @abstractmethod
    def missing(self, begun: bytes) -> int:
        """How many bytes of the header are still to come after these, as far as they tell; 0 when none."""

    @abstractmethod
    def size(self, header: bytes) -> int | None:
        """The length in a whole header, whatever it is; None when it is no header."""


class _Native(Framing):
    """Our own: 8 bytes, little-endian, the magic number in the upper 16 bits, the length in the lower 48."""

    head = HEADER
    base = MAGIC

    def header(self, size: int) -> bytes:
        return frame_header(size)

    def missing(self, begun: bytes) -> int:
        return HEADER.size - len(begun)

    def size(self, header: bytes) -> int | None:
        (word,) = HEADER.unpack(header)
        return word & LENGTH_MASK if word & ~LENGTH_MASK == MAGIC else None


class _Standard(Framing):
    """The standard library's: 4 bytes, big-endian, signed; -1 for a length that follows in 8 bytes."""

    head = struct.Struct("!i")
    base = 0
    _long = struct.Struct("!iQ")
    _most = 0x7FFFFFFF

    def header(self, size: int) -> bytes:
        return self.head.pack(size) if size <= self._most else self._long.pack(-1, size)

    def missing(self, begun: bytes) -> int:
        whole = self._long if begun[:4] == b"\xff\xff\xff\xff" else self.head
        return whole.size - len(begun)

    def size(self, header: bytes) -> int | None:
        (size,) = self.head.unpack_from(header)
        if size == -1:
            return int(self._long.unpack(header)[1])
        return int(size) if size >= 0 else None


NATIVE = _Native()
"""Between processes of this library."""
STANDARD = _Standard()
"""With programs that may be using `multiprocessing`."""
