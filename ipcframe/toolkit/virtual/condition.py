"""Condition: a lock, and a line of those who wait for what it guards to change."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any

from ... import abc
from ...abc import Called
from ...deadline import NEVER, deadline_after
from . import parts
from .lock import Lock, RLock

__all__ = ["Condition"]


class Condition(abc.Condition):
    """A lock with a place to wait; see `ipcframe.abc.Condition`."""

    name: str | None = None

    def __init__(self, lock: Lock | RLock | None = None, *, ctx: Any) -> None:
        """Make one around a lock of ours, by default a new RLock; TypeError for anybody else's."""
        if lock is None:
            lock = RLock(ctx=ctx)
        if not isinstance(lock, Lock | RLock):
            raise TypeError(
                f"a Condition of ipcframe is made around a Lock or RLock of ipcframe, not {lock!r}"
            )
        self._attach(lock, parts.line(ctx), None)

    def _attach(self, lock: Lock | RLock, line: abc.Line, name: str | None) -> None:
        self._lock = lock
        self._line = line
        self.name = name
        self.acquire = lock.acquire  # type: ignore[method-assign]
        self.release = lock.release  # type: ignore[method-assign]

    def acquire(self, block: bool = True, timeout: float | None = None) -> bool:
        """Take the lock."""
        return self._lock.acquire(block, timeout)

    def release(self) -> None:
        """Give the lock back."""
        self._lock.release()

    def __enter__(self) -> bool:
        return self._lock.acquire()

    def __exit__(self, *exception: object) -> None:
        self._lock.release()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait to be notified; see `ipcframe.abc.Condition.wait`."""
        self._check_held("must acquire() condition before using wait()")
        deadline = NEVER if timeout is None else deadline_after(timeout)
        turn = self._line.enter(deadline=deadline)
        called = woken = False
        try:
            try:
                lock = self._lock._lock
                depth = lock.depth
                try:
                    lock.release(False)
                    # Of somebody who died in line before us nothing is left that concerns us.
                    while (why := turn.wait(deadline)) is Called.BEREFT:
                        pass
                    called = why is Called.CALLED
                finally:
                    # However often a handler raises meanwhile: the lock is held again before anything leaves.
                    raised = None
                    while True:
                        try:
                            if not self._lock._is_mine():
                                self._lock.acquire()
                            lock.depth = depth
                            break
                        except BaseException as error:  # noqa: BLE001 - it is raised below
                            raised = error
                    if raised is not None:
                        raise raised
            finally:
                try:
                    # One may have been called while it waited for the lock.
                    woken = called or turn.called()
                finally:
                    turn.leave()
            return woken
        except BaseException:
            if woken:
                self._line.call(1)  # the next one in line: this one will make nothing of it
            raise

    @property
    def owner_died(self) -> bool:
        """Whether the lock came to its present holder because the one before died with it."""
        return self._lock.owner_died

    def wait_for(self, predicate: Callable[[], Any], timeout: float | None = None) -> Any:
        """Wait until the predicate holds; see `ipcframe.abc.Condition.wait_for`."""
        deadline = NEVER if timeout is None else deadline_after(timeout)
        while not (result := predicate()):
            left = deadline.remaining()
            if not left:
                return result
            self.wait(None if left == math.inf else left)
        return result

    def notify(self, n: int = 1) -> None:
        """Wake up to `n` of those who wait."""
        self._check_held("lock is not owned")
        self._line.call(n)

    def notify_all(self) -> None:
        """Wake all who wait."""
        self.notify(sys.maxsize)

    def _check_held(self, text: str) -> None:
        if not self._lock._is_mine():
            raise AssertionError(text)

    # What tests of multiprocessing look at; the second counts those who woke and were not reckoned up yet.
    @property
    def _sleeping_count(self) -> _Count:
        return _Count(self._line.length())

    @property
    def _woken_count(self) -> _Count:
        return _Count(0)

    @property
    def _wait_semaphore(self) -> _Count:
        return _Count(0)

    def __getstate__(self) -> tuple[Any, ...]:
        return self._lock, self._line, self.name

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self._attach(*state)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}({self._lock!r}, {self._line.length()})>"


class _Count:
    """A number, as a semaphore has it."""

    def __init__(self, value: int) -> None:
        self._value = value

    def get_value(self) -> int:
        """The number."""
        return self._value

    _semlock = property(lambda self: self)
    _get_value = get_value
