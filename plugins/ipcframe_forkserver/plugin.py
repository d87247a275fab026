"""The start method "forkserver", with a fork server of its own."""

from __future__ import annotations

import multiprocessing
from collections.abc import Mapping, Sequence
from typing import Any

from ipcframe.abc import Launched, ProcessHandle, StartMethod
from ipcframe.capabilities import StartCapabilities
from ipcframe.hookspecs import hookimpl
from ipcframe.settings import Sourced

__all__ = ["ForkServerMethod", "ipcframe_start_method"]


class ForkServerMethod(StartMethod):
    """A child by "forkserver": forked from a clean server process, which has imported what was preloaded."""

    name = "forkserver"
    label = "ForkServer"
    capabilities = StartCapabilities(forked=True, imports_main=True, preloads=True)

    @classmethod
    def unavailable_reason(cls) -> str | None:
        """What is missing, if anything."""
        if cls.name not in multiprocessing.get_all_start_methods():
            return f"this Python has no {cls.name!r} on this system"
        return None

    def launch(self, launched: Launched) -> ProcessHandle:
        """Start it; see `StartMethod.launch`."""
        from .launcher import ForkServerHandle

        return ForkServerHandle.launch(launched)

    def preload(self, modules: Sequence[str]) -> None:
        """Have the server import these; it takes effect when the server starts, with the first process."""
        from multiprocessing.forkserver import set_forkserver_preload

        set_forkserver_preload(list(modules))

    def drop_ins(self) -> dict[str, Any]:
        """Our server, and what starts it."""
        from .launcher import fork_server

        theirs = "multiprocessing.forkserver"
        return {f"{theirs}._forkserver": fork_server, f"{theirs}.ensure_running": fork_server.ensure_running}


@hookimpl
def ipcframe_start_method(name: str, settings: Mapping[str, Sourced]) -> StartMethod | None:
    """Answer to our name."""
    return ForkServerMethod() if name == ForkServerMethod.name else None
