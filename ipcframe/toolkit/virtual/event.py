"""Event: a counter that is 0 or 1."""

from __future__ import annotations

from typing import Any

from ... import abc
from ...abc import Notify, silent
from ...deadline import NEVER, deadline_after
from . import parts

__all__ = ["Event"]


class Event(abc.Event):
    """A flag to wait for; see `ipcframe.abc.Event`."""

    name: str | None = None
    notify: Notify = staticmethod(silent)

    def __init__(self, *, ctx: Any) -> None:
        """Make one on the backend of `ctx`, not set."""
        self._flag = parts.counter(ctx, 0)

    def is_set(self) -> bool:
        """Whether the flag is set."""
        return self._flag.value != 0

    def set(self) -> None:
        """Set the flag, and wake all who wait."""
        self._flag.set(1)

    def clear(self) -> None:
        """Clear the flag."""
        self._flag.set(0)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the flag is set; see `ipcframe.abc.Event.wait`."""
        if self._flag.value:
            return True
        deadline = NEVER if timeout is None else deadline_after(timeout)
        return self._flag.change(0, 1, 1, deadline)

    def __getstate__(self) -> tuple[Any, ...]:
        return self._flag, self.name, self.notify

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self._flag, self.name, self.notify = state

    def __repr__(self) -> str:
        return f"<{type(self).__name__} at {id(self):#x} {'set' if self.is_set() else 'unset'}>"
