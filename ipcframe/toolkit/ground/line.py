"""LocalLine: a `Line` in a slot of a segment. Word 1 of the slot is the flag of the waiters.

A place's state is its tag plus two, or `_CALLED`. A place that is called is found so by its own waiter, in a
section of the guard of waiters, in which calls are made too: so it cannot miss one. Each waiter watches the
processes before it in line: a call that one of them got and did not live to use goes to the next.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any

from ...abc import Called, Line, Turn
from ...deadline import NEVER, NOW, Deadline, deadline_after
from .. import identity
from ..doorbell import Doorbell, borrow, give_back
from ..identity import Watch
from ..segment import Segment, new_slot
from ..waiters import Place, Waiters

__all__ = ["LocalLine", "new_line"]

_CALLED = 1
_FIRST_TAG = 2
_MOST_WATCHED = 64
"""So many processes are watched at once at most; beyond, one looks now and then."""
_LOOK_AGAIN = 0.05


class LocalLine(Line):
    """One process's handle of the line; all of a process's handles of it are one object."""

    def __init__(self, segment: Segment, slot: int) -> None:
        """The line in this slot; for `new_line` and for unpickling."""
        self._segment = segment
        self._slot = slot
        self.waiters = Waiters(segment, slot)

    def enter(self, tag: int = 0, announced: bool = False, deadline: Deadline = NEVER) -> Turn:
        """Take a place; see `Line.enter`."""
        turn = LocalTurn(self, tag + _FIRST_TAG, deadline)
        if announced:
            # Each watches those that were there when it came. The first watches those that came later; if
            # it is killed itself, all others notice.
            self.waiters.ring_first(tag + _FIRST_TAG)
        return turn

    def call(self, most: int, deadline: Deadline = NEVER) -> int:
        """Call some; see `Line.call`."""
        called = self.waiters.call(most, _CALLED, deadline)
        if deadline.expired:
            self.waiters.ring_all()  # somebody may be stopped in a section: at least let them look
        return called

    def length(self, tag: int = 0) -> int:
        """How many wait; see `Line.length`."""
        return self.waiters.count(tag + _FIRST_TAG)

    def bury(self, tag: int | None = None) -> bool:
        """Free the places of the dead; see `Line.bury`."""
        states = self.waiters.states_of_the_dead()
        calls = states.count(_CALLED)
        if calls:
            self.call(calls)
        return bool(states) if tag is None else tag + _FIRST_TAG in states

    def __reduce__(self) -> tuple[Any, ...]:
        return _at, (self._segment, self._slot)


class LocalTurn(Turn):
    """A place in a `LocalLine`."""

    def __init__(self, line: LocalLine, state: int, deadline: Deadline) -> None:
        self._line = line
        self._tag = state
        self._place = Place()
        self._bell: Doorbell | None = borrow()
        try:
            line.waiters.enter(self._place, self._bell.number, deadline, state)
            if not self._place.taken and not deadline.expired:
                raise OSError(errno.EAGAIN, "there is no place left for another waiter")
        except BaseException:
            self.leave()
            raise

    def wait(
        self, deadline: Deadline, everybody: bool = False, until: Callable[[], bool] = lambda: False
    ) -> Called:
        """Wait to be called; see `Turn.wait`."""
        watches: dict[int, Watch] = {}
        bell = self._bell
        assert bell is not None, "it was left"
        waiters = self._line.waiters
        try:
            while True:
                if until():
                    return Called.CALLED
                state = waiters.state(self._place, deadline) if self._place.taken else None
                if state == _CALLED:
                    return Called.CALLED
                if state is None:
                    return Called.TIMED_OUT
                others = waiters.tokens(state=self._tag) if everybody else waiters.tokens(self._place.number)
                others.discard(identity.my_token())
                self._watch(watches, others)
                if any(watch.dead for watch in watches.values()) and self._line.bury():
                    if waiters.state(self._place) == _CALLED:
                        return Called.CALLED
                    return Called.BEREFT
                if deadline.expired:
                    return Called.TIMED_OUT
                look = len(watches) < len(others) or any(one.fd < 0 for one in watches.values())
                soon = deadline_after(min(_LOOK_AGAIN, deadline.remaining())) if look else deadline
                bell.sleep(soon, watches.values())
                bell.forget()
                for token, watch in watches.items():
                    watch.dead = not identity.is_alive(token)
        finally:
            for watch in watches.values():
                watch.close()

    @staticmethod
    def _watch(watches: dict[int, Watch], others: set[int]) -> None:
        """Watch these processes, and no others, as far as descriptors go."""
        for token in watches.keys() - others:
            watches.pop(token).close()
        for token in others - watches.keys():
            if len(watches) >= _MOST_WATCHED:
                break
            watches[token] = Watch(token)

    def called(self) -> bool:
        """Whether it was called; see `Turn.called`."""
        return self._place.taken and self._line.waiters.state(self._place, NOW) == _CALLED

    def leave(self) -> None:
        """Give the place up; see `Turn.leave`."""
        left = False
        try:
            left = self._line.waiters.leave(self._place, NOW)
        except BaseException:
            left = self._line.waiters.leave(self._place, NOW)
            raise
        finally:
            bell, self._bell = self._bell, None
            if bell is not None:
                if left:
                    give_back(bell)
                else:
                    bell.close()


def new_line() -> LocalLine:
    """A new line, with nobody in it; raises OSError at the system's limits."""
    return _at(*new_slot())


def _at(segment: Segment, slot: int) -> LocalLine:
    found: LocalLine = segment.local(slot, LocalLine)
    return found
