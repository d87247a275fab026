"""Lock and RLock, on an owned lock."""

from __future__ import annotations

import sys
import warnings
from functools import cached_property
from threading import get_ident
from typing import Any

from ... import abc
from ...abc import Notify, Taking, silent
from ...deadline import NEVER, NOW, Deadline, deadline_after
from ...errors import OwnerDiedWarning
from . import parts
from .shims import SemLock, owner_name

__all__ = ["Lock", "RLock", "deadline_of"]

_RECURSIVE, _SEMAPHORE = 0, 1
_INHERITED = Taking.INHERITED


def deadline_of(block: bool, timeout: float | None) -> Deadline:
    """The deadline that the arguments of ``acquire`` mean."""
    if timeout is None:
        return NEVER if block else NOW
    deadline = deadline_after(timeout)
    return deadline if block else NOW


def _callers_level() -> int:
    """How far up the line is that took the lock: ``acquire`` and ``with`` go different ways."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename == __file__:
        level, frame = level + 1, frame.f_back
    return level


class _Owned:
    """What both locks share."""

    name: str | None = None
    notify: Notify = staticmethod(silent)
    _kind = _SEMAPHORE

    def __init__(self, *, ctx: Any) -> None:
        """Make one on the backend of `ctx`; raises UnsupportedOperation where it cannot be."""
        self._lock = parts.owned_lock(ctx)

    @property
    def owner_died(self) -> bool:
        """Whether it came to its present holder because the one before died with it."""
        return self._lock.inherited_from != 0

    def _tell(self) -> None:
        """Tell that the holder before has died."""
        pid = self._lock.inherited_from
        self.notify("owner_died", obj=self, pid=pid)
        which = f"the {type(self).__name__} {self.name!r}" if self.name else repr(type(self).__name__)
        text = f"process {pid} died holding {which}; what it guards may be half changed"
        warnings.warn(text, OwnerDiedWarning, stacklevel=_callers_level())

    def _is_mine(self) -> bool:
        lock = self._lock
        return lock.mine and lock.thread == get_ident()

    def _depth(self) -> int:
        return self._lock.depth if self._lock.mine else 0

    def _value(self) -> int:
        return 0 if self._lock.holder else 1

    @cached_property
    def _semlock(self) -> SemLock:
        return SemLock(self, self._kind, 1)

    def __getstate__(self) -> tuple[Any, ...]:
        return self._lock, self.name, self.notify

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self._lock, self.name, self.notify = state


class Lock(_Owned, abc.Lock):
    """A lock; see `ipcframe.abc.Lock`."""

    def acquire(self, block: bool = True, timeout: float | None = None) -> bool:
        """Take it; see `ipcframe.abc.Lock.acquire`."""
        deadline = NEVER if block and timeout is None else deadline_of(block, timeout)
        lock = self._lock
        taking = lock.acquire(deadline)
        if not taking:
            return False
        if taking is _INHERITED:
            try:
                self._tell()
            except BaseException:  # the warning too, where the program has made it an error
                lock.release(False)
                raise
        return True

    def release(self) -> None:
        """Give it back; ValueError when nobody holds it."""
        if not self._lock.release():
            raise ValueError("semaphore or lock released too many times")

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *exception: object) -> None:
        self.release()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}(owner={owner_name(self)})>"


class RLock(_Owned, abc.RLock):
    """A lock that its thread may acquire again; see `ipcframe.abc.RLock`."""

    _kind = _RECURSIVE

    def acquire(self, block: bool = True, timeout: float | None = None) -> bool:
        """Take it, once more if this thread has it; see `ipcframe.abc.Lock.acquire`."""
        deadline = NEVER if block and timeout is None else deadline_of(block, timeout)
        lock = self._lock
        if lock.mine and lock.thread == get_ident():
            lock.depth += 1
            return True
        taking = lock.acquire(deadline)
        if not taking:
            return False
        if taking is _INHERITED:
            try:
                self._tell()
            except BaseException:  # the warning too, where the program has made it an error
                lock.release(False)
                raise
        return True

    def release(self) -> None:
        """Give it back once; AssertionError when this thread does not hold it."""
        lock = self._lock
        if not (lock.mine and lock.thread == get_ident()):
            raise AssertionError("attempt to release recursive lock not owned by thread")
        if lock.depth > 1:
            lock.depth -= 1
            return
        lock.release(False)

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *exception: object) -> None:
        self.release()

    def __repr__(self) -> str:
        name = owner_name(self)
        mine = name not in ("None", "SomeOtherThread", "SomeOtherProcess")
        count: int | str = self._depth() if mine else 0 if name == "None" else "nonzero"
        return f"<{type(self).__name__}({name}, {count})>"
