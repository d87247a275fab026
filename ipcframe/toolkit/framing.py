"""Messages over a byte stream: `Intake` takes them out of a descriptor, `Outlet` puts them into one.

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

import contextlib
import mmap
import os
import struct
import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ..abc import Buffer
from ..errors import BrokenConnection, EndOfStream, MessageTooLarge

__all__ = ["HEADER", "Intake", "Job", "Outlet", "frame_header", "physical_memory"]

HEADER = struct.Struct("<Q")
_MAGIC = 0x1FC7 << 48
_LENGTH_MASK = (1 << 48) - 1
_SMALL = 64 * 1024
_LARGE = 1024 * 1024
_IOV_MAX = 1024


def physical_memory() -> int:
    """The machine's memory in bytes: no message can be larger."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def frame_header(size: int) -> bytes:
    """The 8 bytes that stand before a message of `size` bytes."""
    return HEADER.pack(_MAGIC | size)


def _room(size: int) -> memoryview:
    """Writable memory for a large message, which costs nothing until it is written to."""
    if size < _LARGE:
        return memoryview(bytearray(size))
    try:
        return memoryview(mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
    except (OSError, OverflowError) as error:
        raise MemoryError(f"no room for a message of {size} bytes") from error


class _Plain(list[bytes]):
    """The step that most messages need, and its own list of what landed: the header, then a small body."""

    __slots__ = ()


class _Step:
    """Any other step: what is to be read next and what of it has landed, or the message, or the end."""

    __slots__ = ("broken", "end", "filled", "got", "landed", "message", "size", "whole")

    def __init__(
        self,
        got: tuple[bytes, ...] = (),
        size: int | None = None,
        whole: memoryview | None = None,
        filled: int = 0,
        message: Buffer | None = None,
        end: str | None = None,
        broken: str | None = None,
    ) -> None:
        self.landed: list[Any] = []
        self.got = got  # of the header, or of a small body
        self.size = size  # of the body; None while the header is read
        self.whole = whole  # where a large body goes,
        self.filled = filled  # and how much of it is there
        self.message = message
        self.end = end
        self.broken = broken

    def reads(self, fds: tuple[int]) -> Iterator[Any]:
        """The read that this step needs, not done before somebody iterates."""
        if self.whole is not None:
            return map(os.readv, fds, ((self.whole[self.filled :],),))
        wanted = HEADER.size if self.size is None else self.size
        return map(os.read, fds, (wanted - sum(map(len, self.got)),))


class Intake:
    """Takes messages out of a readable, non-blocking descriptor."""

    def __init__(self, fd: int, limit: int, owner: str) -> None:
        self.fd = fd
        self._limit = limit
        self._owner = owner
        self.restart()

    def restart(self) -> None:
        """Forget what another process, whose memory this one has inherited, had received in part."""
        self.lock = threading.RLock()
        self._step: _Plain | _Step = _Plain()

    @property
    def started(self) -> bool:
        """Whether part of a message has been received and not been taken."""
        step = self._step
        return bool(step) if isinstance(step, _Plain) else step.end is None

    @property
    def answers_at_once(self) -> bool:
        """Whether the next message, or the end, is held here, where the descriptor does not show it."""
        with contextlib.suppress(BlockingIOError, EndOfStream), self.lock:
            step = self._step
            if isinstance(step, _Plain):
                return bool(step) and self._move_plain(step, None) is not None
            if step.landed:
                self._settle(step, None)
        step = self._step
        return isinstance(step, _Step) and (step.message or step.end or step.broken) is not None

    def next_message(self, limit: int | None) -> Buffer | None:
        """The next message, if it is here whole; it stays until `take`. Never blocks.

        Returns None after progress too: call again until BlockingIOError says that there is no more.
        """
        step = self._step
        if isinstance(step, _Plain):
            with self.lock:
                message: Buffer | None = self._move_plain(step, limit)
        else:
            with self.lock:
                self._move(step, limit)
            message = step.message
        if limit is not None and message is not None and len(message) > limit:
            self._refuse(len(message), limit)
        return message

    def take(self, message: Buffer) -> bool:
        """Take the message that `next_message` gave; True for one caller only (I5)."""
        fresh = _Plain()
        step = self._step
        if isinstance(step, _Plain):
            found: bool = bool(step[1:]) and step[1] is message
        else:
            found = step.message is message
        if found and self._step is step:
            self._step = fresh
            return True
        return False

    def end(self) -> None:
        """Note that the other side is gone, where the system says so by an error."""
        step = self._step
        self._step = _Step(end=self._end_text(bool(step) if isinstance(step, _Plain) else True))

    def close(self) -> None:
        """Read no more; called with the lock held."""
        self.fd = -1
        self._step = _Plain()

    def _move_plain(self, step: _Plain, limit: int | None) -> bytes | None:
        """Read a header and a small body, each in one piece; whatever else comes is a matter of `_Step`."""
        if not step:
            reads = map(os.read, (self.fd,), (HEADER.size,))
            if self._step is step and not step:  # I3
                step.extend(reads)  # I1
        size = 0
        if len(step[0]) == HEADER.size:
            size = HEADER.unpack(step[0])[0] - _MAGIC
            if 0 < size <= _SMALL and (limit is None or size <= limit):
                reads = map(os.read, (self.fd,), (size,))
                if self._step is step and not step[1:]:  # I3
                    step.extend(reads)  # I1
        if not step[1:]:
            following = self._after_header((step[0],), limit)
        elif len(step[1]) == size:
            return step[1]
        else:
            following = self._after_part((), step[1], size)
        if self._step is step:
            self._step = following  # I2
        return None

    def _move(self, step: _Step, limit: int | None) -> None:
        if step.broken is not None:
            raise BrokenConnection(step.broken, "close it and connect anew")
        if step.end is not None:
            raise EndOfStream(step.end)
        if step.message is not None:
            return
        if not step.landed:
            reads = step.reads((self.fd,))
            if self._step is step and not step.landed:  # I3
                step.landed.extend(reads)  # I1
        if step.landed:
            self._settle(step, limit)

    def _settle(self, step: _Step, limit: int | None) -> None:
        following = self._following(step, limit)
        if self._step is step:
            self._step = following  # I2

    def _following(self, step: _Step, limit: int | None) -> _Step:
        landed = step.landed[0]
        if step.size is None:
            return self._after_header((*step.got, landed), limit)
        if step.whole is None:
            return self._after_part(step.got, landed, step.size)
        filled = step.filled + landed
        if not landed:
            return _Step(end=self._end_text(True))
        if filled < len(step.whole):
            return _Step(size=step.size, whole=step.whole, filled=filled)
        return _Step(message=step.whole)

    def _after_header(self, got: tuple[bytes, ...], limit: int | None) -> _Step:
        header = b"".join(got)
        if not got[-1]:
            return _Step(end=self._end_text(bool(header)))
        if len(header) < HEADER.size:
            return _Step(got)
        (word,) = HEADER.unpack(header)
        size = word & _LENGTH_MASK
        if word & ~_LENGTH_MASK != _MAGIC:
            self._break(f"{self._owner} received bytes that begin no message: {header.hex(' ')}")
        if size > self._limit:
            self._break(
                f"{self._owner} received the header of a message of {size} bytes; its limit is {self._limit}"
            )
        if limit is not None and size > limit:
            self._refuse(size, limit)
        if size == 0:
            return _Step(message=b"")
        if size <= _SMALL:
            return _Step(size=size)
        return _Step(size=size, whole=_room(size))

    def _after_part(self, got: tuple[bytes, ...], landed: bytes, size: int) -> _Step:
        if not landed:
            return _Step(end=self._end_text(True))
        parts = (*got, landed)
        if sum(map(len, parts)) < size:
            return _Step(parts, size)
        return _Step(message=b"".join(parts))

    def _end_text(self, within: bool) -> str:
        if within:
            return f"{self._owner}: the other side vanished in the middle of a message, which is lost"
        return f"{self._owner}: the other side is closed or has ended, and everything it sent was received"

    def _break(self, text: str) -> None:
        self._step = _Step(broken=text)
        raise BrokenConnection(
            text, "whatever else writes to this transport must not; close it and connect anew"
        )

    def _refuse(self, size: int, limit: int) -> None:
        text = f"{self._owner} refused a message of {size} bytes, above the maxlength of {limit}"
        self._step = _Step(broken=text)
        raise MessageTooLarge(text, "receive with a larger maxlength, or none; this end cannot receive more")


class Job:
    """One message on its way out."""

    __slots__ = ("__weakref__",)


class _Piece:
    """What is left of a message to be written, and what of it has landed."""

    __slots__ = ("begun", "job", "landed", "views")

    def __init__(self, job: Job, views: Sequence[Buffer], begun: bool) -> None:
        self.landed: list[int] = []
        self.job = job
        self.views = views
        self.begun = begun


class Outlet:
    """Puts messages into a writable, non-blocking descriptor."""

    def __init__(self, fd: int, limit: int, atomic: int, owner: str) -> None:
        self.fd = fd
        self._limit = limit
        self._atomic = atomic
        self._owner = owner
        self.restart()

    def restart(self) -> None:
        """Forget what another process, whose memory this one has inherited, was sending."""
        self.lock = threading.RLock()
        self.pending: _Piece | None = None

    def frame(self, parts: Sequence[Buffer]) -> bytes | list[Buffer]:
        """The message with its header: one bytes object where it can be written in one atomic write."""
        if len(parts) == 1 and len(parts[0]) + HEADER.size <= self._atomic:
            return HEADER.pack(_MAGIC | len(parts[0])) + parts[0]
        size = sum(map(len, parts))
        if size + HEADER.size <= self._atomic:
            return b"".join((frame_header(size), *parts))
        if size > self._limit:
            raise MessageTooLarge(
                f"{self._owner}: a message of {size} bytes is above the limit of {self._limit}",
                "send it in parts",
            )
        if size <= _SMALL:
            return [b"".join((frame_header(size), *parts))]
        return [frame_header(size), *filter(len, parts)]

    def write_atomic(self, frame: bytes) -> bool:
        """Write a frame that fits the atomic size; False after progress with an earlier message instead."""
        with self.lock:
            if self.pending is None:
                os.write(self.fd, frame)
                return True
            self.push()
            return False

    def begin(self, views: Sequence[Buffer], job: Job) -> bool:
        """Make the message the current one; False after progress with an earlier message instead."""
        first = _Piece(job, views, False)
        with self.lock:
            if self.pending is None:
                self.pending = first
                return True
            self.push()
            return False

    def busy_with(self, job: Job) -> bool:
        """Whether part of this message is still to be written."""
        piece = self.pending
        return piece is not None and piece.job is job

    def push(self) -> None:
        """Write some of the current message. Never blocks; BlockingIOError when nothing can be written."""
        with self.lock:
            piece = self.pending
            if piece is None:
                return
            if not piece.landed:
                writes = map(os.writev, (self.fd,), (piece.views[:_IOV_MAX],))
                if self.pending is piece and not piece.landed:  # I3
                    piece.landed.extend(writes)  # I1
            if piece.landed:
                self._settle(piece)

    def _settle(self, piece: _Piece) -> None:
        rest = _without(piece.views, piece.landed[0])
        following = _Piece(piece.job, rest, True) if rest else None
        if self.pending is piece:
            self.pending = following  # I2

    def abandon(self, job: Job) -> bool:
        """The sender gives up. True when the message will go out all the same, because part of it has.

        What is left of it is copied then: the caller's buffers may change from now on.
        """
        with self.lock:
            while True:
                piece = self.pending
                if piece is None or piece.job is not job:
                    return False
                if piece.landed:
                    self._settle(piece)
                    continue
                copies = _Piece(job, [bytes(view) for view in piece.views], True) if piece.begun else None
                if self.pending is piece and not piece.landed:
                    self.pending = copies
                    return copies is not None

    def drop(self) -> None:
        """Forget the current message: nobody will receive it."""
        self.pending = None

    def close(self) -> None:
        """Write no more; called with the lock held."""
        self.fd = -1
        self.pending = None


def _without(views: Iterable[Buffer], count: int) -> list[Buffer]:
    """The views without their first `count` bytes."""
    rest: list[Buffer] = []
    for view in views:
        if count >= len(view):
            count -= len(view)
            continue
        rest.append(memoryview(view)[count:] if count else view)
        count = 0
    return rest
