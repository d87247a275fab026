"""How a process is asked for at the fork server, and the server at the system."""

from __future__ import annotations

import array
import contextlib
import errno
import multiprocessing.forkserver
import multiprocessing.popen_forkserver
import os
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from multiprocessing import spawn, util
from select import POLLIN, poll
from typing import Any

from ipcframe.abc import Launched
from ipcframe.toolkit.launching import Handle, pack, tracker_fd, undisturbed, write
from ipcframe.toolkit.lifeline import forking
from ipcframe.toolkit.memory import anonymous_file

from .server import MOST_INHERITED, NUMBER, REQUEST
from .server import __name__ as server_module

__all__ = ["ForkServer", "ForkServerHandle", "fork_server"]

_standard: Any = multiprocessing.forkserver._forkserver
_util: Any = util
_FOR_CHILDREN = (
    "ipcframe.process",
    "ipcframe.toolkit.stream",
    "multiprocessing.popen_forkserver",
    "pkgutil",  # the main module is run by it
)
"""What every child of ours imports, the server imports once."""
# A stream keeps what comes with descriptors apart from the rest just as well.
_KIND = socket.SOCK_SEQPACKET if sys.platform == "linux" else socket.SOCK_STREAM
_ENDED = (errno.EPIPE, errno.ECONNRESET, errno.EBADF)
"""What asking a server comes to that has ended, or that another thread has given up."""
_TRIES = 3
_UNKNOWN = 255
"""The exit code of a child whose server was killed, as in multiprocessing."""
_DYING = 200
"""Milliseconds within which a server that has lost a request is seen to be dead, or has refused it."""


class _Server:
    """A server that was started; our end of its socket is closed when the last thread has let go of it."""

    def __init__(self, pid: int, control: socket.socket) -> None:
        self.pid = pid
        self.control = control

    def ask(self, fds: Sequence[int]) -> None:
        """Ask for a process that has these descriptors."""
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))
        try:
            self.control.sendmsg([REQUEST.pack(len(fds))], [rights])
        except OSError as error:
            if error.errno not in _ENDED:
                raise

    def has_ended(self, flag: int = os.WNOHANG) -> bool:
        """Whether the server has ended, in whatever way."""
        try:
            return os.waitpid(self.pid, flag) != (0, 0)
        except ChildProcessError:  # the program has waited for it
            return True

    def has_answered(self, sentinel: int) -> bool:
        """Whether something is told of the process with this sentinel; False if the server has ended instead.

        Blocks: until one or the other.
        """
        poller = poll()
        poller.register(sentinel, POLLIN)
        poller.register(self.control, 0)  # which tells of its end all the same
        poller.poll()
        poller.unregister(self.control)
        return bool(poller.poll(0))  # what was told before that end is there by now

    def is_ending(self) -> bool:
        """Whether that is why it has lost a request."""
        poller = poll()
        poller.register(self.control, 0)
        return bool(poller.poll(_DYING))

    def __del__(self) -> None:
        self.control.close()


class ForkServer:
    """The fork server of this process: started when it is first needed, and again when it has ended.

    It has the names by which programs and tests reach for multiprocessing's. The list of modules to import is
    the same for both.
    """

    connect_to_new_process = staticmethod(_standard.connect_to_new_process)
    get_inherited_fds = staticmethod(_standard.get_inherited_fds)
    set_forkserver_preload = staticmethod(_standard.set_forkserver_preload)

    def __init__(self) -> None:
        self._server: _Server | None = None
        self._lock = threading.RLock()  # a signal handler may start a process, too
        os.register_at_fork(after_in_child=self._begin_anew)

    @property
    def _forkserver_pid(self) -> int | None:
        return None if self._server is None else self._server.pid

    @property
    def _preload_modules(self) -> list[str]:
        modules: list[str] = _standard._preload_modules
        return modules

    @_preload_modules.setter
    def _preload_modules(self, modules: list[str]) -> None:
        _standard._preload_modules = modules

    def ensure_running(self) -> None:
        """See to it that a server runs; OSError if it cannot be started.

        One that is started here has imported nothing of the program's: only the first process that is started
        tells it what must be known before.
        """
        self.running(ForkServerHandle(), "")

    def running(self, handle: Handle, name: str) -> _Server:
        """The server; it is started if there is none, with what it needs to know from a process's name."""
        with self._lock:
            tracker_fd()
            if self._server is not None and self._server.has_ended():
                self._server = None
            if self._server is None:
                self._start(handle, name)
            assert self._server is not None
            return self._server

    def lost(self, server: _Server) -> None:
        """A server gave no answer: let there be another one, if it has ended; OSError if it has not."""
        with self._lock:
            if not server.is_ending():
                raise OSError(errno.EMFILE, "the fork server has no descriptors left")
            server.has_ended(0)
            if self._server is server:
                self._server = None

    def _start(self, handle: Handle, name: str) -> None:
        # What is imported beforehand sees what it would see in a child: its parent's path, arguments, folder,
        # and what has been installed and configured there.
        modules = [*(self._preload_modules if name else ()), *_FOR_CHILDREN]
        boot = os.fdopen(anonymous_file("ipcframe-forkserver"), "wb")
        with boot:
            boot.write(pack(handle, name, modules))
            boot.flush()
            # Told to ignore the environment, it would not find us where its parent has found us.
            path = spawn.get_preparation_data("")["sys_path"]
            python = [spawn.get_executable(), *_util._args_from_interpreter_flags(), "-c"]
            program = f"import sys; sys.path[:] = {path!a}; from {server_module} import main; main"
            masks: list[set[int]] = []

            def start() -> int:
                ours, theirs = socket.socketpair(socket.AF_UNIX, _KIND)
                with theirs:
                    passed = theirs.fileno(), boot.fileno()
                    command = [*python, f"{program}{(*passed, os.getpid(), sorted(masks[0]))}"]
                    try:
                        pid: int = _util.spawnv_passfds(python[0], command, passed)
                    except OSError:
                        ours.close()
                        raise
                self._server = _Server(pid, ours)
                return pid

            with forking:
                undisturbed(start, [], masks)

    def _begin_anew(self) -> None:
        """In a forked child: the server is its parent's."""
        self._lock = threading.RLock()
        server, self._server = self._server, None
        if server is not None:
            server.control.close()  # threads that are not here any more may not have let go of it

    def _stop(self) -> None:
        """Let the server end when its last child has, and wait for that; multiprocessing's tests call it."""
        with self._lock:
            server, self._server = self._server, None
            if server is not None:
                with contextlib.suppress(OSError):
                    server.control.shutdown(socket.SHUT_RDWR)
                server.has_ended(0)


fork_server = ForkServer()


class ForkServerHandle(Handle, multiprocessing.popen_forkserver.Popen):
    """A process that the fork server forks."""

    def __init__(self) -> None:
        super().__init__()
        self._told: list[bytes] = []
        self._telling = threading.RLock()

    def _launch(self, launched: Launched) -> None:
        packed = pack(self, launched._name, launched)
        if len(self._fds) > MOST_INHERITED:
            raise ValueError(
                f"{len(self._fds)} descriptors for a process are too many: it can have {MOST_INHERITED}"
            )
        if not any(self._ask(launched._name) for _ in range(_TRIES)):
            raise ChildProcessError(
                f"{_TRIES} fork servers have ended before they could fork; see stderr for why"
            )
        write(self.ends.lifeline, packed)

    def _ask(self, name: str) -> bool:
        """Ask for the process; False if the server has ended meanwhile, and another may be asked."""
        server = fork_server.running(self, name)
        ends = self.hold()
        self._told.clear()
        server.ask([ends.life, ends.parent_sentinel, tracker_fd(), *self._fds])
        ends.close_childs()
        if server.has_answered(ends.sentinel):
            self._told.extend(map(os.read, (ends.sentinel,), (NUMBER.size,)))
        if not self._told or not self._told[0]:
            fork_server.lost(server)
            return False
        (number,) = NUMBER.unpack(self._told[0])
        if number < 0:
            raise OSError(-number, f"the fork server could not fork: {os.strerror(-number)}")
        self._pids = [number]
        self.pid = number
        os.set_blocking(ends.sentinel, False)
        return True

    def poll(self, flag: int = os.WNOHANG) -> int | None:
        """The exit code, negative for a signal; None while the process runs."""
        if self.returncode is None and self._is_told(0 if flag == os.WNOHANG else None):
            told = self._told[1]
            self.returncode = NUMBER.unpack(told)[0] if told else _UNKNOWN
        return self.returncode

    def _is_told(self, patience: int | None) -> bool:
        """Whether the process has ended, waiting for it if `patience` is None."""
        poller = poll()
        poller.register(self.sentinel, POLLIN)
        if not poller.poll(patience):
            return False
        with contextlib.suppress(BlockingIOError), self._telling:  # a signal handler may have read it all
            if len(self._told) < 2:
                self._told.extend(map(os.read, (self.sentinel,), (NUMBER.size,)))
        return True

    def _send_signal(self, sig: int) -> None:
        self.poll()  # once it has ended, its pid may be another's
        super()._send_signal(sig)  # type: ignore[misc]

    def _kill(self, pid: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
