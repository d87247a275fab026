"""Moving an endpoint to another process: descriptors travel with its pickle.

While a child is being started they are inherited or passed to the fork server; at other times the
standard library's resource sharer hands out a duplicate to whoever unpickles first.
"""

from __future__ import annotations

from multiprocessing.reduction import DupFd
from typing import Any, Protocol

__all__ = ["Passed", "pass_fd", "receive_fd"]


class Passed(Protocol):
    """A descriptor on its way to another process; it pickles."""

    def detach(self) -> int:
        """The descriptor, in the process that unpickled it; at most once."""
        ...


def pass_fd(fd: int | None) -> Passed | None:
    """What stands for the descriptor in a pickle; None for None."""
    if fd is None:
        return None
    passed: Any = DupFd(fd)
    return passed  # type: ignore[no-any-return]


def receive_fd(passed: Passed | None) -> int | None:
    """The descriptor that `pass_fd` sent, now this process's own and closed on exec."""
    return None if passed is None else passed.detach()
