"""The start method "spawn", over the standard library's launcher."""

from __future__ import annotations

import multiprocessing
from collections.abc import Mapping

from ipcframe.abc import Launched, ProcessHandle, StartMethod
from ipcframe.capabilities import StartCapabilities
from ipcframe.hookspecs import hookimpl
from ipcframe.settings import Sourced

__all__ = ["SpawnMethod", "ipcframe_start_method"]


class SpawnMethod(StartMethod):
    """A child by "spawn": a fresh interpreter, which imports what it needs."""

    name = "spawn"
    label = "Spawn"
    capabilities = StartCapabilities(imports_main=True)

    @classmethod
    def unavailable_reason(cls) -> str | None:
        """What is missing, if anything."""
        if cls.name not in multiprocessing.get_all_start_methods():
            return f"this Python has no {cls.name!r} on this system"
        return None

    def launch(self, launched: Launched) -> ProcessHandle:
        """Start it; see `StartMethod.launch`."""
        from .launcher import SpawnHandle

        return SpawnHandle.launch(launched)


@hookimpl
def ipcframe_start_method(name: str, settings: Mapping[str, Sourced]) -> StartMethod | None:
    """Answer to our name."""
    return SpawnMethod() if name == SpawnMethod.name else None
