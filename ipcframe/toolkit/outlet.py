"""Outlet: messages into a descriptor, by the rules of `framing`."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Sequence

from ..abc import Buffer
from ..errors import MessageTooLarge
from .framing import HEADER, MAGIC, SMALL, frame_header

__all__ = ["Job", "Outlet", "without"]

_IOV_MAX = 1024


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

    def __init__(self, fd: int, limit: int, atomic: int, owner: Callable[[], object]) -> None:
        self.fd = fd
        self._limit = limit
        self._at_once = min(atomic - HEADER.size, limit)
        self._owner = owner
        self.restart()

    def restart(self) -> None:
        """Forget what another process, whose memory this one has inherited, was sending."""
        self.lock = threading.RLock()
        self.pending: _Piece | None = None

    def frame(self, parts: Sequence[Buffer]) -> bytes | list[Buffer]:
        """The message with its header: one bytes object where it can be written in one atomic write."""
        if len(parts) == 1 and len(parts[0]) <= self._at_once:
            return HEADER.pack(MAGIC | len(parts[0])) + parts[0]
        size = sum(map(len, parts))
        if size <= self._at_once:
            return b"".join((frame_header(size), *parts))
        if size > self._limit:
            raise MessageTooLarge(
                f"{self._owner()!r}: a message of {size} bytes is above the limit of {self._limit}",
                "send it in parts",
            )
        if size <= SMALL:
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
        rest = without(piece.views, piece.landed[0])
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


def without(views: Iterable[Buffer], count: int) -> list[Buffer]:
    """The views without their first `count` bytes."""
    rest: list[Buffer] = []
    for view in views:
        if count >= len(view):
            count -= len(view)
            continue
        rest.append(memoryview(view)[count:] if count else view)
        count = 0
    return rest
