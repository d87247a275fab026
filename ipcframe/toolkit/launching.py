"""What start methods on this machine share: how a process is held from the instant it exists.

A `Handle` is one of the standard library's launchers, taken apart. Those forget what they have made when they
fail or are interrupted. A handle owns it, and `Handle.launch` gives it out when the process runs; what comes
in between ends the process.
"""

from __future__ import annotations

import io
import os
import signal
from collections.abc import Callable
from itertools import starmap
from multiprocessing import context, popen_fork, reduction, resource_tracker, spawn, util
from typing import TYPE_CHECKING, Any, Self, cast

from . import forks
from .lifeline import Ends

if TYPE_CHECKING:
    from ..abc import Launched

__all__ = ["Handle", "pack", "tracker_fd", "undisturbed", "write"]

_tls: Any = cast(Any, context)._tls
_sigmask: Any = cast(
    Any, signal
)._signal.pthread_sigmask  # in C, and so not interrupted after it has blocked them
_tracker: dict[str, Any] = vars(resource_tracker)
_SIGNALS = frozenset(map(int, signal.valid_signals()))


class Handle(popen_fork.Popen):
    """A process that is being started, and then one that was."""

    pid: int
    sentinel: int
    finalizer: Any = None
    ends: Ends
    _generation: object = None
    _launched = False

    def __init__(self) -> None:
        # Not super(): it would launch.
        self.returncode: int | None = None
        self._pids: list[int] = []
        """The pid, as soon as there is one; a list, so that it can land in it (see `framing`, I1)."""
        self._statuses: list[tuple[int, int]] = []
        self._fds: list[int] = []
        """What the process is to inherit."""
        self._generation = forks.generation

    @classmethod
    def launch(cls, launched: Launched) -> Self:
        """Start a process; see `StartMethod.launch`."""
        util._flush_std_streams()  # type: ignore[attr-defined]
        handle = cls()
        try:
            handle._launch(launched)
            # Nothing can come between the last call in there and the caller's own store.
            handle._launched = True
            return handle
        except BaseException:
            handle.abandon()
            raise

    def poll(self, flag: int = os.WNOHANG) -> int | None:
        """The exit code, negative for a signal; None while the process runs."""
        if self.returncode is None:
            statuses = self._statuses
            try:
                statuses.extend(map(os.waitpid, (self.pid,), (flag,)))
                if statuses[-1][0] == 0:
                    del statuses[-1]
            except ChildProcessError:  # another thread has waited for it
                pass
            for pid, status in statuses:
                if pid:
                    self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def _launch(self, launched: Any) -> None:
        raise NotImplementedError

    def hold(self) -> Ends:
        """New ends for the process; those of an earlier try are given up."""
        if self.finalizer is not None:
            self.finalizer()
        self.ends = Ends()
        self.finalizer = self.ends.close
        self.sentinel = self.ends.sentinel
        return self.ends

    def abandon(self) -> None:
        """End the process, if there is one, and give everything up. Harmless when repeated."""
        if self._generation is not forks.generation:
            return
        if self._pids:
            self._kill(self._pids[0])
        self.close()

    def _kill(self, pid: int) -> None:
        try:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        except (ProcessLookupError, ChildProcessError):
            return

    def __del__(self) -> None:
        if not self._launched:
            self.abandon()  # which was interrupted


def undisturbed(step: Callable[[], int], landing: list[int], masks: list[set[int]]) -> None:
    """Let what the step returns land in a list, with all signals blocked; `masks` gets what was.

    Handlers run when it is there; but for those of signals that another thread receives, which may come right
    after it has landed. What the step starts has to put the mask right for itself.
    """
    before = _sigmask(signal.SIG_BLOCK, ())
    masks.append(before)
    try:
        _sigmask(signal.SIG_BLOCK, _SIGNALS)  # which may raise when it has done so: a signal came just before
        landing.extend(starmap(step, ((),)))
    finally:
        _sigmask(signal.SIG_SETMASK, before)


def tracker_fd() -> int:
    """The descriptor of the resource tracker, which is started if it does not run.

    The standard library then unblocks SIGINT and SIGTERM, whatever the caller has blocked; this does not.
    """
    before = _sigmask(signal.SIG_BLOCK, ())
    try:
        _sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
        _tracker["_HAVE_SIGMASK"] = False
        fd: int = _tracker["getfd"]()
        return fd
    finally:
        _tracker["_HAVE_SIGMASK"] = True
        _sigmask(signal.SIG_SETMASK, before)


def pack(handle: Handle, name: str, launched: object) -> memoryview:
    """The pickle of what the child needs first, its name and path and more, and then of what is launched.

    Raises what pickling raises. Descriptors in it are added to those that the process is to inherit.
    """
    first = spawn.get_preparation_data(name)
    packed = io.BytesIO()
    context.set_spawning_popen(cast(Any, handle))
    try:
        reduction.dump(first, packed)
        reduction.dump(launched, packed)
    finally:
        _tls.spawning_popen = None  # no call, which could be interrupted before it has done it
    return packed.getbuffer()


def write(lifeline: int, packed: memoryview) -> None:
    """Write it all to the child.

    Blocks: as long as the child does not read. One that dies at once is one that has exited.
    """
    try:
        while packed:
            packed = packed[os.write(lifeline, packed) :]
    except BrokenPipeError:
        return
