"""Outlet: messages into a descriptor, by the rules of `framing`."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence

from ..abc import Buffer
from ..errors import MessageTooLarge
from .descriptor import Descriptor
from .framing import NATIVE, SMALL, Framing

__all__ = ["Outlet", "Piece", "piece_of", "without"]

_IOV_MAX = 1024


class Piece(list[int]):
    """What is left of a message to be written and, as the list that it is, what of that has landed."""

    __slots__ = ("begun", "message", "views")

    message: Sequence[Buffer]
    """What `Outlet.frame` gave: this very object."""
    views: Sequence[Buffer]
    begun: bool


def piece_of(message: Sequence[Buffer], views: Sequence[Buffer], begun: bool) -> Piece:
    """The piece that consists of these views of the message."""
    piece = Piece()
    piece.message = message
    piece.views = views
    piece.begun = begun
    return piece


class Outlet:
    """Puts messages into a writable descriptor that does not block."""

    def __init__(
        self,
        fd: Descriptor | int,
        limit: int,
        atomic: int,
        owner: Callable[[], object],
        framing: Framing = NATIVE,
    ) -> None:
        self._reach(Descriptor(fd) if isinstance(fd, int) else fd)
        self._framing = framing
        self._pack = framing.head.pack
        self._base = framing.base
        self._limit = limit
        self._small = min(SMALL, limit)
        self._at_once = min(atomic - framing.head.size, limit)
        self._owner = owner
        self.restart()

    def _reach(self, descriptor: Descriptor) -> None:
        self.fd = descriptor.fd
        self._write = descriptor.write
        self._gather = descriptor.gather

    def write(self, frame: bytes) -> Iterator[int]:
        """A write that is not done before somebody iterates, for who keeps count; no message is under way."""
        return self._write((frame,))

    def restart(self) -> None:
        """Forget what another process, whose memory this one has inherited, was sending."""
        self.lock = threading.RLock()
        self.pending: Piece | None = None

    def frame(self, parts: Sequence[Buffer]) -> bytes | list[Buffer]:
        """The message with its header: one bytes object where it can be written in one atomic write."""
        if len(parts) == 1 and len(parts[0]) <= self._at_once:
            return self._pack(self._base + len(parts[0])) + parts[0]
        if len(parts) == 1 and len(parts[0]) <= self._small:
            return [self._pack(self._base + len(parts[0])) + parts[0]]
        size = sum(map(len, parts))
        if size <= self._at_once:
            return b"".join((self._framing.header(size), *parts))
        if size > self._limit:
            raise MessageTooLarge(
                f"{self._owner()!r}: a message of {size} bytes is above the limit of {self._limit}",
                "send it in parts",
            )
        if size <= SMALL:
            return [b"".join((self._framing.header(size), *parts))]
        return self._large(size, parts)

    def _large(self, size: int, parts: Sequence[Buffer]) -> list[Buffer]:
        """A message of more than `SMALL` bytes, with its header."""
        return [self._framing.header(size), *filter(len, parts)]

    def write_atomic(self, frame: bytes) -> bool:
        """Write a frame that fits the atomic size; False after progress with an earlier message instead."""
        with self.lock:
            if self.pending is None:
                os.write(self.fd, frame)
                return True
            self.push()
            return False

    def begin(self, message: Sequence[Buffer]) -> bool:
        """Make the message the current one, and write some of it if that can be done without waiting.

        False while an earlier message is under way.
        """
        piece = Piece()
        piece.message = piece.views = message
        piece.begun = False
        with self.lock:
            if self.pending is not None:
                return False
            self.pending = piece
            try:
                self._push(piece)
            except (BlockingIOError, BrokenPipeError, ConnectionResetError):
                return True  # it shows again in `push`
            return True

    def busy_with(self, message: Sequence[Buffer]) -> bool:
        """Whether part of this message is still to be written."""
        piece = self.pending
        return piece is not None and piece.message is message

    def push(self) -> None:
        """Write some of the current message. Never blocks; BlockingIOError when nothing can be written."""
        with self.lock:
            piece = self.pending
            if piece is not None:
                self._push(piece)

    def _push(self, piece: Piece) -> None:
        if not piece:
            views = piece.views
            writes = self._write(views) if len(views) == 1 else self._gather((views[:_IOV_MAX],))
            try:
                if self.pending is piece and not piece:  # I3
                    piece.extend(writes)  # I1
            except OSError as error:
                if piece or not self._instead(piece, error):
                    raise
        if piece:
            self._settle(piece)

    def _instead(self, piece: Piece, error: OSError) -> bool:
        """Whether something else goes out instead, now that the system has refused; nothing has landed."""
        return False

    def _settle(self, piece: Piece) -> None:
        views = piece.views
        following = None
        if len(views) > 1 or piece[0] < len(views[0]):
            rest = without(views, piece[0])
            following = piece_of(piece.message, rest, True) if rest else None
        if self.pending is piece:
            self.pending = following  # I2

    def abandon(self, message: Sequence[Buffer]) -> bool:
        """The sender gives up. True when the message will go out all the same, because part of it has.

        What is left of it is copied then: the caller's buffers may change from now on.
        """
        with self.lock:
            while True:
                piece = self.pending
                if piece is None or piece.message is not message:
                    return False
                if piece:
                    self._settle(piece)
                    continue
                copies = piece_of(message, [*map(_lasting, piece.views)], True) if piece.begun else None
                if self.pending is piece and not piece:
                    self.pending = copies
                    return copies is not None

    def drop(self) -> None:
        """Forget the current message: nobody will receive it."""
        self.pending = None

    def close(self) -> None:
        """Write no more; called with the lock held."""
        self._reach(Descriptor(-1))
        self.pending = None


def _lasting(view: Buffer) -> bytes:
    return view if isinstance(view, bytes) else bytes(view)


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
