"""The plugin that answers to "loopback"; `pyproject.toml` names this module."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from ipcframe.abc import Backend, Channel, Connection, Counter, Line, OwnedLock
from ipcframe.capabilities import Capabilities
from ipcframe.hookspecs import hookimpl
from ipcframe.settings import Setting, Size, Sourced

from .channel import PACKET_SIZE, LoopbackChannel
from .connection import connect
from .ground import LoopbackCounter, LoopbackLine, LoopbackLock
from .queues import JoinableQueue, Queue, SimpleQueue

__all__ = ["LoopbackBackend", "ipcframe_backend"]

_QUEUES: dict[str, type[Queue]] = {
    "queue": Queue,
    "joinable_queue": JoinableQueue,
    "simple_queue": SimpleQueue,
}


class LoopbackBackend(Backend):
    """Every interface, between the threads of one process."""

    name = "loopback"
    capabilities = Capabilities(channel=True, packet_size=PACKET_SIZE, in_process=True)
    settings = (Setting("buffer", Size, 64 * 1024, "bytes under way in each direction of a connection"),)

    @classmethod
    def unavailable_reason(cls) -> str | None:
        """Why it cannot run here; see `Backend.unavailable_reason`."""
        if not getattr(sys, "_is_gil_enabled", lambda: True)():
            return "it relies on the GIL, which is off; run this Python with PYTHON_GIL=1"
        return None

    def connection_pair(self, duplex: bool) -> tuple[Connection, Connection]:
        """Two ends; see `Backend.connection_pair`."""
        return connect(duplex, self.configured["buffer"].value)

    def channel(self) -> Channel:
        """A channel; see `Backend.channel`."""
        return LoopbackChannel()

    def native(self, kind: str, *args: Any) -> Any:
        """The queues; the toolkit derives the primitives from what follows. See `Backend.native`."""
        return _QUEUES[kind](*args) if kind in _QUEUES else None

    def owned_lock(self) -> OwnedLock:
        """A lock to stand on; see `Backend.owned_lock`."""
        return LoopbackLock()

    def counter(self, value: int, owned: bool) -> Counter:
        """A counter to stand on; see `Backend.counter`."""
        return LoopbackCounter(value, owned)

    def line(self) -> Line:
        """A line to stand on; see `Backend.line`."""
        return LoopbackLine()


@hookimpl
def ipcframe_backend(name: str, settings: Mapping[str, Sourced]) -> Backend | None:
    """Answer to our name."""
    return LoopbackBackend(settings) if name == LoopbackBackend.name else None
