"""SyncPrimitive and what is under it: locks, semaphores, conditions, events, barriers.

The names, arguments and results are those of `multiprocessing`; what is added is what happens when a
process dies.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from types import TracebackType
from typing import Any

__all__ = ["Barrier", "BoundedSemaphore", "Condition", "Event", "Lock", "RLock", "Semaphore", "SyncPrimitive"]


class SyncPrimitive(ABC):  # noqa: B024 - what is under it differs
    """Something that processes wait on. A process killed while waiting is as if it had never waited."""

    name: str | None = None
    """The name that the object was made with, or None."""


class _Acquirable(SyncPrimitive):
    """What `Lock`, `RLock`, `Semaphore` and `Condition` share."""

    @abstractmethod
    def acquire(self, block: bool = True, timeout: float | None = None) -> bool:
        """Take it, waiting while others hold it; False when that could not be done in time.

        Blocks: until it is free, or the timeout; a negative timeout does not wait.
        Threads: any number at once, signal handlers included.
        Buffers: none.
        Raises: nothing of its own; `OwnerDiedWarning` is issued when its holder had died.
        Interrupted: it is taken and True is returned, or it is not taken.
        Peer death: a killed holder's lock is acquired within 0.1 s.
        After fork: works in the child; what the parent's threads held is the parent's.
        """

    @abstractmethod
    def release(self) -> None:
        """Give it back, and wake who can go on.

        Blocks: never.
        Threads: any number at once, signal handlers included.
        Buffers: none.
        Raises: ValueError or AssertionError where `multiprocessing` does, when it is not held.
        Interrupted: it is released.
        Peer death: a waiter that died does not swallow the wake-up.
        After fork: as before.
        """

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


class Lock(_Acquirable):
    """Mutual exclusion. Its owner is the process that last acquired it; any process may release it."""

    @property
    @abstractmethod
    def owner_died(self) -> bool:
        """Whether the lock came to its present holder because the one before died with it."""


class RLock(Lock):
    """A lock that its holder may acquire again, and only its holder may release."""


class Semaphore(_Acquirable):
    """A count of permits, without an owner: taken here and given back there is common practice."""

    @abstractmethod
    def get_value(self) -> int:
        """The number of permits left.

        Blocks: never.
        Threads: any number at once.
        Buffers: none.
        Raises: nothing.
        Interrupted: changes nothing.
        Peer death: permits of the dead stay taken, unless the semaphore was made with ``owned=True``.
        After fork: the same in every process.
        """


class BoundedSemaphore(Semaphore):
    """A semaphore that refuses more releases than acquires."""


class Condition(_Acquirable):
    """A lock, and a place to wait for something that it guards."""

    @property
    @abstractmethod
    def owner_died(self) -> bool:
        """Whether the lock came to its present holder because the one before died with it."""

    @abstractmethod
    def wait(self, timeout: float | None = None) -> bool:
        """Release the lock, wait to be notified, take the lock again; False when the timeout passed.

        Blocks: until notified or the timeout, and then for the lock.
        Threads: any number at once.
        Buffers: none.
        Raises: AssertionError when the lock is not held.
        Interrupted: the lock is held again when the exception leaves.
        Peer death: a waiter that died does not swallow a notification.
        After fork: waiters of the parent are the parent's.
        """

    @abstractmethod
    def wait_for(self, predicate: Callable[[], Any], timeout: float | None = None) -> Any:
        """Wait until the predicate holds; its last value is returned.

        Blocks: as `wait`, within one timeout in all.
        Threads: any number at once.
        Buffers: none.
        Raises: what the predicate raises, and as `wait`.
        Interrupted: as `wait`.
        Peer death: as `wait`.
        After fork: as `wait`.
        """

    @abstractmethod
    def notify(self, n: int = 1) -> None:
        """Wake up to `n` waiters.

        Blocks: never on a waiter.
        Threads: any number at once.
        Buffers: none.
        Raises: AssertionError when the lock is not held.
        Interrupted: at most `n` are woken.
        Peer death: dead waiters are not counted among those woken.
        After fork: as before.
        """

    @abstractmethod
    def notify_all(self) -> None:
        """Wake every waiter.

        Blocks: never on a waiter.
        Threads: any number at once.
        Buffers: none.
        Raises: AssertionError when the lock is not held.
        Interrupted: may be called again.
        Peer death: dead waiters do not matter.
        After fork: as before.
        """


class Event(SyncPrimitive):
    """A flag to wait for."""

    @abstractmethod
    def is_set(self) -> bool:
        """Whether the flag is set.

        Blocks: never.
        Threads: any number at once.
        Buffers: none.
        Raises: nothing.
        Interrupted: changes nothing.
        Peer death: makes no difference.
        After fork: the same in every process.
        """

    @abstractmethod
    def set(self) -> None:
        """Set the flag, and wake all who wait for it.

        Blocks: never, whoever of the waiters was killed.
        Threads: any number at once, signal handlers included, also one that interrupts a wait.
        Buffers: none.
        Raises: nothing.
        Interrupted: the flag is set; a waiter not woken yet sees it within a second.
        Peer death: makes no difference.
        After fork: the same in every process.
        """

    @abstractmethod
    def clear(self) -> None:
        """Clear the flag.

        Blocks: never.
        Threads: any number at once.
        Buffers: none.
        Raises: nothing.
        Interrupted: the flag is cleared, or it is not.
        Peer death: makes no difference.
        After fork: the same in every process.
        """

    @abstractmethod
    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the flag is set; its value is returned.

        Blocks: until it is set, or the timeout.
        Threads: any number at once.
        Buffers: none.
        Raises: nothing.
        Interrupted: as if it had never waited.
        Peer death: nobody in particular is awaited.
        After fork: the same in every process.
        """


class Barrier(SyncPrimitive):
    """A number of parties that wait for each other."""

    @property
    @abstractmethod
    def parties(self) -> int:
        """How many are waited for."""

    @property
    @abstractmethod
    def n_waiting(self) -> int:
        """How many are waiting."""

    @property
    @abstractmethod
    def broken(self) -> bool:
        """Whether the barrier is broken."""

    @abstractmethod
    def wait(self, timeout: float | None = None) -> int:
        """Wait until all parties are here; returns a number from 0 to parties - 1, another for each.

        Blocks: until the last has come, or the timeout.
        Threads: any number at once.
        Buffers: none.
        Raises: BrokenBarrierError when it is broken, reset, timed out, or a party died waiting.
        Interrupted: the barrier breaks for the others.
        Peer death: the barrier breaks for the others.
        After fork: the parent's wait is the parent's.
        """

    @abstractmethod
    def reset(self) -> None:
        """Make it new; who waits gets BrokenBarrierError.

        Blocks: never.
        Threads: any number at once.
        Buffers: none.
        Raises: nothing.
        Interrupted: may be called again.
        Peer death: makes no difference.
        After fork: as before.
        """

    @abstractmethod
    def abort(self) -> None:
        """Break it.

        Blocks: never.
        Threads: any number at once.
        Buffers: none.
        Raises: nothing.
        Interrupted: may be called again.
        Peer death: makes no difference.
        After fork: as before.
        """
