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

    from . import (
        abc,
        connection,
        context,
        dummy,
        errors,
        managers,
        pool,
        process,
        queues,
        shared_memory,
        sharedctypes,
        synchronize,
    )
    from ._default import (
        Array,
        AuthenticationError,
        Barrier,
        BoundedSemaphore,
        Condition,
        Event,
        JoinableQueue,
        Lock,
        Manager,
        Pipe,
        Pool,
        ProcessError,
        Queue,
        RawArray,
        RawValue,
        RLock,
        Semaphore,
        SimpleQueue,
        TimeoutError,  # noqa: A004 - its name there
        Value,
        active_children,
        allow_connection_pickling,
        cpu_count,
        current_process,
        freeze_support,
        get_all_start_methods,
        get_logger,
        get_start_method,
        log_to_stderr,
        parent_process,
        reducer,
        set_executable,
        set_forkserver_preload,
        set_start_method,
    )
    from ._plugins import register
    from .abc import Channel, Connection
    from .capabilities import Capabilities, StartCapabilities
    from .config import configure
    from .context import Context, get_context
    from .dropin import install
    from .errors import (
        AddressInUse,
        AddressTooLong,
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
        HandleLost,
        HandshakeFailed,
        HandshakeTimedOut,
        IpcframeError,
        IpcframeWarning,
        MessageTooLarge,
        OutOfSharedMemory,
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

_NAMES = {
    "": (
        "abc connection context dummy errors managers pool process queues shared_memory "
        "sharedctypes synchronize"
    ),
    "_default": (
        "Array AuthenticationError Barrier BoundedSemaphore Condition Event JoinableQueue Lock "
        "Manager Pipe Pool ProcessError Queue RLock RawArray RawValue Semaphore SimpleQueue "
        "TimeoutError Value active_children allow_connection_pickling cpu_count current_process "
        "freeze_support get_all_start_methods get_logger get_start_method log_to_stderr "
        "parent_process reducer set_executable set_forkserver_preload set_start_method"
    ),
    "_plugins": "register",
    "abc": "Channel Connection",
    "capabilities": "Capabilities StartCapabilities",
    "config": "configure",
    "context": "Context get_context",
    "dropin": "install",
    "errors": (
        "AddressInUse AddressTooLong "
        "BackendBroken BackendNotFound BackendUnavailable BrokenConnection BufferTooShort "
        "ClosedError ConfigError DuplicateBackend EndOfStream FallbackWarning HandleLost "
        "HandshakeFailed HandshakeTimedOut IpcframeError IpcframeWarning MessageTooLarge "
        "OutOfSharedMemory OwnerDiedWarning PeerGone PluginBroken PluginNotFound PluginUnavailable "
        "QueueLimitReached RemoteError TimedOut UnsupportedOperation"
    ),
    "hookspecs": "hookimpl",
    "process": "Process",
}
"""Which module each name comes from; submodules come first."""
_HOMES = {name: module for module, names in _NAMES.items() for name in names.split()}

__all__ = [
    "AddressInUse",
    "AddressTooLong",
    "Array",
    "AuthenticationError",
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
    "HandleLost",
    "HandshakeFailed",
    "HandshakeTimedOut",
    "IpcframeError",
    "IpcframeWarning",
    "JoinableQueue",
    "Lock",
    "Manager",
    "MessageTooLarge",
    "OutOfSharedMemory",
    "OwnerDiedWarning",
    "PeerGone",
    "Pipe",
    "PluginBroken",
    "PluginNotFound",
    "PluginUnavailable",
    "Pool",
    "Process",
    "ProcessError",
    "Queue",
    "QueueLimitReached",
    "RLock",
    "RawArray",
    "RawValue",
    "RemoteError",
    "Semaphore",
    "SimpleQueue",
    "StartCapabilities",
    "TimedOut",
    "TimeoutError",
    "UnsupportedOperation",
    "Value",
    "__version__",
    "abc",
    "active_children",
    "allow_connection_pickling",
    "configure",
    "connection",
    "context",
    "cpu_count",
    "current_process",
    "dummy",
    "errors",
    "freeze_support",
    "get_all_start_methods",
    "get_context",
    "get_logger",
    "get_start_method",
    "hookimpl",
    "install",
    "log_to_stderr",
    "managers",
    "parent_process",
    "pool",
    "process",
    "queues",
    "reducer",
    "register",
    "set_executable",
    "set_forkserver_preload",
    "set_start_method",
    "shared_memory",
    "sharedctypes",
    "synchronize",
]


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
