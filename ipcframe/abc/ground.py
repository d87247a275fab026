"""OwnedLock, Counter and Line: the ground on which the primitives are built.

A backend need not supply them: `ipcframe.toolkit.ground` has them for processes of one host. One that crosses
hosts, or has better ones, overrides `Backend.owned_lock`, `Backend.counter` and `Backend.line`.

All of them can be handed to other processes by pickling. They have no `close`: they go when no process holds
them any more.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from enum import IntEnum

from ..deadline import NEVER, Deadline

__all__ = ["Called", "Counter", "Line", "OwnedLock", "Taking", "Turn"]


class Taking(IntEnum):
    """What came of an attempt to take an `OwnedLock`; only `NOT_TAKEN` is false."""

    NOT_TAKEN = 0
    TAKEN = 1
    INHERITED = 2
    """Taken, from a holder that died with it: what it guards may be half changed."""


class Called(IntEnum):
    """Why a wait in a `Line` ended."""

    TIMED_OUT = 0
    CALLED = 1
    BEREFT = 2
    """A process that was in line has died; its place is free, and its states were handed to the caller."""


class OwnedLock(ABC):
    """A lock that one process holds, and that the system releases when that process dies.

    All handles of one lock in one process share `thread` and `depth`.
    """

    thread: int = 0
    """The thread of this process (`threading.get_ident`) that took it last; set in the step of taking it."""
    depth: int = 0
    """For the holder: how often that thread has taken it; 1 from the step of taking it, 0 from releasing."""

    @abstractmethod
    def acquire(self, deadline: Deadline) -> Taking:
        """Take the lock, once, also against other threads of this process.

        Blocks: while another holds it, until the deadline; `NOW` does not wait.
        Threads: any number at once, signal handlers included.
        Buffers: none.
        Raises: OSError when there is no descriptor left to wait with.
        Interrupted: it is taken and the outcome is returned, or it is not taken.
        Peer death: a dead holder's lock is INHERITED, within 0.1 s, parked or not. A holder that ended
            normally leaves it held.
        After fork: works in the child, which does not hold what its parent holds.
        """

    @abstractmethod
    def release(self, anybodys: bool = True) -> bool:
        """Release the lock, whoever holds it, or only if this process does; False when it was not released.

        Blocks: never for long: only while another process is in a section of microseconds.
        Threads: any number at once, signal handlers included.
        Buffers: none.
        Raises: nothing.
        Interrupted: it is released, or it is not and may be released again.
        Peer death: waiters that died make no difference.
        After fork: any process that has it may release it.
        """

    @property
    @abstractmethod
    def holder(self) -> int:
        """The pid of the process that holds it, or held it when it died; 0 for nobody."""

    @property
    @abstractmethod
    def inherited_from(self) -> int:
        """The pid of the dead process from which this one has it; 0 when it was free."""

    @property
    @abstractmethod
    def mine(self) -> bool:
        """Whether this process holds it."""


class Counter(ABC):
    """A number of 0 to 2**63 - 1 that processes change and wait for.

    Made with ``owned=True``, what is taken from it belongs to the process that took it, which alone may give
    it back, and comes back when that process dies.
    """

    @property
    @abstractmethod
    def value(self) -> int:
        """The number now; what the dead had taken of an owned one is in it."""

    @abstractmethod
    def change(self, by: int, least: int, most: int, deadline: Deadline) -> bool:
        """Add `by`, as soon as the result is at least `least`; False when the deadline passed first.

        False at once when the result is above `most`. With 0 for `by` it is waited for, also for a moment
        that a `set` began and another has ended.

        Blocks: until then; `NOW` does not wait.
        Threads: any number at once, signal handlers included.
        Buffers: none.
        Raises: ValueError for giving back to an owned counter what this process has not taken.
        Interrupted: it is changed and True is returned, or it is not changed; a change upwards may be made.
        Peer death: makes no difference; an owned counter has a dead process's share back within 0.1 s.
        After fork: works in the child, which owns nothing.
        """

    @abstractmethod
    def set(self, value: int) -> None:
        """Make it this number; not for owned ones.

        Blocks: never for long: only while another process is in a section of microseconds.
        Threads: any number at once, signal handlers included.
        Buffers: none.
        Raises: nothing.
        Interrupted: it is set, or it is not.
        Peer death: waiters that died make no difference.
        After fork: works in the child.
        """


class Turn(ABC):
    """A place in a `Line`, of one thread; leave it when done."""

    @abstractmethod
    def wait(
        self, deadline: Deadline, everybody: bool = False, until: Callable[[], bool] = lambda: False
    ) -> Called:
        """Wait to be called; CALLED also when `until` holds, which is asked at every wake-up.

        Blocks: until called, the deadline, or a death in the line: of somebody before this place, or, with
            `everybody`, of anybody who has the same tag.
        Threads: the one that entered.
        Buffers: none.
        Raises: OSError when there is no descriptor left to wait with.
        Interrupted: the place is kept; whether it was called is found by waiting again.
        Peer death: BEREFT within 0.1 s; a call that the dead had received goes to the next in line.
        After fork: the place is the parent's.
        """

    @abstractmethod
    def called(self) -> bool:
        """Whether it was called by now.

        Blocks: never for long.
        Threads: the one that entered.
        Buffers: none.
        Raises: nothing.
        Interrupted: changes nothing.
        Peer death: makes no difference.
        After fork: the place is the parent's.
        """

    @abstractmethod
    def leave(self) -> None:
        """Give the place up; again is no error.

        Blocks: never for long.
        Threads: the one that entered.
        Buffers: none.
        Raises: nothing.
        Interrupted: may be called again.
        Peer death: the places of the dead are given up by those who notice.
        After fork: does nothing in the child.
        """


class Line(ABC):
    """Those who wait, in the order in which they came."""

    @abstractmethod
    def enter(self, tag: int = 0, announced: bool = False, deadline: Deadline = NEVER) -> Turn:
        """Take a place at the end; the tag says what for, and is at least 0.

        `announced`, those with the same tag who wait with `everybody` watch it from now on.

        Blocks: only while other processes are in sections of microseconds, until the deadline; then the turn
            has no place, and its wait times out.
        Threads: any number at once.
        Buffers: none.
        Raises: OSError when there is no descriptor left to wait with.
        Interrupted: no place is taken.
        Peer death: makes no difference.
        After fork: works in the child.
        """

    @abstractmethod
    def call(self, most: int, deadline: Deadline = NEVER) -> int:
        """Call up to `most` of the living that were not called yet, the first first; returns their number.

        Blocks: never on one that is called.
        Threads: any number at once.
        Buffers: none.
        Raises: nothing.
        Interrupted: fewer may have been called.
        Peer death: the dead are not called, and not counted.
        After fork: works in the child.
        """

    @abstractmethod
    def bury(self, tag: int | None = None) -> bool:
        """Give up the places of the dead, and pass their calls on; whether there were any (with this tag).

        Blocks: never for long.
        Threads: any number at once.
        Buffers: none.
        Raises: nothing.
        Interrupted: may be called again.
        Peer death: that is what it is for.
        After fork: works in the child.
        """

    @abstractmethod
    def length(self, tag: int = 0) -> int:
        """The number of places with this tag that were not called.

        Blocks: never.
        Threads: any number at once.
        Buffers: none.
        Raises: nothing.
        Interrupted: changes nothing.
        Peer death: somebody who died a moment ago may still be counted.
        After fork: the same in every process.
        """
