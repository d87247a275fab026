"""How a process is started as a fresh interpreter, over the standard library's launcher."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from multiprocessing import popen_spawn_posix, spawn, util
from typing import Any, cast

from ipcframe.abc import Launched
from ipcframe.toolkit import lifeline
from ipcframe.toolkit.launching import Handle, pack, tracker_fd, undisturbed, write

__all__ = ["SpawnHandle"]


class _Living:
    """Arrives as what is launched, in a process that keeps its end of the sentinel from its own forks."""

    def __init__(self, launched: Launched, life: int) -> None:
        self._restored = launched, life

    def __reduce__(self) -> tuple[Any, ...]:
        return lifeline.living, self._restored


class SpawnHandle(Handle, popen_spawn_posix.Popen):
    """A process that began as a fresh interpreter."""

    def _launch(self, launched: Launched) -> None:
        tracker = tracker_fd()
        ends = self.hold()
        packed = pack(self, launched._name, _Living(launched, ends.life))
        command = spawn.get_command_line(tracker_fd=tracker, pipe_handle=ends.parent_sentinel)
        inherited = [*self._fds, tracker, ends.parent_sentinel, ends.life]
        masks: list[set[int]] = []

        def start() -> int:
            pid: int = cast(Any, util).spawnv_passfds(command[0], _unblocking(command, *masks), inherited)
            return pid

        if getattr(sys, "frozen", False):  # what it runs is not ours to begin
            self._pids.append(start())
        else:
            undisturbed(start, self._pids, masks)
        self.pid = self._pids[0]
        ends.close_childs()
        write(ends.lifeline, packed)


def _unblocking(command: list[str], mask: Iterable[int] | None = None) -> list[str]:
    """The command, for an interpreter that is started with all signals blocked."""
    if mask is None:
        return command
    *python, program, mark = command
    unblock = f"import signal; signal.pthread_sigmask(signal.SIG_SETMASK, {sorted(mask)}); "
    return [*python, unblock + program, mark]
