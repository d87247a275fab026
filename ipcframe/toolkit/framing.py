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

A frame is 8 bytes, little-endian, the magic number in its upper 16 bits and the length in the lower 48,
and then the message. Written as one gather write, a frame of at most PIPE_BUF bytes is never split.
"""

from __future__ import annotations

import struct

__all__ = ["HEADER", "LENGTH_MASK", "MAGIC", "SMALL", "frame_header"]

HEADER = struct.Struct("<Q")
MAGIC = 0x1FC7 << 48
LENGTH_MASK = (1 << 48) - 1
SMALL = 64 * 1024
"""A message of at most so many bytes is read and written as one bytes object."""


def frame_header(size: int) -> bytes:
    """The 8 bytes that stand before a message of `size` bytes."""
    return HEADER.pack(MAGIC | size)
