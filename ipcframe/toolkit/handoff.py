"""Moving an endpoint to another process: descriptors travel with its pickle.

While a child is being started they are inherited or passed to the fork server. At other times a ticket
travels, for which the `sharer` of the sending process gives the descriptor to whoever unpickles first.
"""

from __future__ import annotations

import os
from multiprocessing.context import get_spawning_popen
from multiprocessing.reduction import DupFd
from typing import Any, Protocol

from .arrival import Arrival
from .sharer import Departure, Owner

__all__ = ["Passed", "pass_fd", "receive_fd"]


class Passed(Protocol):
    """A descriptor on its way to another process; it pickles."""

    def detach(self) -> int:
        """The descriptor, in the process that unpickled it; at most once."""
        ...


def pass_fd(fd: int | None, owner: Owner | None = None) -> Passed | None:
    """What stands for the descriptor in a pickle; None for None.

    It is duplicated when that is pickled, unless it has an owner, which is kept alive then and keeps it open.
    """
    if fd is None:
        return None
    if get_spawning_popen() is None:
        return Departure(fd, owner)
    passed: Any = DupFd(fd)
    return passed  # type: ignore[no-any-return]


def receive_fd(passed: Passed | None) -> int | None:
    """The descriptor that `pass_fd` sent, now this process's own and closed on exec.

    Raises `HandleLost` when the process that sent it has ended, or does not answer.
    """
    if passed is None:
        return None
    fd = passed.detach()
    if not isinstance(passed, Arrival):
        os.set_inheritable(fd, False)  # a child that was spawned has inherited it
    return fd
