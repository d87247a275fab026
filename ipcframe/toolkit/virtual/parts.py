"""What the derived objects are made of: the backend's own parts, or the toolkit's for one host."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

from ...abc import Backend, Counter, Line, OwnedLock
from ...errors import UnsupportedOperation
from ..ground import new_counter, new_line, new_lock

__all__ = ["backend_of", "counter", "line", "need", "owned_lock"]


stand_in: Callable[[Any], Any] | None = None
"""What `ipcframe.install` puts here: our context for one of multiprocessing's own, or for none."""


def backend_of(ctx: Any) -> Backend:
    """The backend that `ctx`, a context of ours or a backend, stands for; TypeError for anything else."""
    backend = ctx if isinstance(ctx, Backend) else getattr(ctx, "backend", None)
    if stand_in is not None and not isinstance(backend, Backend):
        backend = getattr(stand_in(ctx), "backend", None)
    if not isinstance(backend, Backend):
        raise TypeError(f"ctx is to be a context of ipcframe or a backend, not {ctx!r}")
    return backend


def owned_lock(ctx: Any) -> OwnedLock:
    """A lock to stand on."""
    backend = backend_of(ctx)
    own = backend.owned_lock()
    if own is None:
        _need_one_host(backend)
        return new_lock()
    return own


def counter(ctx: Any, value: int = 0, owned: bool = False) -> Counter:
    """A counter to stand on."""
    backend = backend_of(ctx)
    own = backend.counter(value, owned)
    if own is None:
        _need_one_host(backend)
        return new_counter(value, owned)
    return own


def line(ctx: Any) -> Line:
    """A line to stand on."""
    backend = backend_of(ctx)
    own = backend.line()
    if own is None:
        _need_one_host(backend)
        return new_line()
    return own


def need(backend: Backend, what: str, there: bool, remedy: str) -> None:
    """Raise UnsupportedOperation unless it is there."""
    if not there:
        raise UnsupportedOperation(
            f"the backend {backend.name!r} makes no queue or primitive here: it needs {what}", remedy
        )


def _need_one_host(backend: Backend) -> None:
    need(
        backend,
        "owned locks, counters and lines of its own, because it crosses hosts",
        not backend.capabilities.crosses_hosts,
        "choose a backend for one host, or have its author supply them",
    )
    need(
        backend,
        "record locks on files in memory",
        os.name == "posix" and sys.platform not in ("emscripten", "wasi"),
        "choose a backend that has primitives of its own",
    )
