"""The file at the path of a listening socket: how it is taken, and that only its owner's death frees it.

A path is taken by bind(2), which never replaces anything. What stands in the way is removed only if it is the
file of a socket that is dead, which is found out and done under a lock on the folder (flock(2)). Of several
listeners that start at once, on a path where a dead one has left its file, one gets it:

S1  A file whose socket is dead stays dead: bind makes a new file each time. So what was seen dead under the
    lock is dead when it is removed, unless another file has taken its place meanwhile.
S2  None has: while a file is there nobody can bind, and others who would remove it wait for the lock. Its
    owner removes it while its own socket lives, so that nobody finds it dead before.
S3  Who has removed it may lose the path to one that binds right then, and gets an error: nobody loses it whom
    bind has given it.

Whether a socket lives is asked by connecting with one of another type. The system refuses that: by one error
if the socket lives, also before it listens, and by another if it is dead. No listener notices it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import stat

from ..deadline import deadline_after
from ..errors import AddressInUse
from . import addresses
from .guard import pause
from .sockets import Socket

__all__ = ["bind", "identity", "remove"]

_LOCK_TIMEOUT = 5.0
"""How long another may hold the lock on the folder, in seconds; it takes microseconds."""
_Path = str | bytes


def bind(sock: socket.SocketType, path: _Path, mode: int) -> None:
    """Take the path for the socket; its file has these permissions before anybody can connect.

    The file of a dead socket is replaced. Raises `AddressInUse` if anything else is there.
    """
    # Until it listens nobody can connect. The file has the mode of the socket, but where a system does not
    # do that.
    with contextlib.suppress(OSError):
        os.fchmod(sock.fileno(), mode)
    try:
        try:
            addresses.bind(sock, path)
        except AddressInUse:
            with _FolderLock(path):
                _remove_dead(path)
                addresses.bind(sock, path)
        if stat.S_IMODE(os.lstat(path).st_mode) != mode:
            os.chmod(path, mode)  # noqa: PTH101 - it may be bytes
    except BaseException:
        if sock.getsockname():
            with contextlib.suppress(OSError):
                os.unlink(path)  # noqa: PTH108 - it may be bytes
        raise


def identity(path: _Path) -> tuple[int, int]:
    """What tells the file from another one that is there later, while the socket lives."""
    found = os.lstat(path)
    return found.st_dev, found.st_ino


def remove(path: _Path, known: tuple[int, int]) -> None:
    """Remove the file of a socket that still lives (S2), if it is there."""
    with contextlib.suppress(OSError):
        if identity(path) == known:
            os.unlink(path)  # noqa: PTH108 - it may be bytes


def _remove_dead(path: _Path) -> None:
    """Remove what is there, if it is the file of a dead socket."""
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise AddressInUse(
                f"the address {os.fsdecode(path)!r} is in use: what is there is no socket, and stays",
                "use another path, or remove it yourself",
            )
        if _lives(path):
            raise AddressInUse(
                f"the address {os.fsdecode(path)!r} is in use: a listener lives there",
                "use another address, or end that listener, with all processes that have inherited it",
            )
        os.unlink(path)  # noqa: PTH108 - it may be bytes
    except FileNotFoundError:
        pass


def _lives(path: _Path) -> bool:
    probe = Socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        probe.connect(path)
    except ConnectionRefusedError:
        return False
    except PermissionError:
        raise AddressInUse(
            f"the address {os.fsdecode(path)!r} is in use: the file of another user's socket is there",
            "use another address, or remove the file if no listener lives there",
        ) from None
    except OSError as error:
        if error.errno != errno.EPROTOTYPE:
            raise
    return True


class _FolderLock:
    """The lock on the folder of a path; it is given up when nobody holds this object, at the latest."""

    __slots__ = ("_fds", "_path")

    def __init__(self, path: _Path) -> None:
        self._path = path
        folder = os.path.dirname(os.path.abspath(path))  # noqa: PTH100, PTH120 - it may be bytes
        self._fds: list[int] = []
        self._fds.extend(map(os.open, (folder,), (os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC,)))

    def __enter__(self) -> None:
        deadline = deadline_after(_LOCK_TIMEOUT)
        tries = 0
        while True:
            try:
                fcntl.flock(self._fds[0], fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if deadline.expired:
                    raise AddressInUse(
                        f"the address {os.fsdecode(self._path)!r} is in use, and another process keeps its "
                        f"folder locked for more than {_LOCK_TIMEOUT:g} s",
                        "end that process (`lslocks` shows it), or use a folder of your own",
                    ) from None
            tries += 1
            pause(tries)

    def __exit__(self, *exception: object) -> None:
        fcntl.flock(self._fds[0], fcntl.LOCK_UN)  # a child that was forked meanwhile has it open, too
        self.__del__()

    def __del__(self) -> None:
        if getattr(self, "_fds", None):
            # In one call: whoever is interrupted between the two would leave it open, or close it twice.
            any(map(os.close, map(self._fds.pop, (0,))))
