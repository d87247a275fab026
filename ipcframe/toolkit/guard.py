"""Guards: short sections in which one process changes shared words, given up by the kernel when it dies.

A guard is a record lock (fcntl(2), "Advisory record locking") on one byte of a file in memory. The kernel
releases it when its holder ends in whatever way. It belongs to the whole process, hence beside it a mutex
for the threads; and it is dropped when the process closes any descriptor of the file, hence
`segment.Segment` keeps those.

What is done in a section is a *step*, a function that may be interrupted by signal handlers, which may
use the very same guard. The rules that make this safe:

G1  CPython runs signal handlers, and gives way to other threads, after calls of C functions, at the start of
    Python functions and on backward jumps. Code between those is undivided: *straight-line*.
G2  What other processes see of a step is made by straight-line code alone, its *commit*; whatever is done
    before has no effect by itself. The last store of a commit makes it valid, so that a process killed
    within it has done all of it or nothing.
G3  A commit begins with the question ``guard.epoch is hold``. Whoever leaves a section changes the epoch
    before it gives the record lock up. So a step that finds its own epoch still holds the record lock;
    one that does not was overtaken by a handler's section, returns None, and is repeated.
G4  The record lock is given up in a ``finally`` block whose first call is the one that does so: no handler
    can come before it, so that no exception leaves the record lock behind.
G5  An exception may come after the commit and before `run` has returned. Where that matters, the commit
    also notes in an object of the caller that it was made, and the caller settles it.
G6  Nobody sleeps in a section, or waits there for anything but another guard; of two, the second is
    always the one of a segment's list of waiters. Where a signal handler breaks that order, the section that
    it has interrupted is given up.

A process that was stopped within a section holds the others up: they look again until their deadline.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
import weakref
from collections.abc import Callable
from fcntl import lockf
from typing import TypeVar

from ..deadline import NEVER, Deadline, deadline_after
from . import forks

__all__ = ["EXCLUSIVE", "UNLOCK", "Guard", "pause"]

EXCLUSIVE = fcntl.LOCK_EX | fcntl.LOCK_NB
UNLOCK = fcntl.LOCK_UN
_YIELDS = 100
_GRACE = 0.01
_SHORTEST, _LONGEST = 0.0001, 0.005
_Outcome = TypeVar("_Outcome")


_guards: weakref.WeakSet[Guard] = weakref.WeakSet()


class Guard:
    """The guard on byte `at` of the file `fd`: one for each process."""

    __slots__ = ("__weakref__", "at", "epoch", "fd", "generation", "mutex")

    def __init__(self, fd: int, at: int) -> None:
        self.fd = fd
        self.at = at
        self.renew()
        _guards.add(self)

    def renew(self) -> None:
        """Forget what threads of another process, whose memory this one has inherited, were doing."""
        self.mutex = threading.RLock()
        self.epoch: object = None
        self.generation = forks.generation

    def check_generation(self) -> None:
        """Make the guard this process's own, after a fork."""
        if self.generation is not forks.generation:
            with forks.renewal:
                if self.generation is not forks.generation:
                    self.renew()

    def run(self, step: Callable[[object], _Outcome | None], deadline: Deadline = NEVER) -> _Outcome | None:
        """Do the step (see above), again when it was overtaken; its outcome, or None after the deadline.

        Blocks: while other processes are in a section of theirs, which is microseconds. So also a deadline
            that has passed leaves 10 ms, which are used up only if one of those processes was stopped.
        """
        if self.generation is not forks.generation:
            self.check_generation()
        outcome = self.once(step)
        if outcome is not None:
            return outcome
        tries = 0
        grace = deadline_after(_GRACE)
        while True:
            tries += 1
            pause(tries)
            if tries % _YIELDS == 0:
                self._give_up_outer_sections()
            outcome = self.once(step)
            if outcome is not None:
                return outcome
            if deadline is not NEVER and grace.expired and deadline.expired:
                return None

    def _give_up_outer_sections(self) -> None:
        """Give up the sections that this thread is in already: it is a signal handler's that waits here.

        Those were interrupted, and find themselves overtaken (G3). Else two processes, each interrupted in a
        section that the other's handler waits for, would wait for ever.
        """
        for guard in list(_guards):
            if guard is not self and guard.epoch is not None and guard.mutex._is_owned():  # type: ignore[attr-defined]
                guard.epoch = None
                lockf(guard.fd, UNLOCK, 1, guard.at)

    def once(self, step: Callable[[object], _Outcome | None]) -> _Outcome | None:
        """Do the step if nobody else is in a section; None if that is so, or the step was overtaken."""
        entered = False
        with self.mutex:
            try:
                self.epoch = hold = object()
                lockf(self.fd, EXCLUSIVE, 1, self.at)
                entered = True
                return step(hold)
            except BlockingIOError:
                if entered:
                    raise
                return None
            finally:  # G4
                self.epoch = None
                lockf(self.fd, UNLOCK, 1, self.at)


def pause(tries: int) -> None:
    """Let others get on before another try: a yield at first, then sleeps of up to 5 ms."""
    if tries < _YIELDS:
        os.sched_yield()
    else:
        time.sleep(min(_SHORTEST * (tries - _YIELDS + 1), _LONGEST))
