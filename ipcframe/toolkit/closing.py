"""Who closes an endpoint wakes the threads of its process that are parked on it: poll() does not.

Each thread that parks takes the *bell* of the moment, an eventfd, and sleeps on it beside what it waits for.
Who closes something takes that bell away and rings it, after its descriptors are closed: the bell is readable
from then on, for all who have it. Who parks later makes another. So nobody counts the sleepers, and none of
them has anything to reset; they look at what they wait for, and find it open or closed.

A bell that was taken before the ring is rung, one that was made after it belongs to a thread that finds the
descriptor closed, unless its number is another's by then. For that instant, and where there are no eventfds,
a parked thread looks again now and then: see `waiting`.
"""

from __future__ import annotations

import contextlib
import os

__all__ = ["Bell", "bell", "ring"]


class Bell:
    """An eventfd that is rung at most once; its holders keep it open."""

    __slots__ = ("_fds",)

    def __init__(self) -> None:
        self._fds: list[int] = []
        with contextlib.suppress(OSError, AttributeError):  # no descriptor left, or not on Linux
            self._fds.extend(map(os.eventfd, (0,), (os.EFD_CLOEXEC | os.EFD_NONBLOCK,)))

    def fileno(self) -> int:
        """What becomes readable; -1 where there is nothing."""
        return self._fds[0] if self._fds else -1

    def ring(self) -> None:
        """Wake whoever has it, now and later."""
        for fd in self._fds:
            os.eventfd_write(fd, 1)

    def close(self) -> None:
        """Nobody here sleeps on it any more."""
        while self._fds:
            os.close(self._fds.pop())

    def __del__(self) -> None:
        self.close()


_current: dict[str, Bell] = {}
"""The bell of the moment, if there is one: each change is one operation of a dict."""


def bell() -> Bell:
    """The bell to park on: keep it until you are awake."""
    found = _current.get("bell")
    if found is None:
        made = Bell()
        found = _current.setdefault("bell", made) if made.fileno() >= 0 else made
    return found


def ring() -> None:
    """Wake whoever is parked in this process: something was closed."""
    found = _current.pop("bell", None)
    if found is not None:
        found.ring()


def _in_child() -> None:
    found = _current.pop("bell", None)
    if found is not None:
        found.close()


os.register_at_fork(after_in_child=_in_child)
