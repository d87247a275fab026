"""How threads of one process wait for each other; everything of this backend that waits does so here.

There is no lock. CPython runs signal handlers, and gives way to other threads, when a Python function begins,
after a call of a C function, and when a loop jumps back. What stands between those is undivided. So a change
is computed aside, and made by a *step*: a test that what it was computed from is still so, and the stores,
without a call. Nobody can see half of a step, and no exception out of a signal handler can tear one.
"""

from __future__ import annotations

import contextlib
from _thread import TIMEOUT_MAX, allocate_lock, get_ident
from collections.abc import Callable

from ipcframe.deadline import NOW, Deadline

__all__ = ["Place", "Waiters"]


class Place:
    """Where one thread sleeps."""

    __slots__ = ("_bed", "thread")

    def __init__(self) -> None:
        self.thread = get_ident()
        self._bed = allocate_lock()
        self._bed.acquire()

    def sleep(self, deadline: Deadline) -> None:
        """Sleep until somebody wakes this place, or has done so since it last slept, or the deadline.

        Signal handlers run meanwhile.
        """
        left = deadline.remaining()
        self._bed.acquire(timeout=left if left < TIMEOUT_MAX else -1)

    def wake(self) -> None:
        """Wake who sleeps here, or else the next to do so; again is no error."""
        with contextlib.suppress(RuntimeError):  # it is awake already
            self._bed.release()


class Waiters:
    """Threads that wait for the same thing: first come, first served.

    Only the first one attempts what all of them want, and whoever leaves the line wakes the one who is
    first then. So it is enough that who changes something wakes the first, *after* the change.
    """

    __slots__ = ("_places",)

    def __init__(self) -> None:
        self._places: tuple[Place, ...] = ()

    def wait(self, attempt: Callable[[], bool], deadline: Deadline, wakes: Waiters | None = None) -> bool:
        """Attempt it until it succeeds; False when the deadline passed first.

        `wakes` are those whom a success lets go on. An exception may come after the success: who takes
        something by his attempt notes it in the very step, and settles it when this raises.
        """
        place: Place | None = None
        try:
            if (deadline is NOW or not self._places) and attempt():
                return True
            if deadline is NOW:
                return False
            place = Place()
            self._enter(place)
            while self._places[0] is not place or not attempt():
                if deadline.expired:
                    return False
                place.sleep(deadline)
            return True
        finally:
            try:
                self._leave(place, wakes)
            except BaseException:  # of a signal handler, maybe before anything was done
                self._leave(place, wakes)
                raise

    def wake(self) -> None:
        """Have the first one look again."""
        try:
            self._wake_first()
        except BaseException:  # as above
            self._wake_first()
            raise

    def _wake_first(self) -> None:
        places = self._places
        if places:
            places[0].wake()

    def _enter(self, place: Place) -> None:
        """Take the last place; a signal handler's wait comes before the one that it has interrupted."""
        while True:
            places = self._places
            at = next((at for at, one in enumerate(places) if one.thread == place.thread), len(places))
            entered = (*places[:at], place, *places[at:])
            if self._places is places:
                self._places = entered
                return

    def _leave(self, place: Place | None, wakes: Waiters | None) -> None:
        if place is not None:
            while place in self._places:
                places = self._places
                left = tuple(one for one in places if one is not place)
                if self._places is places:
                    self._places = left
            self._wake_first()
        if wakes is not None:
            wakes._wake_first()
