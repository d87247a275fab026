"""The default context: what the functions of `ipcframe` are methods of.

It is whatever `default_context` gives at the moment: configuration may come after the import.
"""

from __future__ import annotations

import multiprocessing
from multiprocessing import AuthenticationError, ProcessError, TimeoutError  # noqa: A004 - its name there
from multiprocessing import reduction as reducer

from . import _plugins, context
from ._factories import Factories
from .context import Context
from .settings import Sourced

__all__ = [
    "AuthenticationError",
    "DefaultContext",
    "ProcessError",
    "TimeoutError",
    "get_all_start_methods",
    "reducer",
]


class DefaultContext(Factories):
    """Stands for the context that the configuration asks for, and keeps the chosen start method."""

    def __init__(self) -> None:
        self._in_use = False

    def get_context(self, method: str | None = None) -> Context:  # type: ignore[override]
        """The context of this start method; see `ipcframe.get_context`."""
        self._in_use = True
        return context.default_context() if method is None else context.get_context(method)

    def get_start_method(self, allow_none: bool = False) -> str | None:  # type: ignore[override]
        """The name of the default start method; None if `allow_none` and nothing has needed it yet."""
        if allow_none and not self._in_use and context.choice is None:
            return None
        return self.get_context().get_start_method()

    def set_start_method(self, method: str | None, force: bool = False) -> None:
        """Choose the start method of the default context, before anything has used it.

        For programs that know it from multiprocessing; it counts more than the configuration. RuntimeError
        when it has been chosen or used already, unless `force`; None takes the choice back (with `force`).
        Raises as `get_context` does for a name that is unknown.
        """
        if (self._in_use or context.choice is not None) and not force:
            raise RuntimeError("context has already been set")
        if method is None:
            context.choice, self._in_use = None, False
            return
        context.get_context(method)  # raises
        context.choice = Sourced(method, "set_start_method")


def get_all_start_methods() -> list[str]:
    """The names of the start methods that are there: multiprocessing's in its order, then others' own."""
    names = [offer.name for offer in _plugins.offers("start_method")]
    standard = multiprocessing.get_all_start_methods()
    names.sort(key=lambda name: standard.index(name) if name in standard else len(standard))
    return list(dict.fromkeys(names))


_context = DefaultContext()

Array = _context.Array
Barrier = _context.Barrier
BoundedSemaphore = _context.BoundedSemaphore
Condition = _context.Condition
Event = _context.Event
JoinableQueue = _context.JoinableQueue
Lock = _context.Lock
Manager = _context.Manager
Pipe = _context.Pipe
Pool = _context.Pool
Queue = _context.Queue
RLock = _context.RLock
RawArray = _context.RawArray
RawValue = _context.RawValue
Semaphore = _context.Semaphore
SimpleQueue = _context.SimpleQueue
Value = _context.Value
active_children = _context.active_children
allow_connection_pickling = _context.allow_connection_pickling
cpu_count = _context.cpu_count
current_process = _context.current_process
freeze_support = _context.freeze_support
get_logger = _context.get_logger
get_start_method = _context.get_start_method
log_to_stderr = _context.log_to_stderr
parent_process = _context.parent_process
set_executable = _context.set_executable
set_forkserver_preload = _context.set_forkserver_preload
set_start_method = _context.set_start_method
