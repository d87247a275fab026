"""What the primitives stand on. The toolkit makes Lock, RLock, Semaphore, Condition, Event and Barrier of it.

There is one process, and nobody dies.
"""

from __future__ import annotations

import os
from _thread import get_ident
from collections.abc import Callable

from ipcframe.abc import Called, Counter, Line, OwnedLock, Taking, Turn
from ipcframe.deadline import NEVER, NOW, Deadline

from .resident import Resident
from .waiters import Place, Waiters

__all__ = ["LoopbackCounter", "LoopbackLine", "LoopbackLock"]

_MOST = 2**63 - 1
_NOT_TAKEN, _TAKEN = Taking.NOT_TAKEN, Taking.TAKEN


class LoopbackLock(Resident, OwnedLock):
    """A lock between threads; see `ipcframe.abc.OwnedLock`."""

    inherited_from = 0

    def __init__(self) -> None:
        self._held = False
        self._waiters = Waiters()

    def acquire(self, deadline: Deadline) -> Taking:
        """Take it; see `OwnedLock.acquire`."""
        self._check_home()
        taken, thread = False, get_ident()

        def attempt() -> bool:
            nonlocal taken
            if self._held:
                return False
            self._held = taken = True
            self.thread = thread
            self.depth = 1
            return True

        try:
            self._waiters.wait(attempt, deadline)
            return _TAKEN if taken else _NOT_TAKEN
        except BaseException:
            if taken:
                self.release()
            raise

    def release(self, anybodys: bool = True) -> bool:
        """Release it; see `OwnedLock.release`. One process holds it, whichever thread it was."""
        self._check_home()
        if not self._held:
            return False
        self.depth = 0
        self._held = False
        try:
            self._waiters.wake()
        except BaseException:  # of a signal handler, maybe before anybody was woken
            self._waiters.wake()
            raise
        return True

    @property
    def holder(self) -> int:
        """See `OwnedLock.holder`."""
        return os.getpid() if self.mine else 0

    @property
    def mine(self) -> bool:
        """See `OwnedLock.mine`."""
        self._check_home()
        return self._held


class LoopbackCounter(Resident, Counter):
    """A number that threads change and wait for; see `ipcframe.abc.Counter`."""

    def __init__(self, value: int, owned: bool) -> None:
        self._value = value
        self._began = value if owned else None
        self._sets = 0
        self._waiters = Waiters()

    @property
    def value(self) -> int:
        """See `Counter.value`."""
        self._check_home()
        return self._value

    def change(self, by: int, least: int, most: int, deadline: Deadline) -> bool:
        """Add to it; see `Counter.change`."""
        self._check_home()
        done, sets = False, self._sets

        def attempt() -> bool:
            nonlocal done
            value = self._value + by
            if value > most:
                return True  # at once, though not done
            if value < least and (by or self._sets == sets):
                return False
            if by > 0 and self._began is not None and value > self._began:
                raise ValueError("an owned counter takes back what was taken from it, and no more")
            self._value += by
            done = True
            return True

        try:
            self._waiters.wait(attempt, deadline, wakes=self._waiters if by > 0 else None)
            return done
        except BaseException:
            if done and by < 0:
                self.change(-by, 0, _MOST, NOW)
            raise

    def set(self, value: int) -> None:
        """Make it this number; see `Counter.set`."""
        self._check_home()
        if value:
            self._sets += 1
        self._value = value
        try:
            self._waiters.wake()
        except BaseException:  # as above
            self._waiters.wake()
            raise


class LoopbackTurn(Turn):
    """A thread's place in a line; see `ipcframe.abc.Turn`."""

    def __init__(self, line: LoopbackLine, tag: int) -> None:
        self.tag = tag
        self.place = Place()
        self.is_called = False
        self._line = line

    def wait(
        self, deadline: Deadline, everybody: bool = False, until: Callable[[], bool] = lambda: False
    ) -> Called:
        """Wait to be called; see `Turn.wait`."""
        while not (self.is_called or until()):
            if deadline.expired:
                return Called.TIMED_OUT
            self.place.sleep(deadline)
        return Called.CALLED

    def called(self) -> bool:
        """Whether it was called by now."""
        return self.is_called

    def leave(self) -> None:
        """Give the place up."""
        self._line.remove(self)


class LoopbackLine(Resident, Line):
    """Threads in the order in which they came; see `ipcframe.abc.Line`."""

    def __init__(self) -> None:
        self._turns: tuple[LoopbackTurn, ...] = ()

    def enter(self, tag: int = 0, announced: bool = False, deadline: Deadline = NEVER) -> Turn:
        """Take the last place; see `Line.enter`."""
        self._check_home()
        turn = LoopbackTurn(self, tag)
        while True:
            turns = self._turns
            longer = (*turns, turn)
            if self._turns is turns:
                self._turns = longer
                return turn

    def remove(self, turn: LoopbackTurn) -> None:
        """Have no such place any more."""
        while turn in self._turns:
            turns = self._turns
            shorter = tuple(one for one in turns if one is not turn)
            if self._turns is turns:
                self._turns = shorter

    def call(self, most: int, deadline: Deadline = NEVER) -> int:
        """Call the first ones; see `Line.call`."""
        self._check_home()
        most, called = min(most, len(self._turns)), 0
        while called < most and (turns := self._turns):
            first, others = turns[0], turns[1:]
            if self._turns is not turns:
                continue
            self._turns = others
            first.is_called = True
            called += 1
            try:
                first.place.wake()
            except BaseException:  # as above
                first.place.wake()
                raise
        return called

    def bury(self, tag: int | None = None) -> bool:
        """Nobody in the line has died."""
        self._check_home()
        return False

    def length(self, tag: int = 0) -> int:
        """The number of places with this tag; see `Line.length`."""
        self._check_home()
        return sum(turn.tag == tag for turn in self._turns)
