"""The fork server: the process that forks the others, because it is small, clean, and has no threads.

It serves the one process that has started it, over a pair of sockets of which nobody else holds an end. So
there is no name, and nobody to check: who cannot have the descriptor cannot ask. A request is one packet, a
`REQUEST`, with all the descriptors of the child: those of `Ends`, the resource tracker's, and what the child
inherits. What is no whole request is dropped. What the child runs comes through its own pipe, so that the
server waits for nobody.

What becomes of a request is told through the child's end, in `NUMBER`: first the pid, or an errno in the
negative; then, when the child has ended, the exit code.
"""

from __future__ import annotations

import array
import atexit
import contextlib
import errno
import gc
import importlib
import io
import os
import pickle
import signal
import socket
import struct
import sys
from multiprocessing import forkserver, process, resource_tracker, spawn, util
from select import POLLHUP, POLLIN, poll

from ipcframe.toolkit.lifeline import keep_from_forks

TYPE_CHECKING = False  # every child has this module, and typing seldom
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any, NoReturn

__all__ = ["MOST_INHERITED", "NUMBER", "REQUEST", "main"]

REQUEST = struct.Struct("=H")
"""How many descriptors come with it."""
NUMBER = struct.Struct("=q")
_FIXED = 3
_MOST = 253
"""So many descriptors fit into a packet: SCM_MAX_FD of unix(7)."""
MOST_INHERITED = _MOST - _FIXED
_ENOUGH = 65536

_standard: Any = forkserver
_atexit: Any = atexit
_util: Any = util


def main(control: int, boot: int, client: int, mask: Iterable[int]) -> None:
    """Serve the process `client` as long as it lives, through the socket `control`.

    In the file `boot` is what a child is told before its main module is imported, and what to import here.
    All signals are blocked while a server is started; `mask` is what was blocked before. Ctrl-C is meant for
    others, from the beginning.
    """
    signal.pthread_sigmask(signal.SIG_SETMASK, {*mask, signal.SIGINT})
    _util._close_stdin()
    with open(boot, "rb") as file:
        file.seek(0)
        preparation = pickle.load(file)  # noqa: S301 - it comes from our own parent
        modules = pickle.load(file)  # noqa: S301 - as above
    _preload(preparation, modules)
    _util._flush_std_streams()  # or each child would print again what an import has printed
    gc.freeze()  # what is there now no child need look through, and so copy
    server = _Server(control, client, mask)
    try:
        server.serve()
    finally:
        # Not the whole end of an interpreter: that waits for threads, which an import may have started.
        _atexit._run_exitfuncs()
        _util._flush_std_streams()
        os._exit(0)


def _preload(preparation: dict[str, Any], modules: Sequence[str]) -> None:
    """Import what each child would import; whatever goes wrong, the children are not to suffer."""
    main_module = {key: preparation.pop(key) for key in list(preparation) if key.startswith("init_main")}
    for key in ("name", "log_to_stderr", "log_level"):  # a matter of each child
        preparation.pop(key, None)
    me: Any = process.current_process()
    me._inheriting = True  # nobody starts processes here
    try:
        spawn.prepare(preparation)
        for name in modules:
            try:
                if name == "__main__":
                    spawn.prepare(main_module)
                else:
                    importlib.import_module(name)
            except ImportError:
                continue
            except BaseException:  # noqa: BLE001 - and what is wrong with the main module, each child will say
                if name != "__main__":
                    sys.stderr.write(f"the fork server could not import {name}:\n")
                    sys.excepthook(*sys.exc_info())
    finally:
        del me._inheriting


class _Server:
    def __init__(self, control: int, client: int, mask: Iterable[int]) -> None:
        self._control = socket.socket(fileno=control)
        self._control.setblocking(False)
        self._mask = frozenset(mask)
        self._lives: dict[int, int] = {}
        """By the pid of a child, the end of it through which is told what becomes of it."""
        self._woken, self._wake = os.pipe()
        os.set_blocking(self._wake, False)
        self._spare = _duplicate(self._woken)
        """Given up to receive a request when nothing else is left: it is refused instead of lost."""
        self._watch = -1
        with contextlib.suppress(AttributeError, OSError):  # else the end of the socket must do
            self._watch = os.pidfd_open(client)
        self._client = client
        self._handlers = {
            signal.SIGCHLD: signal.signal(signal.SIGCHLD, lambda *_: None),
            signal.SIGINT: signal.signal(signal.SIGINT, signal.SIG_IGN),
        }
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask - {signal.SIGCHLD})

    def serve(self) -> None:
        """Serve until the client has ended; when it asks for no more, until the last child has ended."""
        poller = poll()
        for fd in (self._control.fileno(), self._woken, self._watch):
            if fd >= 0:
                poller.register(fd, POLLIN)
        asked = os.getppid() == self._client  # else it had ended before it could be watched
        while asked or self._lives:
            events = dict(poller.poll())
            if self._watch in events:
                return
            if self._woken in events:
                self._bury()
            event = events.get(self._control.fileno(), 0)
            if event & POLLIN:
                self._answer()
            if event & POLLHUP:
                asked = False
                poller.unregister(self._control)

    def _bury(self) -> None:
        """Tell of the children that have ended."""
        os.read(self._woken, _ENOUGH)
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            life = self._lives.pop(pid, -1)
            if life >= 0:  # else an import has started it
                # Nobody reads the second number: so the sentinel stays readable.
                _tell(life, os.waitstatus_to_exitcode(status), 0)
                os.close(life)

    def _answer(self) -> None:
        """Take one request, and do what it asks for."""
        if self._spare >= 0:
            os.close(self._spare)
        fds = array.array("i")
        try:
            space = socket.CMSG_SPACE(_MOST * fds.itemsize)
            request, ancillary, flags, _ = self._control.recvmsg(REQUEST.size, space, _CLOSED_ON_EXEC)
            for level, kind, data in ancillary:
                if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                    fds.frombytes(data[: len(data) // fds.itemsize * fds.itemsize])
            if flags & socket.MSG_TRUNC:
                request = b""
        except OSError:
            request = b""
        kept = -1
        if len(request) == REQUEST.size and fds:
            kept = self._fork(fds, REQUEST.unpack(request)[0])
        for fd in fds:
            if fd != kept:
                os.close(fd)
        self._spare = _duplicate(self._woken)

    def _fork(self, fds: Sequence[int], count: int) -> int:
        """Fork a child that has these descriptors; returns the one to keep, or -1."""
        life = fds[0]
        os.set_blocking(life, False)
        if len(fds) != count or count < _FIXED:
            _tell(life, -errno.EMFILE)
            return -1
        try:
            pid = os.fork()
        except OSError as error:
            _tell(life, -(error.errno or errno.EAGAIN))
            return -1
        if pid == 0:
            self._become_child(fds)
        self._lives[pid] = life
        _tell(life, pid)
        return life

    def _become_child(self, fds: Sequence[int]) -> NoReturn:
        code = 1
        try:
            if sys.version_info >= (3, 13):
                _atexit._clear()
                _atexit.register(_util._exit_function)
            code = self._run(*fds)
        except Exception:  # noqa: BLE001 - what a child raises where nobody can catch it
            sys.excepthook(*sys.exc_info())
            sys.stderr.flush()
        finally:
            if sys.version_info >= (3, 13):
                _atexit._run_exitfuncs()
            os._exit(code)

    def _run(self, life: int, parent_sentinel: int, tracker: int, *inherited: int) -> int:
        signal.set_wakeup_fd(-1)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
        self._control.close()
        for fd in (self._woken, self._wake, self._watch, *self._lives.values()):
            if fd >= 0:
                os.close(fd)
        # Should the server be killed, it is open as long as this process lives. What this one forks lets go.
        keep_from_forks(life)
        resource_tracker._resource_tracker._fd = tracker  # type: ignore[attr-defined]
        _standard._forkserver._inherited_fds = inherited
        incoming = io.BufferedReader(_Incoming(parent_sentinel))
        me: Any = process.current_process()
        me._inheriting = True
        try:
            spawn.prepare(pickle.load(incoming))  # noqa: S301 - it comes from our own parent
            launched = pickle.load(incoming)  # noqa: S301 - as above
        finally:
            del me._inheriting
        code: int = launched._bootstrap(parent_sentinel)
        return code


class _Incoming(io.RawIOBase):
    """What the parent sends. If it gives up, or dies, before that is all, there shall be no child."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        size = os.readv(self._fd, (buffer,))
        if size == 0:
            os._exit(0)
        return size


_CLOSED_ON_EXEC: int = getattr(socket, "MSG_CMSG_CLOEXEC", 0)


def _duplicate(fd: int) -> int:
    try:
        return os.dup(fd)
    except OSError:
        return -1


def _tell(life: int, *numbers: int) -> None:
    try:
        os.write(life, b"".join(map(NUMBER.pack, numbers)))
    except (BlockingIOError, BrokenPipeError):
        return  # nobody wants to know
