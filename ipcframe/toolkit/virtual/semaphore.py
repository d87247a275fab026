"""Semaphore and BoundedSemaphore, on a counter."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from ... import abc
from ...abc import Notify, silent
from ...deadline import NEVER, NOW
from . import parts
from .lock import deadline_of
from .shims import SemLock

__all__ = ["MOST", "BoundedSemaphore", "Semaphore"]

MOST = 2**31 - 1
"""The largest value, as multiprocessing has it on Linux (SEM_VALUE_MAX)."""
_SEMAPHORE = 1


class Semaphore(abc.Semaphore):
    """A number of permits; see `ipcframe.abc.Semaphore`."""

    name: str | None = None
    notify: Notify = staticmethod(silent)
    _most = MOST

    def __init__(self, value: int = 1, *, ctx: Any) -> None:
        """Make one on the backend of `ctx`; raises ValueError for a value below 0 or above 2**31 - 1."""
        self._counter = parts.counter(ctx, _checked(value))

    def acquire(self, block: bool = True, timeout: float | None = None) -> bool:
        """Take a permit; see `ipcframe.abc.Semaphore.acquire`."""
        deadline = NEVER if block and timeout is None else deadline_of(block, timeout)
        return self._counter.change(-1, 0, MOST, deadline)

    def release(self) -> None:
        """Give a permit back; ValueError beyond the largest value."""
        if not self._counter.change(1, 0, self._most, NOW):
            raise ValueError("semaphore or lock released too many times")

    def get_value(self) -> int:
        """The number of permits left."""
        return self._counter.value

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *exception: object) -> None:
        self.release()

    def _value(self) -> int:
        return self._counter.value

    def _depth(self) -> int:
        return 0

    def _is_mine(self) -> bool:
        return False

    @cached_property
    def _semlock(self) -> SemLock:
        return SemLock(self, _SEMAPHORE, self._most)

    def __getstate__(self) -> tuple[Any, ...]:
        return self._counter, self._most, self.name, self.notify

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self._counter, self._most, self.name, self.notify = state

    def __repr__(self) -> str:
        return f"<{type(self).__name__}(value={self.get_value()})>"


class BoundedSemaphore(Semaphore, abc.BoundedSemaphore):
    """A semaphore that takes no more permits back than it began with; see `ipcframe.abc.BoundedSemaphore`."""

    def __init__(self, value: int = 1, owned: bool = False, *, ctx: Any) -> None:
        """Make one; `owned`, a permit belongs to the process that took it, and comes back if that dies."""
        self._most = _checked(value)
        self._counter = parts.counter(ctx, value, owned)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}(value={self.get_value()}, maxvalue={self._most})>"


def _checked(value: int) -> int:
    if not isinstance(value, int):
        raise TypeError(f"a semaphore's value is an integer, not {value!r}")
    if not 0 <= value <= MOST:
        raise ValueError(f"a semaphore's value is from 0 to {MOST}, not {value}")
    return value
