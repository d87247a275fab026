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
        PeerGone,
        PluginBroken,
        PluginNotFound,
        PluginUnavailable,
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
    "BrokenConnection",
    "BufferTooShort",
    "Capabilities",
    "Channel",
    "ClosedError",
    "ConfigError",
    "Connection",
    "Context",
    "DuplicateBackend",
    "EndOfStream",
    "FallbackWarning",
    "IpcframeError",
    "IpcframeWarning",
    "MessageTooLarge",
    "PeerGone",
    "Pipe",
    "PluginBroken",
    "PluginNotFound",
    "PluginUnavailable",
    "Process",
    "RemoteError",
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
    from .context import get_context

    return get_context().Pipe(duplex, name=name, backend=backend)


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
