"""The start method "fork", over the standard library's launcher."""

from __future__ import annotations

import multiprocessing
from collections.abc import Mapping

from ipcframe.abc import Launched, ProcessHandle, StartMethod
from ipcframe.capabilities import StartCapabilities
from ipcframe.hookspecs import hookimpl
from ipcframe.settings import Sourced

from .launcher import ForkHandle

__all__ = ["ForkMethod", "ipcframe_start_method"]


class ForkMethod(StartMethod):
    """A child by "fork": the child is a copy of its parent, and inherits everything."""

    name = "fork"
    label = "Fork"
    capabilities = StartCapabilities(inherits_memory=True, forked=True)

    @classmethod
    def unavailable_reason(cls) -> str | None:
        """What is missing, if anything."""
        if cls.name not in multiprocessing.get_all_start_methods():
            return f"this Python has no {cls.name!r} on this system"
        return None

    def launch(self, launched: Launched) -> ProcessHandle:
        """Start it; see `StartMethod.launch`."""
        return ForkHandle.launch(launched)


@hookimpl
def ipcframe_start_method(name: str, settings: Mapping[str, Sourced]) -> StartMethod | None:
    """Answer to our name."""
    return ForkMethod() if name == ForkMethod.name else None
