"""The producers' side of a queue; `queue` says how the two fit together."""

from __future__ import annotations

import queue
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from ... import abc
from ...abc import Buffer, Channel, Serializer
from ...deadline import NEVER, NOW, Deadline, deadline_after
from ...errors import MessageTooLarge
from ..doorbell import borrow
from ..extents import Extent
from ..spill import HINT, Spill
from ..waiters import Place, Waiters
from ..waiting import spins

__all__ = ["Putting", "deadline_of"]

_LOOK_AGAIN = 1.0
_YIELDS = 64
_CATCH_UP = 8
_RETRY_AFTER = 64


class Putting(abc.Queue):
    """What `Queue` puts with."""

    _channel: Channel
    _spill: Spill
    _words: memoryview
    _serializer: Serializer
    _maxsize: int
    _divisor: int
    _tails: list[bytes]
    _padding: list[bytes]
    _small: int
    _fits: int
    _room: Waiters
    _send: Any
    _yields = _YIELDS
    _taken_before = 0

    @abstractmethod
    def _size(self) -> int:
        """The number of objects in it."""

    def put(self, obj: object, block: bool = True, timeout: float | None = None) -> None:
        """Put an object into the queue; see `ipcframe.abc.Queue.put`."""
        if self._closed_by is not None:
            self._check_open()
        deadline = NEVER if timeout is None and block else deadline_of(block, timeout)
        try:
            parts = self._serializer.dumps(obj)
        except Exception as error:
            handler = getattr(self, "_on_queue_feeder_error", None)
            if handler is None:
                raise
            handler(error, obj)
            return
        size = len(parts[0]) if len(parts) == 1 else sum(map(len, parts))
        try:
            if size > self._small:
                if size > self._fits or not self._put_whole(parts, deadline):
                    self._put_large(parts, deadline)
                return
            message: Any = parts[0] if len(parts) == 1 else b"".join(parts)
            if self._maxsize:
                self._put_bounded(message, None, deadline)
            elif not self._words[HINT] or self._let_catch_up():
                packet = message + self._padding[size]
                if not (self._send(packet, NOW) or self._put_ahead(packet)):
                    self._put_behind(message, None, deadline)
            else:
                self._put_behind(message, None, deadline)
        except (queue.Full, MessageTooLarge):
            self._serializer.discard(parts)
            raise

    def _put_ahead(self, packet: bytes) -> bool:
        """The channel is full: give way for a moment to who may be reading, and put a packet into it then.

        The file costs twice as much, for the consumer too. How often to give way follows its success.
        """
        send = self._send
        for _ in spins(self._yields):
            if send(packet, NOW):
                self._yields = min(self._yields + 8, _YIELDS)
                return True
        self._yields = self._yields // 2 or (_YIELDS if self._spill.appended() % _RETRY_AFTER == 0 else 0)
        return False

    def _let_catch_up(self) -> bool:
        """Give way to who is reading from the file, for a moment; whether it is empty then.

        Who does not read is not waited for: that nothing was taken since the last put shows it.
        """
        taken = self._spill.taken()
        if taken == self._taken_before:
            return False
        self._taken_before = taken
        return any(not self._words[HINT] for _ in spins(_CATCH_UP))

    def _packet(self, message: bytes) -> bytes:
        return message + self._tails[(1 - len(message)) % self._divisor]

    def _put_whole(self, parts: Sequence[Buffer], deadline: Deadline) -> bool:
        """Put a message that no record holds into the channel, if it has room; whether it is in."""
        message = b"".join(parts)
        if not self._maxsize:
            if self._words[HINT] and not self._let_catch_up():
                return False
            packet = self._packet(message)
            return self._send(packet, NOW) or self._put_ahead(packet)

        def admit() -> bool | None:
            return False if self._size() >= self._maxsize or self._admitted(message, None) else None

        return self._spill.put(b"", None, deadline, admit) is None

    def _put_large(self, parts: Sequence[Buffer], deadline: Deadline) -> None:
        extent = self._spill.write_extent(parts, deadline)
        if extent is None:
            raise queue.Full
        try:
            if self._maxsize:
                self._put_bounded(b"", extent, deadline)
            else:
                self._put_behind(b"", extent, deadline)
        finally:
            if not extent.placed:
                self._spill.extents.drop(extent)

    def _put_behind(self, message: bytes, extent: Extent | None, deadline: Deadline) -> None:
        """Put a message of an unbounded queue into the file."""
        # Nothing to wait for but other processes' sections, unless one was stopped there.
        if not self._spill.put(message, extent, deadline):
            raise queue.Full

    def _admitted(self, message: bytes, extent: Extent | None) -> bool | None:
        """In a section of producers: None if the channel took it, True if it is to go into the file."""
        if extent is None and not self._spill.count() and self._channel._send(self._packet(message), NOW):
            return None
        return True

    def _put_bounded(self, message: bytes, extent: Extent | None, deadline: Deadline) -> None:
        def admit() -> bool | None:
            return False if self._size() >= self._maxsize else self._admitted(message, extent)

        def attempt() -> bool:
            return self._spill.put(message, extent, deadline, admit) is not False

        if attempt():
            return
        if deadline is NOW:
            raise queue.Full
        place = Place()
        with borrow() as bell:
            try:
                self._room.enter(place, bell.number, deadline)
                while not attempt():
                    if deadline.expired:
                        raise queue.Full
                    soon = deadline_after(min(_LOOK_AGAIN, deadline.remaining()))
                    bell.sleep(soon, (), not place.taken)
                    self._check_open()
                    bell.forget()
            finally:
                self._room.vacate(place)


def deadline_of(block: bool, timeout: float | None) -> Deadline:
    """The deadline that a queue's arguments mean."""
    if timeout is None:
        return NEVER if block else NOW
    deadline = deadline_after(timeout)
    return deadline if block else NOW
