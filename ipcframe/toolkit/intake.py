"""Intake: messages out of a descriptor, by the rules of `framing`."""

from __future__ import annotations

import contextlib
import mmap
import threading
from collections.abc import Callable, Iterator
from typing import Any

from ..abc import Buffer
from ..errors import BrokenConnection, EndOfStream, MessageTooLarge, OtherKindOfMessage
from .descriptor import Descriptor
from .framing import NATIVE, SMALL, Framing

__all__ = ["Intake", "Plain", "Step", "room"]

_LARGE = 1024 * 1024


def room(size: int) -> memoryview:
    """Writable memory for a large message, which costs nothing until it is written to."""
    if size < _LARGE:
        return memoryview(bytearray(size))
    try:
        return memoryview(mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
    except (OSError, OverflowError) as error:
        raise MemoryError(f"no room for a message of {size} bytes") from error


class Plain(list[bytes]):
    """The step that most messages need, and its own list of what landed: the header, then a small body."""

    __slots__ = ()


class Step:
    """Any other step: what is to be read next and what of it has landed, or the message, or the end."""

    __slots__ = ("broken", "end", "filled", "got", "handle", "landed", "message", "size", "whole")

    def __init__(
        self,
        got: tuple[bytes, ...] = (),
        size: int | None = None,
        whole: memoryview | None = None,
        filled: int = 0,
        message: Buffer | None = None,
        handle: Any = None,
        end: str | None = None,
        broken: str | None = None,
    ) -> None:
        self.landed: list[Any] = []
        self.got = got  # of the header, or of a small body
        self.size = size  # of the body; None while the header is read
        self.whole = whole  # where a large body goes,
        self.filled = filled  # and how much of it is there
        self.message = message
        self.handle = handle  # what owns a descriptor that was sent; see `rights`
        self.end = end
        self.broken = broken


class Intake:
    """Takes messages out of a readable descriptor that does not block."""

    def __init__(
        self, fd: Descriptor | int, limit: int, owner: Callable[[], object], framing: Framing = NATIVE
    ) -> None:
        self._reach(Descriptor(fd) if isinstance(fd, int) else fd)
        self._framing = framing
        self._head = (framing.head.size,)
        self._unpack = framing.head.unpack
        self._base = framing.base
        self._limit = limit
        self._small = min(SMALL, limit)
        self._owner = owner
        self.restart()

    def _reach(self, descriptor: Descriptor) -> None:
        self.fd = descriptor.fd
        self._read = descriptor.read
        self._fill = descriptor.fill

    def restart(self) -> None:
        """Forget what another process, whose memory this one has inherited, had received in part."""
        self.lock = threading.RLock()
        self._step: Plain | Step = Plain()
        self._returned: tuple[Buffer, ...] = ()  # messages taken and given back

    @property
    def started(self) -> bool:
        """Whether part of a message has been received and not been taken."""
        step = self._step
        return bool(self._returned or (step if isinstance(step, Plain) else step.end is None))

    @property
    def answers_at_once(self) -> bool:
        """Whether the next message, or the end, is held here, where the descriptor does not show it."""
        with contextlib.suppress(BlockingIOError, EndOfStream), self.lock:
            if self._returned:
                return True
            step = self._step
            if isinstance(step, Plain):
                return bool(step) and self._move_plain(step, None) is not None
            if step.landed:
                self._settle(step, None)
        step = self._step
        if isinstance(step, Plain):
            return False
        return not (step.message is step.handle is step.end is step.broken is None)

    def next_message(self, limit: int | None) -> Buffer | None:
        """The next message, if it is here whole; it stays until `take`. Never blocks.

        Returns None after progress too: call again until BlockingIOError says that there is no more.
        """
        with self.lock:
            step = self._step
            message: Buffer | None
            if self._returned:
                message = self._returned[0]
            elif isinstance(step, Plain):
                message = self._move_plain(step, limit)
            else:
                self._move(step, limit)
                message = step.message
            if limit is not None and message is not None and len(message) > limit:
                self._refuse(step, len(message), limit)
                return None
        return message

    def take(self, message: Buffer) -> bool:
        """Take the message that `next_message` gave; True for one caller only (I5)."""
        fresh = Plain()
        step, returned = self._step, self._returned
        if returned:
            if returned[0] is message and self._returned is returned:
                self._returned = returned[1:]
                return True
            return False
        if isinstance(step, Plain):
            found: bool = bool(step[1:]) and step[1] is message
        else:
            found = step.message is message
        if found and self._step is step:
            self._step = fresh
            return True
        return False

    def give_back(self, message: Buffer) -> None:
        """Put a message that was taken back to the head."""
        while True:
            returned = self._returned
            longer = (message, *returned)
            if self._returned is returned:
                self._returned = longer
                return

    def end(self) -> None:
        """Note that the other side is gone, where the system says so by an error."""
        step = self._step
        self._step = Step(end=self._end_text(bool(step) if isinstance(step, Plain) else True))

    def close(self) -> None:
        """Read no more; called with the lock held."""
        self._reach(Descriptor(-1))
        self._step = Plain()
        self._returned = ()

    def _move_plain(self, step: Plain, limit: int | None) -> bytes | None:
        """Read a header and a small body, each in one piece; whatever else comes is a matter of `Step`."""
        if not step:
            reads = self._read(self._head)
            if self._step is step and not step:  # I3
                step.extend(reads)  # I1
            if not step:
                return None  # somebody else was here
        size = 0
        if len(step[0]) == self._head[0]:
            size = self._unpack(step[0])[0] - self._base
            if 0 < size <= self._small and (limit is None or size <= limit):
                reads = self._read((size,))
                if self._step is step and not step[1:]:  # I3
                    step.extend(reads)  # I1
        if not step[1:]:
            following = self._after_header(step, (step[0],), limit)
        elif len(step[1]) == size:
            return step[1]
        else:
            following = self._after_part((), step[1], size)
        if self._step is step:
            self._step = following  # I2
        return None

    def _move(self, step: Step, limit: int | None) -> None:
        if step.broken is not None:
            raise BrokenConnection(step.broken, "close it and connect anew")
        if step.end is not None:
            raise EndOfStream(step.end)
        if step.message is not None:
            return
        if step.handle is not None:
            raise OtherKindOfMessage(
                f"{self._owner()!r}: the next message is a descriptor", "receive it with recv_handle"
            )
        if not step.landed:
            reads = self._reads(step)
            if self._step is step and not step.landed:  # I3
                step.landed.extend(reads)  # I1
        if step.landed:
            self._settle(step, limit)

    def _reads(self, step: Step) -> Iterator[Any]:
        """The read that the step needs, not done before somebody iterates."""
        if step.whole is not None:
            return self._fill(([step.whole[step.filled :]],))
        return self._short_reads(step)

    def _short_reads(self, step: Step) -> Iterator[Any]:
        """The same, where it is not for a large body."""
        if step.size is None:
            return self._read((self._framing.missing(b"".join(step.got)),))
        return self._read((step.size - sum(map(len, step.got)),))

    def _settle(self, step: Step, limit: int | None) -> None:
        following = self._following(step, limit)
        if self._step is step:
            self._step = following  # I2

    def _following(self, step: Step, limit: int | None) -> Step | Plain:
        if step.whole is None:
            return self._after_short(step, limit)
        landed = step.landed[0]
        filled = step.filled + landed
        if not landed:
            return Step(end=self._end_text(True))
        if filled < len(step.whole):
            return Step(size=step.size, whole=step.whole, filled=filled)
        return Step(message=step.whole)

    def _after_short(self, step: Step, limit: int | None) -> Step | Plain:
        """What follows, where a large body was not what was read."""
        if step.size is None:
            return self._after_header(step, (*step.got, step.landed[0]), limit)
        return self._after_part(step.got, step.landed[0], step.size)

    def _after_header(self, step: Plain | Step, got: tuple[bytes, ...], limit: int | None) -> Step:
        header = b"".join(got)
        if not got[-1]:
            return Step(end=self._end_text(bool(header)))
        if self._framing.missing(header):
            return Step(got)
        size = self._framing.size(header)
        if size is None:
            return self._break(
                step, f"{self._owner()!r} received bytes that begin no message: {header.hex(' ')}"
            )
        too_large = self._too_large(step, size, limit)
        if too_large is not None:
            return too_large
        if size == 0:
            return Step(message=b"")
        if size <= SMALL:
            return Step(size=size)
        return Step(size=size, whole=room(size))

    def _too_large(self, step: Plain | Step, size: int, limit: int | None) -> Step | None:
        if size > self._limit:
            return self._break(
                step,
                f"{self._owner()!r} received the header of a message of {size} bytes; "
                f"its limit is {self._limit}",
            )
        if limit is not None and size > limit:
            return self._refuse(step, size, limit)
        return None

    def _after_part(self, got: tuple[bytes, ...], landed: bytes, size: int) -> Step:
        if not landed:
            return Step(end=self._end_text(True))
        parts = (*got, landed)
        if sum(map(len, parts)) < size:
            return Step(parts, size)
        return Step(message=b"".join(parts))

    def _end_text(self, within: bool) -> str:
        if within:
            return f"{self._owner()!r}: the other side vanished in the middle of a message, which is lost"
        return f"{self._owner()!r}: the other side is closed or has ended; everything it sent was received"

    def _break(self, step: Plain | Step, text: str) -> Step:
        broken = Step(broken=text)
        if self._step is step:
            self._step = broken
            raise BrokenConnection(
                text, "whatever else writes to this transport must not; close it and connect anew"
            )
        return broken

    def _refuse(self, step: Plain | Step, size: int, limit: int) -> Step:
        text = f"{self._owner()!r} refused a message of {size} bytes, above the maxlength of {limit}"
        broken = Step(broken=text)
        if self._step is step:
            self._step, self._returned = broken, ()
            raise MessageTooLarge(
                text, "receive with a larger maxlength, or none; this end cannot receive more"
            )
        return broken
