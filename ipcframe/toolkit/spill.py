"""Spill: what a queue holds beyond its channel, in order, in a file in memory.

It is a log of records. Producers append, in sections of one guard; consumers take from the head, in sections
of another. A small message lies in its record. A large one lies in an extent of the file (see `extents`),
written before its record is appended, and read after its record was taken, outside of all sections.

Positions and counts only grow; the place in the file is the position modulo the size of the log. What lies
before the head is given back to the kernel piece by piece, an extent as soon as it is read. The
file is sparse, so its size costs nothing.

The header, in words of 64 bits. What belongs together is committed together: there are two banks for
each side, the one that counts is told by the last bit of the side's *turn*, and to store a new turn is the
last thing a commit does. So a process killed anywhere has done all of a change or nothing.

    0   magic            1   limit in bytes     2   size of the log    3   hint: something may be in it
    4   next extent      5   given back up to   6   size of the file
    16  producers' turn, 18 and 21 its banks: position, count, bytes of extents, all ever appended
    32  consumers' turn, 34 and 37 its banks: the same, all ever taken
    64  claims on extents

An eventfd is readable while something is in the log, for those who sleep. A producer sets first it and then
the hint, in its section, before the commit. Only in such a section are they reset, first the hint, by
the consumer that has taken the last record or found none. So whoever is killed where: while a record is there
the hint is set, and while the hint is set the eventfd is. If it is set for nothing, `reset` mends that.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import resource
import struct
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from ..abc import Buffer
from ..deadline import NOW, Deadline
from ..errors import BrokenConnection, MessageTooLarge, QueueLimitReached
from . import identity
from .extents import COUNT, Extent, Extents, no_room, punch
from .handoff import Passed, pass_fd, receive_fd
from .memory import anonymous_file, available
from .segment import Segment, new_slot

__all__ = ["HINT", "LONGEST", "Landing", "Record", "Spill"]

_MAGIC = 0x1FC7_5B11_0000_0001
_HEADER = 4096
_LIMIT, _LOG_SIZE, HINT, _GIVEN_BACK, _FILE_SIZE = 1, 2, 3, 5, 6
_PRODUCERS, _CONSUMERS = 16, 32
_RECORD = struct.Struct("<IIQQ")  # kind, bytes in the record, extent, its size
_SMALL, _LARGE, _WRAP = 1, 2, 3
_WRAP_MARK = _RECORD.pack(_WRAP, 0, 0, 0)
_PIECE = 256 * 1024
_AT_ONCE = 512
"""What is read of a record in one piece: most messages are smaller."""
LONGEST = 4096
"""The longest message that lies in its record, and so is copied in a section."""
_HUGE = 1 << 60
_SMALL_LOG = 1 << 30
"""A log of less is not given back piece by piece: it is used again from its beginning soon enough."""


Record = tuple[Buffer, Extent | None]
"""One message taken: its bytes, or where they are."""


class Landing(Protocol):
    """Where what was taken stays until it is used, the eldest first; changed by single stores."""

    landed: tuple[Record, ...]


class Spill:
    """One process's handle of the file."""

    def __init__(self, fd: int, bell: int, segment: Segment, slots: tuple[int, int]) -> None:
        """For `create` and for unpickling; the descriptors are this object's."""
        self._fd = fd
        self.fd = bell
        """The eventfd: readable while something is in the log."""
        self._segment = segment
        self._slots = slots
        self._map = mmap.mmap(fd, _HEADER)
        self.words = memoryview(self._map).cast("Q")
        if self.words[0] != _MAGIC:
            raise BrokenConnection("a queue was made by another version", "use one version of ipcframe")
        self.title = "the queue"
        """What it is called in errors."""
        self.place = segment, slots[0]
        """The slot of its guard of producers, whose other words are free."""
        self.producers = segment.guard(slots[0])
        self._consumers = segment.guard(slots[1])
        first = _HEADER + self.words[_LOG_SIZE]
        area = self.words[_FILE_SIZE] - first
        self.extents = Extents(fd, self.words, self.producers, self._consumers, first, area)

    @classmethod
    def create(cls, limit: int | None) -> Spill:
        """A new one, that holds `limit` bytes; by default half of what the machine has left.

        Raises OSError at the system's limits.
        """
        sizes = [size for size in resource.getrlimit(resource.RLIMIT_FSIZE) if size >= 0]
        file_size = max(min([_HUGE, *sizes]) // _PIECE, 4) * _PIECE
        log_size = file_size // 4 // _PIECE * _PIECE
        # No more than half of any part of the file is ever in use.
        most = min(limit or available() // 2, log_size // 2)
        fds: list[int] = []
        try:
            fds.append(anonymous_file("ipcframe-queue", file_size))
            os.pwrite(fds[0], struct.pack("<7Q", _MAGIC, most, log_size, 0, 0, 0, file_size), 0)
            fds.append(os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK))
            segment, slot = new_slot()
            other, second = new_slot()
            if other is not segment:  # the first was its segment's last
                segment, slot = other, second
                other, second = new_slot()
            return cls(fds[0], fds[1], segment, (slot, second))
        except BaseException:
            for fd in fds:
                os.close(fd)
            raise

    # --- what is in it ---

    @property
    def limit(self) -> int:
        """How many bytes it holds at most."""
        return self.words[_LIMIT]

    def _bank(self, side: int) -> tuple[int, int, int]:
        """Position, count and bytes of a side, as of one moment."""
        words = self.words
        while True:
            turn = words[side]
            at = side + 2 + 3 * (turn & 1)
            found = words[at], words[at + 1], words[at + 2]
            if words[side] == turn:
                return found

    def count(self) -> int:
        """The number of messages in it."""
        taken = self._bank(_CONSUMERS)[1]
        return max(self._bank(_PRODUCERS)[1] - taken, 0)

    def appended(self) -> int:
        """How many messages were ever appended."""
        return self._bank(_PRODUCERS)[1]

    def taken(self) -> int:
        """How many messages were ever taken."""
        return self._bank(_CONSUMERS)[1]

    def used(self) -> int:
        """The bytes in it."""
        position, _, extents = self._bank(_CONSUMERS)
        end, _, appended = self._bank(_PRODUCERS)
        return max(end - position, 0) + max(appended - extents, 0)

    # --- producers ---

    def put(
        self,
        message: bytes,
        extent: Extent | None,
        deadline: Deadline,
        admit: Callable[[], bool | None] | None = None,
    ) -> bool | None:
        """Append a message: a small one, or a large one that was written to an extent.

        `admit`, if given, is asked first, in the section: False refuses, None says that the message went
        another way. True when it is in, False when it was refused or the deadline passed. Raises
        QueueLimitReached.
        """
        words, guard, fd = self.words, self.producers, self._fd
        claim = extent.claim if extent else -1
        kind, at, large = (_LARGE, extent.at, extent.size) if extent else (_SMALL, 0, 0)
        done: bool | None = False

        def step(hold: object) -> bool | None:
            nonlocal done
            if admit is not None:
                verdict = admit()
                if not verdict:
                    done = None if verdict is None else False
                    return True
            turn, position, count, extents, place, mark = self._prepare(message, extent)
            data = _RECORD.pack(kind, len(message), at, large) + message
            bank = _PRODUCERS + 2 + 3 * (turn & 1)
            wrap_at = _HEADER + words[_LOG_SIZE] - mark
            try:
                # Each write is in place only if no handler has put something there meanwhile (G3).
                if mark:
                    if guard.epoch is not hold:
                        return None
                    os.pwrite(fd, _WRAP_MARK[:mark], wrap_at)
                if guard.epoch is not hold:
                    return None
                os.pwrite(fd, data, place)
            except OSError as error:
                raise no_room(error) from error
            if not words[HINT]:
                self.ring()
            if guard.epoch is not hold:
                return None
            words[HINT] = 1
            if claim >= 0:
                words[claim + COUNT] = count
            words[bank] = position
            words[bank + 1] = count
            words[bank + 2] = extents
            words[_PRODUCERS] = turn
            done = True
            if extent is not None:
                extent.placed = True
                if claim >= 0:
                    words[claim] = identity.NOBODY
            return True

        guard.run(step, deadline)
        return done

    def _prepare(self, message: bytes, extent: Extent | None) -> tuple[int, int, int, int, int, int]:
        """What the banks are to be after it, where in the file it goes, and how much to leave out before."""
        words = self.words
        turn = words[_PRODUCERS]
        bank = _PRODUCERS + 2 + 3 * (turn & 1)
        position, count, extents = words[bank], words[bank + 1], words[bank + 2]
        large = extent.size if extent else 0
        size = _RECORD.size + len(message)
        head, _, taken = self._bank(_CONSUMERS)
        used = position - head + extents - taken + size + large
        if used > words[_LIMIT]:
            raise self._limit_reached(used)
        log_size = words[_LOG_SIZE]
        place, mark = position % log_size, 0
        if place + size > log_size:
            mark = log_size - place
            position += mark
            place = 0
        return turn + 1, position + size, count + 1, extents + large, _HEADER + place, mark

    def ring(self) -> None:
        """Wake those who wait for something in the log."""
        with contextlib.suppress(BlockingIOError):
            os.eventfd_write(self.fd, 1)

    def write_extent(self, parts: Sequence[Buffer], deadline: Deadline) -> Extent | None:
        """Write a large message to where it will be found once it is appended; None after the deadline.

        Raises MessageTooLarge, QueueLimitReached. What comes of it goes to `put`, and, unless it was placed,
        to `extents.drop`.
        """
        views = [part for part in parts if len(part)]
        size = sum(map(len, views))
        if size > self.limit:
            raise MessageTooLarge(
                f"a message of {size} bytes, and {self.title} holds {self.limit} in all",
                "raise the backend's setting queue_limit, or send it in parts",
            )
        used = self.used() + self.extents.being_written() + size
        if used > self.limit:
            raise self._limit_reached(used)
        return self.extents.write(views, size, self.appended, deadline)

    # --- consumers ---

    def take(self, landing: Landing, has_more: Callable[[], object], deadline: Deadline) -> bool | None:
        """Take the first message: its `Record` lands on ``landing.landed``.

        True when it did, False when there is none, or when ``has_more()`` says that the channel holds
        packets, which come before. None when the deadline passed first.
        """
        words, guard, token = self.words, self._consumers, identity.my_token()
        last = False

        def step(hold: object) -> bool | None:
            nonlocal last
            _, appended, _ = self._bank(_PRODUCERS)
            position, count, extents = self._bank(_CONSUMERS)
            last = count + 1 >= appended
            if count == appended or has_more():
                return None if guard.epoch is not hold else False
            log_size = words[_LOG_SIZE]
            at = position % log_size
            record = os.pread(self._fd, _AT_ONCE, _HEADER + at)
            if log_size - at < _RECORD.size or _RECORD.unpack_from(record)[0] == _WRAP:
                position += log_size - at
                at = 0
                record = os.pread(self._fd, _AT_ONCE, _HEADER)
            kind, inline, extent_at, size = _RECORD.unpack_from(record)
            message = record[_RECORD.size : _RECORD.size + inline]
            if len(message) < inline:
                message = os.pread(self._fd, inline, _HEADER + at + _RECORD.size)
            claim = self.extents.claim_of_consumer(extent_at) if kind == _LARGE else -1
            taken = message, Extent(extent_at, size, claim) if kind == _LARGE else None
            turn = words[_CONSUMERS] + 1
            bank = _CONSUMERS + 2 + 3 * (turn & 1)
            if guard.epoch is not hold:
                return None
            if claim >= 0:
                words[claim + 1] = extent_at
                words[claim + 2] = size
                words[claim + COUNT] = count + 1
                words[claim] = token
            words[bank] = position + _RECORD.size + inline
            words[bank + 1] = count + 1
            words[bank + 2] = extents + size
            words[_CONSUMERS] = turn
            landing.landed = (*landing.landed, taken)
            return True

        found = guard.run(step, deadline)
        if last:
            self.reset(NOW)
        if found:
            self._give_back()
        return found

    def reset(self, deadline: Deadline = NOW) -> None:
        """Say that nothing is in the log, if that is so; after the deadline leave it to the next consumer."""
        words, guard = self.words, self.producers

        def step(hold: object) -> bool | None:
            empty = not self.count()
            try:
                if guard.epoch is not hold:
                    return None
                if empty:
                    words[HINT] = 0
                    os.eventfd_read(self.fd)
            except BlockingIOError:
                pass  # it was said already
            return True

        guard.run(step, deadline)

    def _give_back(self) -> None:
        """Give what lies before the head back to the kernel, whenever that is another piece."""
        words = self.words
        position = self._bank(_CONSUMERS)[0]
        begin = words[_GIVEN_BACK]
        if position - begin < _PIECE or words[_LOG_SIZE] < _SMALL_LOG:
            return
        end = position // _PIECE * _PIECE

        def step(hold: object) -> bool | None:
            if self._consumers.epoch is not hold:
                return None
            if words[_GIVEN_BACK] != begin:
                return False
            words[_GIVEN_BACK] = end
            return True

        if self._consumers.run(step, NOW):
            log_size = words[_LOG_SIZE]
            while begin < end:
                upto = min(end, (begin // log_size + 1) * log_size)
                punch(self._fd, _HEADER + begin % log_size, upto - begin)
                begin = upto

    # --- the rest ---

    def _limit_reached(self, used: int) -> QueueLimitReached:
        return QueueLimitReached(
            f"{self.title} would hold {used} bytes, and holds {self.limit} at most",
            "take from it, give it a maxsize, or raise the backend's setting queue_limit",
        )

    def close(self) -> None:
        """Give this process's handle up; who is inside finds its words released (a ValueError)."""
        with contextlib.suppress(BufferError):
            self.words.release()
            self._map.close()
        fds = {self._fd, self.fd} - {-1}
        self._fd = self.fd = self.extents.fd = -1
        for fd in fds:
            os.close(fd)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (pass_fd(self._fd), pass_fd(self.fd), self._segment, self._slots)


def _rebuild(file: Passed, bell: Passed, segment: Segment, slots: tuple[int, int]) -> Spill:
    fd, bell_fd = receive_fd(file), receive_fd(bell)
    assert fd is not None
    assert bell_fd is not None
    return Spill(fd, bell_fd, segment, slots)
