"""The start method "forkserver", over the standard library's launcher."""

from __future__ import annotations

import multiprocessing
from collections.abc import Mapping, Sequence
from typing import Any, cast

from ipcframe.abc import Launched, ProcessHandle, StartMethod
from ipcframe.capabilities import StartCapabilities
from ipcframe.hookspecs import hookimpl
from ipcframe.settings import Sourced

__all__ = ["ForkServerMethod", "ipcframe_start_method"]


_FOR_CHILDREN = ("ipcframe.process", "ipcframe.toolkit.stream", "multiprocessing.popen_forkserver")


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
        from multiprocessing import forkserver
        from multiprocessing.popen_forkserver import Popen

        # What every child of ours imports, the server imports once; it looks at this when it starts.
        server: Any = forkserver._forkserver
        server._preload_modules = list(dict.fromkeys([*server._preload_modules, *_FOR_CHILDREN]))
        return cast(ProcessHandle, Popen(cast(Any, launched)))

    def preload(self, modules: Sequence[str]) -> None:
        """Have the server import these; it takes effect when the server starts, with the first process."""
        from multiprocessing.forkserver import set_forkserver_preload

        set_forkserver_preload(list(modules))


@hookimpl
def ipcframe_start_method(name: str, settings: Mapping[str, Sourced]) -> StartMethod | None:
    """Answer to our name."""
    return ForkServerMethod() if name == ForkServerMethod.name else None
