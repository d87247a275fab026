"""The observer "trace", and the worked example of one.

Name it (``plugins = ["trace"]``, ``IPCFRAME_PLUGINS=trace``) and each event is one line on stderr, or in
the file that ``IPCFRAME_TRACE_FILE`` names: seconds of the monotonic clock, the process, what happened.
"""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from ipcframe.hookspecs import hookimpl

__all__ = [
    "ipcframe_object_created",
    "ipcframe_owner_died",
    "ipcframe_process_exited",
    "ipcframe_process_started",
]


@hookimpl
def ipcframe_object_created(kind: str, obj: object) -> None:
    """Write down what was made."""
    _write(f"created {kind} {obj!r}")


@hookimpl
def ipcframe_process_started(process: Any) -> None:
    """Write down who was started."""
    _write(f"started {process.name} (pid {process.pid})")


@hookimpl
def ipcframe_process_exited(process: Any) -> None:
    """Write down how it ended."""
    code = process.exitcode
    how = f"was killed by {_signal_name(-code)}" if code < 0 else f"exited with {code}"
    _write(f"{process.name} (pid {process.pid}) {how}")


@hookimpl
def ipcframe_owner_died(obj: object, pid: int) -> None:
    """Write down whose death was noticed."""
    _write(f"process {pid} died holding {obj!r}")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _write(event: str) -> None:
    # One write, so that lines of several processes do not mix.
    line = f"{time.monotonic():.6f} {os.getpid()} {event}\n".encode("utf-8", "backslashreplace")
    path = os.environ.get("IPCFRAME_TRACE_FILE")
    if path is None:
        os.write(2, line)
        return
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, line)
    finally:
        os.close(fd)
