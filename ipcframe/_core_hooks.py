"""The core's own hook implementations, which wrappers wrap; loaded with pluggy, and not before."""

from __future__ import annotations

from typing import Any

from ._observers import make_one, make_one_channel, make_pair
from .abc import Backend, Channel, Connection
from .hookspecs import hookimpl

__all__ = ["ipcframe_make_channel", "ipcframe_make_connection_pair", "ipcframe_make_object"]


@hookimpl(trylast=True)
def ipcframe_make_connection_pair(
    backend: Backend, duplex: bool, name: str | None
) -> tuple[Connection, Connection]:
    """Ask the backend."""
    return make_pair(backend, duplex, name)


@hookimpl(trylast=True)
def ipcframe_make_channel(backend: Backend, name: str | None) -> Channel:
    """Ask the backend."""
    return make_one_channel(backend, name)


@hookimpl(trylast=True)
def ipcframe_make_object(backend: Backend, kind: str, args: tuple[Any, ...], name: str | None) -> Any:
    """Ask the backend, or derive it."""
    return make_one(backend, kind, args, name)
