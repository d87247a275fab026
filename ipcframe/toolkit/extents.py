"""Extents: where the large messages of a spill file lie, and whose they are while they are copied.

An extent is claimed, written, and then appended to the log as a record; or, by a consumer, taken from the
log, read, and given back. Nobody waits for a copy. A *claim* says whose extent it is meanwhile, so that those
of the dead are given back; its count tells whether the extent was appended (of a producer), or taken (of a
consumer), after all. Claims lie in the file's header: 48 for all producers and 48 for all consumers, of four
words each: token, place, size, count. When all are taken, an extent is copied without one, and lost until the
queue goes if that process is killed just then.

Places grow through the area for extents, and begin anew at its end. The area is at least twice as large as
what the queue may hold, and where it is not huge, what lies in somebody's claim is passed over.
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
from collections.abc import Callable, Sequence

from ..abc import Buffer
from ..deadline import NOW, Deadline
from ..errors import QueueLimitReached
from . import identity
from .guard import Guard
from .intake import room
from .outlet import without

__all__ = ["CLAIMS", "COUNT", "NEXT", "Extent", "Extents", "no_room", "punch"]

NEXT = 4
"""The word of the header for the next place."""
CLAIMS = 64
"""The words of the header from which on the claims lie."""
_EACH = 48
_TOKEN, _PLACE, _SIZE, COUNT = range(4)
_PAGE = mmap.PAGESIZE
_IOV_MAX = 1024
_HUGE = 1 << 50


class Extent:
    """Where a large message lies, and the claim on it (-1 for none)."""

    __slots__ = ("at", "claim", "placed", "size")

    def __init__(self, at: int, size: int, claim: int) -> None:
        self.at = at
        self.size = size
        self.claim = claim
        self.placed = False
        """Whether its record was appended, after which it is the queue's."""


class Extents:
    """One process's handle of the extents of a file, which lie in `area` bytes from `first` on."""

    def __init__(
        self, fd: int, words: memoryview, producers: Guard, consumers: Guard, first: int, area: int
    ) -> None:
        self.fd = fd
        self._words = words
        self._producers = producers
        self._consumers = consumers
        self._first = first
        self._area = area

    def write(
        self, parts: Sequence[Buffer], size: int, appended: Callable[[], int], deadline: Deadline
    ) -> Extent | None:
        """Write a message to an extent of its own; None when there is none before the deadline.

        `appended` tells how many records the log has had.
        """
        self._bury(self._producers, 0, lambda count: not 0 < count <= appended())
        extent = self._claim(size, deadline)
        if extent is None:
            return None
        try:
            at = extent.at
            rest = parts
            while rest:
                written = os.pwritev(self.fd, rest[:_IOV_MAX], at)
                at += written
                rest = without(rest, written)
        except OSError as error:
            self.drop(extent)
            raise no_room(error) from error
        except BaseException:
            self.drop(extent)
            raise
        return extent

    def _claim(self, size: int, deadline: Deadline) -> Extent | None:
        words, guard, token = self._words, self._producers, identity.my_token()
        whole = -(-size // _PAGE) * _PAGE
        made: Extent | None = None

        def step(hold: object) -> bool | None:
            nonlocal made
            claim = self._free_claim(0)
            position = self._free_place(words[NEXT], whole)
            extent = Extent(self._first + position % self._area, size, claim)
            if guard.epoch is not hold:
                return None
            if claim >= 0:
                words[claim + _PLACE] = extent.at
                words[claim + _SIZE] = size
                words[claim + COUNT] = 0
                words[claim] = token
            words[NEXT] = position + whole
            made = extent
            return True

        try:
            guard.run(step, deadline)
        except BaseException:
            if made is not None:
                self.drop(made)
            raise
        return made

    def _free_place(self, position: int, whole: int) -> int:
        """The first position from this one on where so many bytes are in one piece, and nobody's."""
        area = self._area
        passed = 0
        while passed < 2 * area:
            place = position % area
            skip = area - place if place + whole > area else self._overlap(self._first + place, whole)
            if not skip:
                return position
            position += skip
            passed += skip
        raise QueueLimitReached(f"there is no room for a message of {whole} bytes", "take from the queue")

    def _overlap(self, at: int, whole: int) -> int:
        """How far to go on to be past a claim that overlaps; 0 when none does."""
        if self._area >= _HUGE:
            return 0
        words = self._words
        for claim in range(CLAIMS, CLAIMS + 8 * _EACH, 4):
            if words[claim]:
                begin = words[claim + _PLACE]
                end = begin + -(-words[claim + _SIZE] // _PAGE) * _PAGE
                if begin < at + whole and at < end:
                    return end - at
        return 0

    def read(self, extent: Extent) -> memoryview:
        """The message of this extent; it stays there until `drop`."""
        target = room(extent.size)
        filled = 0
        while filled < extent.size:
            filled += os.preadv(self.fd, [target[filled:]], extent.at + filled)
        return target

    def drop(self, extent: Extent) -> None:
        """The message of this extent will not be appended, or has been read: give its pages back."""
        punch(self.fd, extent.at, extent.size)
        words = self._words
        if extent.claim >= 0 and words[extent.claim + _PLACE] == extent.at:
            words[extent.claim] = identity.NOBODY

    def bury_consumers(self, taken: Callable[[], int]) -> None:
        """Give back what dead consumers had taken; `taken` tells how many records ever were."""
        # Else it was killed before its commit, and the record is there: see `claim_of_consumer`.
        self._bury(self._consumers, _EACH, lambda count: count <= taken())

    def _bury(self, guard: Guard, first: int, is_over: Callable[[int], bool]) -> None:
        words = self._words
        for claim in range(CLAIMS + 4 * first, CLAIMS + 4 * (first + _EACH), 4):
            token = words[claim]
            if not token or identity.is_alive(token):
                continue
            at, size, count = words[claim + _PLACE], words[claim + _SIZE], words[claim + COUNT]

            def step(hold: object, claim: int = claim, token: int = token) -> bool | None:
                if guard.epoch is not hold:
                    return None
                if words[claim] != token:
                    return False
                words[claim] = identity.NOBODY
                return True

            if guard.run(step, NOW) and is_over(count):
                punch(self.fd, at, size)

    def claim_of_consumer(self, at: int) -> int:
        """Where the words of a claim begin for who takes the extent at this place; -1 for none.

        One that was killed before its commit may have left its claim on this very extent, which would be
        given back in its name once the record is taken: that claim is the one to be used.
        """
        words = self._words
        claims = range(CLAIMS + 4 * _EACH, CLAIMS + 8 * _EACH, 4)
        left = [claim for claim in claims if words[claim] and words[claim + _PLACE] == at]
        return left[0] if left else self._free_claim(_EACH)

    def _free_claim(self, first: int) -> int:
        """Where the words of a claim begin that nobody has; -1 for none."""
        words = self._words
        for claim in range(CLAIMS + 4 * first, CLAIMS + 4 * (first + _EACH), 4):
            if not words[claim]:
                return claim
        return -1

    def being_written(self) -> int:
        """The bytes of the extents that producers have claimed."""
        words = self._words
        claims = range(CLAIMS, CLAIMS + 4 * _EACH, 4)
        return sum(words[claim + _SIZE] for claim in claims if words[claim])


def punch(fd: int, at: int, size: int) -> None:
    """Give the pages of this part of a file back to the kernel."""
    begin = at // _PAGE * _PAGE
    end = -(-(at + size) // _PAGE) * _PAGE
    if end > begin and hasattr(mmap, "MADV_REMOVE"):
        with contextlib.suppress(OSError), mmap.mmap(fd, end - begin, offset=begin) as pages:
            pages.madvise(mmap.MADV_REMOVE)


def no_room(error: OSError) -> Exception:
    """The error to raise when the file cannot be written."""
    if error.errno == errno.EFBIG:
        return QueueLimitReached(
            "the queue's file would be larger than this process may make one (RLIMIT_FSIZE)",
            "raise that limit (ulimit -f), or take from the queue",
        )
    return error
