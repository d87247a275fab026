"""LocalCounter: a `Counter` in a slot of a segment.

Words of the slot: 0 is the number (of an owned counter, what it began with), 1 the flag of the waiters, 2
that of the holders, 3 how often it was set to something.

The number is changed in sections of the slot's guard. Who adds to it rings all who wait, in the section,
*before* the store: they look when the section is over. So whoever is killed between ring and store leaves
nobody asleep, and nothing done; no timer is needed. A waiter takes its place, which sets the flag, and then
looks, in a section: either that comes first, and who adds sees the flag; or the addition does, and the waiter
sees the number. All are woken: were it as many as can go on, they might be stopped or killed before they do,
and nobody would wake the next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ...abc import Counter
from ...deadline import NOW, Deadline
from .. import identity
from ..doorbell import Doorbell, borrow
from ..identity import Watch
from ..segment import Segment, new_slot
from ..waiters import FLAG, STATE, Place, Waiters
from ..waiting import spins

__all__ = ["LocalCounter", "OwnedCounter", "new_counter"]

_LOOKS = 40
"""How often a waiter looks, and yields in between, before it sleeps; see `waiting`."""
_MOST = 2**63 - 1
_SETS = FLAG + 2
Step = Callable[[object], bool | None]


class LocalCounter(Counter):
    """One process's handle of the counter; all of a process's handles of it are one object."""

    def __init__(self, segment: Segment, slot: int) -> None:
        """The counter in this slot; for `new_counter` and for unpickling."""
        self._segment = segment
        self._slot = slot
        self._words = segment.words
        self._at = segment.slot_words(slot)
        self._flag = self._at + FLAG
        self._guard = segment.guard(slot)
        self._waiters = Waiters(segment, slot)

    @property
    def value(self) -> int:
        """See `Counter.value`."""
        return self._words[self._at]

    def change(self, by: int, least: int, most: int, deadline: Deadline) -> bool:
        """Add to it; see `Counter.change`."""
        words, at, guard = self._words, self._at, self._guard
        done = False
        if not by:
            return self._await(least, most, deadline)

        def step(hold: object) -> bool | None:
            nonlocal done
            if by > 0 and words[self._flag]:
                self._waiters.ring_all()
            if guard.epoch is not hold:
                return None
            changed = words[at] + by
            if changed < least or changed > most:
                return False
            words[at] = changed
            done = True
            return True

        if by > 0:
            guard.run(step)
            return done
        try:
            self._repeat(step, deadline, lambda: words[at] + by >= least)
            return done
        except BaseException:
            if done and by < 0:
                self.change(-by, 0, _MOST, NOW)
            raise

    def _await(self, least: int, most: int, deadline: Deadline) -> bool:
        """Wait until it is in between, or was: nothing is to be stored, and so no section is needed."""
        words, at = self._words, self._at
        before = words[at + _SETS]
        seen = False

        def look() -> bool:
            nonlocal seen
            seen = seen or least <= words[at] <= most or words[at + _SETS] != before
            return seen

        if not look() and deadline is not NOW:
            self._park(lambda hold: look(), deadline, look, at_once=True)
        return seen

    def set(self, value: int) -> None:
        """Make it this number; see `Counter.set`."""
        words, at, guard = self._words, self._at, self._guard

        def step(hold: object) -> bool | None:
            if words[self._flag]:
                self._waiters.ring_all()
            if guard.epoch is not hold:
                return None
            if value:
                words[at + _SETS] += 1
            words[at] = value
            return True

        guard.run(step)

    def _repeat(self, step: Step, deadline: Deadline, may_go_on: Callable[[], bool]) -> None:
        """Do the step as soon as it may go on."""
        if may_go_on():
            if self._guard.run(step, deadline) or not deadline.remaining():
                return
        elif deadline is NOW:
            return
        self._park(step, deadline, may_go_on, at_once=False)

    def _park(self, step: Step, deadline: Deadline, may_go_on: Callable[[], bool], at_once: bool) -> None:
        """Spin, and then sleep, until the step was done; `at_once`, a look outside of a section is enough."""
        guard = self._guard
        for _ in spins(_LOOKS):
            if may_go_on() and (at_once or guard.run(step, deadline)):
                return
        place = Place()
        with borrow() as bell:
            try:
                self._waiters.enter(place, bell.number, deadline)
                while not guard.run(step, deadline) and not deadline.expired:
                    self._sleep(bell, deadline, not place.taken)
                    if may_go_on() and (at_once or guard.run(step, deadline)):
                        return
                    bell.forget()
            finally:
                self._waiters.vacate(place)

    def _sleep(self, bell: Doorbell, deadline: Deadline, blind: bool) -> None:
        bell.sleep(deadline, (), blind)

    def __reduce__(self) -> tuple[Any, ...]:
        return _at, (type(self), self._segment, self._slot)


class OwnedCounter(LocalCounter):
    """A counter that has back what the dead had taken of it.

    Its word never changes. What each process has taken is the state of its place in the slot's list of
    holders; what is left is the difference.
    """

    def __init__(self, segment: Segment, slot: int) -> None:
        super().__init__(segment, slot)
        self._holders = Waiters(segment, slot, second=True)

    @property
    def value(self) -> int:
        """See `Counter.value`."""
        self._holders.states_of_the_dead()
        return self._words[self._at] - self._holders.total()

    def change(self, by: int, least: int, most: int, deadline: Deadline) -> bool:
        """Take from it, or give back; see `Counter.change`."""
        if by > 0:
            return self._give_back(by)
        words, guard = self._words, self._guard
        done = False

        def step(hold: object) -> bool | None:
            nonlocal done
            left = words[self._at] - self._holders.total()
            own = self._holders.own()
            if own < 0 and left + by >= least:
                self._holders.enter(Place(), 0, NOW)  # of nothing yet
                own = self._holders.own()
            if guard.epoch is not hold:
                return None
            if left + by < least or own < 0:
                return False
            words[own + STATE] -= by
            done = True
            return True

        try:
            self._repeat(step, deadline, lambda: self.value + by >= least)
            return done
        except BaseException:
            if done:
                self._give_back(-by)
            raise

    def set(self, value: int) -> None:
        """Not for this one."""
        raise TypeError("an owned counter is not set")

    def _give_back(self, by: int) -> bool:
        words, guard = self._words, self._guard

        def step(hold: object) -> bool | None:
            own = self._holders.own()
            if words[self._flag]:
                self._waiters.ring_all()
            if guard.epoch is not hold:
                return None
            if own < 0 or words[own + STATE] < by:
                return False
            words[own + STATE] -= by
            return True

        if not guard.run(step):
            raise ValueError("semaphore or lock released too many times")
        return True

    def _sleep(self, bell: Doorbell, deadline: Deadline, blind: bool) -> None:
        tokens = self._holders.tokens() - {identity.my_token()}
        watches = [Watch(token) for token in tokens]
        try:
            if any(watch.dead for watch in watches):
                self._holders.states_of_the_dead()
                return
            bell.sleep(deadline, watches, blind)
        finally:
            _close(watches)
        self._holders.states_of_the_dead()


def _close(watches: Iterable[Watch]) -> None:
    for watch in watches:
        watch.close()


def new_counter(value: int = 0, owned: bool = False) -> LocalCounter:
    """A new counter; raises OSError at the system's limits."""
    segment, slot = new_slot()
    segment.words[segment.slot_words(slot)] = value
    return _at(OwnedCounter if owned else LocalCounter, segment, slot)


def _at(kind: type[LocalCounter], segment: Segment, slot: int) -> LocalCounter:
    found: LocalCounter = segment.local(slot, kind)
    return found
