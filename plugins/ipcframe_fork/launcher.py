"""How a process is forked, over the standard library's launcher."""

from __future__ import annotations

import atexit
import os
import sys
from multiprocessing import util
from typing import Any, cast

from ipcframe.abc import Launched
from ipcframe.toolkit.launching import Handle, undisturbed
from ipcframe.toolkit.lifeline import passing

__all__ = ["ForkHandle"]


class ForkHandle(Handle):
    """A process that began as a copy of this one."""

    def _launch(self, launched: Launched) -> None:
        ends = self.hold()
        try:
            try:
                passing.ends = ends
                undisturbed(os.fork, self._pids, [])
            finally:
                passing.ends = None  # also after a failure: this thread's next fork may be anybody's
            self.pid = self._pids[0]
            if self.pid == 0:
                _run(launched, ends.parent_sentinel)
            ends.close_childs()
        finally:
            # Nothing, not even a signal, may let the copy go on as if it were its parent.
            if self._pids == [0]:
                os._exit(1)


def _run(launched: Launched, parent_sentinel: int) -> None:
    code = 1
    try:
        if sys.version_info >= (3, 13):
            cast(Any, atexit)._clear()
            atexit.register(cast(Any, util)._exit_function)
        code = launched._bootstrap(parent_sentinel)
    finally:
        if sys.version_info >= (3, 13):
            cast(Any, atexit)._run_exitfuncs()
        os._exit(code)
