"""multiprocessing with the transport as a plugin, and nothing hangs.

    import ipcframe

    ctx = ipcframe.get_context("spawn", backend="pipe")
    ours, theirs = ctx.Pipe()

Names are imported when they are first used; importing this package loads nothing else.
"""

from __future__ import annotations

import importlib

__version__ = "0.1.0.dev0"

TYPE_CHECKING = False  # what type checkers take for true; importing typing would cost 3 ms in every child
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from . import abc, connection, errors
    from ._plugins import register
    from .abc import Channel, Connection
    from .capabilities import Capabilities, StartCapabilities
    from .config import configure
    from .context import Context, get_context
    from .dropin import install
    from .errors import (
        BackendBroken,
        BackendNotFound,
        BackendUnavailable,
        BrokenConnection,
        BufferTooShort,
        ClosedError,
        ConfigError,
        DuplicateBackend,
        EndOfStream,
        FallbackWarning,
        IpcframeError,
        IpcframeWarning,
        MessageTooLarge,
        OwnerDiedWarning,
        PeerGone,
        PluginBroken,
        PluginNotFound,
        PluginUnavailable,
        QueueLimitReached,
        RemoteError,
        TimedOut,
        UnsupportedOperation,
    )
    from .hookspecs import hookimpl
    from .process import Process

_HOMES = {
    "abc": "",
    "connection": "",
    "errors": "",
    "register": "_plugins",
    "Channel": "abc",
    "Connection": "abc",
    "Capabilities": "capabilities",
    "StartCapabilities": "capabilities",
    "configure": "config",
    "Context": "context",
    "get_context": "context",
    "install": "dropin",
    "hookimpl": "hookspecs",
    "Process": "process",
    "BackendBroken": "errors",
    "BackendNotFound": "errors",
    "BackendUnavailable": "errors",
    "BrokenConnection": "errors",
    "BufferTooShort": "errors",
    "ClosedError": "errors",
    "ConfigError": "errors",
    "DuplicateBackend": "errors",
    "EndOfStream": "errors",
    "FallbackWarning": "errors",
    "IpcframeError": "errors",
    "IpcframeWarning": "errors",
    "MessageTooLarge": "errors",
    "OwnerDiedWarning": "errors",
    "QueueLimitReached": "errors",
    "PeerGone": "errors",
    "PluginBroken": "errors",
    "PluginNotFound": "errors",
    "PluginUnavailable": "errors",
    "RemoteError": "errors",
    "TimedOut": "errors",
    "UnsupportedOperation": "errors",
}

__all__ = [
    "BackendBroken",
    "BackendNotFound",
    "BackendUnavailable",
    "Barrier",
    "BoundedSemaphore",
    "BrokenConnection",
    "BufferTooShort",
    "Capabilities",
    "Channel",
    "ClosedError",
    "Condition",
    "ConfigError",
    "Connection",
    "Context",
    "DuplicateBackend",
    "EndOfStream",
    "Event",
    "FallbackWarning",
    "IpcframeError",
    "IpcframeWarning",
    "JoinableQueue",
    "Lock",
    "MessageTooLarge",
    "OwnerDiedWarning",
    "PeerGone",
    "Pipe",
    "PluginBroken",
    "PluginNotFound",
    "PluginUnavailable",
    "Process",
    "Queue",
    "QueueLimitReached",
    "RLock",
    "RemoteError",
    "Semaphore",
    "SimpleQueue",
    "StartCapabilities",
    "TimedOut",
    "UnsupportedOperation",
    "__version__",
    "abc",
    "configure",
    "connection",
    "errors",
    "get_context",
    "hookimpl",
    "install",
    "register",
]


def Pipe(  # noqa: N802 - multiprocessing's name
    duplex: bool = True, *, name: str | None = None, backend: str | None = None
) -> tuple[Connection, Connection]:
    """Two connected ends of the default context; see `Context.Pipe`."""
    return _default().Pipe(duplex, name=name, backend=backend)


def Queue(  # noqa: N802 - multiprocessing's name
    maxsize: int = 0, *, name: str | None = None, backend: str | None = None
) -> abc.Queue:
    """A queue of the default context; see `Context.Queue`."""
    return _default().Queue(maxsize, name=name, backend=backend)


def JoinableQueue(  # noqa: N802 - multiprocessing's name
    maxsize: int = 0, *, name: str | None = None, backend: str | None = None
) -> abc.JoinableQueue:
    """A queue with `task_done` and `join`; see `Context.JoinableQueue`."""
    return _default().JoinableQueue(maxsize, name=name, backend=backend)


def SimpleQueue(  # noqa: N802 - multiprocessing's name
    *, name: str | None = None, backend: str | None = None
) -> abc.Queue:
    """A queue without a bound; see `Context.SimpleQueue`."""
    return _default().SimpleQueue(name=name, backend=backend)


def Lock(*, name: str | None = None, backend: str | None = None) -> abc.Lock:  # noqa: N802 - as above
    """A lock of the default context; see `Context.Lock`."""
    return _default().Lock(name=name, backend=backend)


def RLock(*, name: str | None = None, backend: str | None = None) -> abc.RLock:  # noqa: N802 - as above
    """A lock that its thread may acquire again; see `Context.RLock`."""
    return _default().RLock(name=name, backend=backend)


def Semaphore(  # noqa: N802 - multiprocessing's name
    value: int = 1, *, name: str | None = None, backend: str | None = None
) -> abc.Semaphore:
    """A number of permits; see `Context.Semaphore`."""
    return _default().Semaphore(value, name=name, backend=backend)


def BoundedSemaphore(  # noqa: N802 - multiprocessing's name
    value: int = 1, *, owned: bool = False, name: str | None = None, backend: str | None = None
) -> abc.BoundedSemaphore:
    """A semaphore that takes no more back than it began with; see `Context.BoundedSemaphore`."""
    return _default().BoundedSemaphore(value, owned=owned, name=name, backend=backend)


def Condition(  # noqa: N802 - multiprocessing's name
    lock: abc.Lock | abc.RLock | None = None, *, name: str | None = None, backend: str | None = None
) -> abc.Condition:
    """A lock with a place to wait; see `Context.Condition`."""
    return _default().Condition(lock, name=name, backend=backend)


def Event(*, name: str | None = None, backend: str | None = None) -> abc.Event:  # noqa: N802 - as above
    """A flag to wait for; see `Context.Event`."""
    return _default().Event(name=name, backend=backend)


def Barrier(  # noqa: N802 - multiprocessing's name
    parties: int,
    action: Callable[[], object] | None = None,
    timeout: float | None = None,
    *,
    name: str | None = None,
    backend: str | None = None,
) -> abc.Barrier:
    """A number of parties that wait for each other; see `Context.Barrier`."""
    return _default().Barrier(parties, action, timeout, name=name, backend=backend)


def _default() -> Context:
    from .context import get_context

    return get_context()


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = _HOMES[name]
    module = importlib.import_module(f"{__name__}.{home or name}")
    value = getattr(module, name) if home else module
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
