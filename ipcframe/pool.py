"""Pool and ThreadPool: the standard library's, with our processes and queues.

What is its own there stays as it is: a task whose worker is killed is lost, and its result never comes. But
the other tasks go on, a new worker takes the place, and `terminate` ends.
"""

from __future__ import annotations

import multiprocessing
import select
import signal
import sys
from collections.abc import Callable, Iterable
from functools import partial
from multiprocessing.pool import (  # type: ignore[attr-defined]  # not all of them are in the stubs
    CLOSE,
    INIT,
    RUN,
    TERMINATE,
    ApplyResult,
    AsyncResult,
    ExceptionWithTraceback,
    IMapIterator,
    IMapUnorderedIterator,
    MapResult,
    MaybeEncodingError,
    RemoteTraceback,
    mapstar,
    rebuild_exc,
    starmapstar,
    worker,
)
from multiprocessing.pool import Pool as _Pool
from multiprocessing.pool import ThreadPool as _ThreadPool
from multiprocessing.process import BaseProcess
from typing import Any

from .context import default_context
from .toolkit.lifeline import end_with_parent

_standard: Any = _Pool
_threads: Any = _ThreadPool

__all__ = [
    "CLOSE",
    "INIT",
    "RUN",
    "TERMINATE",
    "ApplyResult",
    "AsyncResult",
    "ExceptionWithTraceback",
    "IMapIterator",
    "IMapUnorderedIterator",
    "MapResult",
    "MaybeEncodingError",
    "Pool",
    "RemoteTraceback",
    "ThreadPool",
    "mapstar",
    "rebuild_exc",
    "starmapstar",
    "worker",
]


class Pool(_Pool):
    """A number of processes that work off tasks; see `multiprocessing.pool.Pool`.

    Without a `context`, those of the default context. They end with their parent, killed or not. Ctrl-C ends
    them without a traceback of each: the one that says where the program was is the parent's.
    """

    def __init__(
        self,
        processes: int | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
        maxtasksperchild: int | None = None,
        context: Any | None = None,
    ) -> None:
        # Not by overriding it: so do programs, and not all of them call the original.
        made: Any = self
        made.Process = preparation = _Preparation(self.Process)
        # By its name: after `ipcframe.install` also objects of the standard library's classes come here.
        _Pool.__init__(self, processes, initializer, initargs, maxtasksperchild, context or default_context())
        preparation.in_thread = True

    def _repopulate_pool(self) -> None:
        # Ctrl-C may come while they start, and be printed by each.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            _standard._repopulate_pool(self)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _setup_queues(self) -> None:
        made: Any = self
        _standard._setup_queues(made)
        made._outqueue._reader.fileno()  # a backend that has none says so, before threads wait for it
        made._quick_get = partial(_sleep_and_get, made._outqueue._reader)


class ThreadPool(Pool, _ThreadPool):
    """A number of threads that work off tasks; see `multiprocessing.pool.ThreadPool`."""

    def __init__(
        self,
        processes: int | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
    ) -> None:
        Pool.__init__(self, processes, initializer, initargs)

    _repopulate_pool = _standard._repopulate_pool
    _setup_queues = _threads._setup_queues


def _sleep_and_get(reader: Any) -> Any:
    """Get a result, without looking for it again and again first: that holds up the other threads."""
    poller = select.poll()
    poller.register(reader, select.POLLIN)
    poller.poll()
    return reader.recv()


_FAULTS = {"SIGABRT", "SIGBUS", "SIGFPE", "SIGILL", "SIGSEGV", "SIGSYS", "SIGTRAP"}
_SIGNALS = {one for one in signal.valid_signals() if getattr(one, "name", "") not in _FAULTS}


class _Preparation:
    """Makes a pool's workers: first in the thread that makes the pool, later in one that replaces the dead.

    The latter must take no signal. Ctrl-C is for all processes of a terminal: when workers have died of it,
    this thread is just forking others, and a thread that forks may be handed the parent's own. Python's
    handler would then wait for the main thread, which is in `Pool.map`, and which nothing else wakes.
    """

    def __init__(self, make: Callable[..., Any]) -> None:
        self._make = make
        inherited = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        self._unblocked = sorted(int(one) for one in _SIGNALS - inherited)
        self.in_thread = False

    def __call__(self, *args: Any, **kwds: Any) -> Any:
        process = self._make(*args, **kwds)
        if isinstance(process, BaseProcess):
            if self.in_thread:
                signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
            worker: Any = process
            worker._target = partial(_work, self._unblocked, worker._target)
        return process


def _work(unblocked: list[int], job: Callable[..., None], *args: Any) -> None:
    """What a worker's process runs."""
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, unblocked)
        if not multiprocessing.current_process().daemon:  # else it ends with its parent anyway
            parent: Any = multiprocessing.parent_process()
            end_with_parent(parent._sentinel)
        job(*args)
    except KeyboardInterrupt:
        sys.exit(1)  # the exit code of an exception
