"""Blocks of memory with a name, as in `multiprocessing.shared_memory`: `SharedMemory` and `ShareableList`.

They are subclasses of the standard library's, with its signatures. A block is removed by `unlink()`; or, when
all processes of the program have ended without that, by multiprocessing's resource tracker. It is told of a
block by who creates it, and by nobody else: whoever attaches may come and go.
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import operator
import os
import sys
import time
from multiprocessing import popen_fork, resource_tracker, util
from multiprocessing import shared_memory as _shared_memory
from types import FunctionType

from .deadline import deadline_after
from .errors import OutOfSharedMemory
from .toolkit.launching import tracker_fd

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, TypeVar

    _Item = TypeVar("_Item", int, float, bool, str, bytes, None)
else:
    _Item = None

__all__ = ["ShareableList", "SharedMemory"]

_standard: Any = _shared_memory
_list: Any = _shared_memory.ShareableList
_posixshmem: Any = _standard._posixshmem
_tracker: Any = resource_tracker._resource_tracker

_PIECE = 1024 * 1024
"""Reserved in one call, which a signal undoes (older kernels) or has to wait for (newer ones)."""
_BEING_MADE = 1.0
"""Seconds for which an empty block may be one that is just being made."""
_MANY = 1000


class SharedMemory(_shared_memory.SharedMemory):
    """A block of shared memory with a name, new or existing.

    - `name`: the block's; a new one may be given None and gets a name of its own.
    - `create`: make a new block, and raise FileExistsError if there is one of this name. Else attach to the
      one that is there, and raise FileNotFoundError if there is none.
    - `size`: of a new block, in bytes; ignored when attaching.
    - `track`: have the resource tracker unlink a new block when the program has ended without doing so. The
      tracker cannot be told of a name with a colon, a line break or what is not ASCII. Of a block that is
      attached to, it is told nothing.

    A new block is reserved: `OutOfSharedMemory` is raised where there is no room for it, and no access to it
    can fail later. That takes about 0.1 ms for each MiB. To attach waits only, for up to a second, while the
    block is just being made.

    Pickled, it is its name, and is attached to where it arrives. A process that is killed leaves the block to
    the others. A child that was forked by `os.fork` before the tracker ran, and not by multiprocessing, has
    a tracker of its own, and what it creates ends with it.
    """

    _name: str | None
    _fd: int
    _flags: int
    _mode: int
    _prepend_leading_slash: bool

    def __init__(
        self, name: str | None = None, create: bool = False, size: int = 0, *, track: bool = True
    ) -> None:
        size = operator.index(size)
        if size < 0 or (create and size == 0):
            raise ValueError(f"a block of shared memory has a positive size, not {size}")
        if name is not None:
            if "\0" in name:
                raise ValueError(f"the name of a block of shared memory has no NUL, and {name!r} has")
            name = f"/{name}" if self._prepend_leading_slash else name
        self._track = track
        if create:
            self._flags = os.O_CREAT | os.O_EXCL | os.O_RDWR
            self._create(name, size)
        elif name is not None:
            self._attach(name)
        else:
            raise ValueError("a block of shared memory that is there already has a name; or say create=True")

    def _create(self, name: str | None, size: int) -> None:
        try:
            if name is None:
                self._open_new()
            else:
                self._name = name
                if self._track:
                    resource_tracker.ensure_running()  # it takes its time, and not between the next two
                self._open()
                self._register()
            _reserve(self._fd, size, self.name)
            self._map()
        except BaseException:
            if self._fd >= 0:
                with contextlib.suppress(FileNotFoundError):
                    self.unlink()
            raise

    def _open_new(self) -> None:
        """Open a block under a new name, of which the tracker knows before: no kill leaves it behind.

        A given name is registered afterwards: had another process just made a block of that name, to take the
        registration back would take theirs back.
        """
        while self._fd < 0:
            self._name = _standard._make_filename()
            try:
                self._register()
                self._open()
            except FileExistsError:
                continue
            finally:
                if self._fd < 0:
                    _forget(self._name)

    def _attach(self, name: str) -> None:
        self._name = name
        self._open()
        deadline = deadline_after(_BEING_MADE)
        while not (status := os.fstat(self._fd)).st_size and not deadline.expired:
            if status.st_nlink == 0:  # its creator has given up
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
            time.sleep(0.001)
        self._map()

    def _open(self) -> None:
        # In one call: a signal handler that raises cannot come between the opening and the store.
        opening = map(_posixshmem.shm_open, (self._name,), (self._flags,), (self._mode,))
        vars(self).update(zip(("_fd",), opening, strict=False))

    def _map(self) -> None:
        self._size = os.fstat(self._fd).st_size
        self._mmap = mmap.mmap(self._fd, self._size)
        self._buf = memoryview(self._mmap)

    def _register(self) -> None:
        if self._track and self._name and _is_trackable(self._name):
            _remember(self._name)
            resource_tracker.register(self._name, "shared_memory")

    def close(self) -> None:
        """Give up this object's access to the block, which stays; a second call does nothing.

        Raises BufferError while something lies on `buf` that says so, as what `numpy.frombuffer` returns;
        then it may be called again. An array of ``numpy.ndarray(buffer=...)`` does not say so: it must not be
        used afterwards.
        """
        self._close_descriptor()
        super().close()

    def __del__(self) -> None:
        # Not `close`: what still lies on the memory holds the mapping, which goes with the last of it.
        self._close_descriptor()

    def _close_descriptor(self, close: Callable[[int], None] = os.close) -> None:
        # The default, because the names of this module may be gone when Python ends.
        fd, self._fd = self._fd, -1  # no call between: it is never closed twice
        if fd >= 0:
            close(fd)

    def unlink(self) -> None:
        """Remove the block's name; its memory goes when the last process that is attached to it closes it.

        It is done once, by anybody who is attached, in this program or another. Raises FileNotFoundError when
        it was done already.
        """
        if self._name:
            try:
                _posixshmem.shm_unlink(self._name)
            except FileNotFoundError:
                _forget(self._name)
                raise
            _forget(self._name)


def _reserve(fd: int, size: int, name: str) -> None:
    """Give the file its size and have the system put memory behind all of it, or raise OutOfSharedMemory.

    Else memory is sought when a page is first written, and who writes is killed by SIGBUS if there is none.
    """
    if not hasattr(os, "posix_fallocate"):
        os.ftruncate(fd, size)
        return
    try:
        if size > _free(fd):  # or others would be short of memory, until the attempt has failed
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.ftruncate(fd, size)
        for start in range(0, size, _PIECE):
            os.posix_fallocate(fd, start, min(_PIECE, size - start))
    except OSError as error:
        if error.errno in (errno.EOPNOTSUPP, errno.ENOSYS):  # a file system that cannot reserve
            return
        if error.errno not in (errno.ENOSPC, errno.ENOMEM):
            raise
        os.ftruncate(fd, 0)
        raise OutOfSharedMemory(
            f"the shared memory {name!r} was to have {size} bytes, and /dev/shm has {_free(fd)} left",
            "make /dev/shm larger (docker run --shm-size=...), or use an ipcframe.Array, which needs none",
        ) from error


def _free(fd: int) -> int:
    """The bytes that the file's file system has left."""
    system = os.fstatvfs(fd)
    return system.f_bavail * system.f_frsize if system.f_blocks else sys.maxsize  # it has no limit


# --- the resource tracker -------------------------------------------------------------------------
# It is one process for the processes of a program, which share a pipe to it, and keeps a set of names: when
# the pipe's other ends are all closed, it unlinks those. To remove a name that is not in the set is an error,
# whose traceback it prints.

_made: set[str] = set()
"""The names that this process has registered and that, as far as it knows, nobody has unlinked."""
_at_exit: Any = None
_next_look = _MANY


def _is_trackable(name: str) -> bool:
    """Whether the tracker can be told: a message to it is a line of ASCII, with colons between its parts."""
    return name.isascii() and not {":", "\n"} & set(name)


def _remember(name: str) -> None:
    global _at_exit, _next_look
    if _at_exit is None:
        # Later than what ends daemonic children: they may unlink, too.
        _at_exit = util.Finalize(None, _forget_the_gone, exitpriority=-1)
    if len(_made) >= _next_look:
        _forget_the_gone()
        _next_look = 2 * len(_made) + _MANY
    _made.add(name)


def _forget(name: str) -> None:
    """Have the tracker forget the name, if there is one that can know it."""
    _made.discard(name)
    if _tracker._fd is not None and _is_trackable(name):
        unregister(name, "shared_memory")


def unregister(name: str, rtype: str) -> None:
    """As `resource_tracker.unregister`, and no error where the tracker does not know of the shared memory.

    Programs call that after attaching, to keep the tracker from unlinking what is not theirs.
    """
    if rtype == "shared_memory":
        _tracker.register(name, rtype)
    _tracker.unregister(name, rtype)


def _forget_the_gone() -> None:
    """Have the tracker forget the names that another program has unlinked: it would complain."""
    for name in list(_made):
        try:
            list(map(os.close, map(_posixshmem.shm_open, (name,), (os.O_RDONLY,), (0,))))
        except FileNotFoundError:
            _forget(name)
        except OSError:
            pass


def _before_fork() -> None:
    """Start the tracker before a launcher forks, so that there is one for parent and child.

    A child that starts one gives it a life as short as its own, and what it has created for others is
    unlinked then. Other forks are left alone. The parent of a daemon ends while the daemon lives, and Python
    since 3.12.10 may wait there for the tracker, which lives as long (python/cpython#146313).
    """
    frame = sys._getframe().f_back
    for _ in range(3):  # further up, it may be the launcher of this process
        if _tracker._fd is not None or frame is None:
            return
        if isinstance(frame.f_locals.get("self"), popen_fork.Popen):
            with contextlib.suppress(Exception):  # the child will start one, and hear what is wrong
                tracker_fd()
        frame = frame.f_back


def _in_child() -> None:
    global _at_exit
    _at_exit = None
    _made.clear()
    _tracker._lock._at_fork_reinit()  # another thread of the parent may have held it


os.register_at_fork(before=_before_fork, after_in_child=_in_child)


# --- lists ----------------------------------------------------------------------------------------


class ShareableList(_shared_memory.ShareableList[_Item]):
    """A list of fixed length in a block of shared memory, `shm`.

    Its items are int, float, bool, str, bytes or None; a str or bytes can be replaced by one that fits the
    room of the first. `name`: of a new block for `sequence`, or, without one, of the block to attach to.

    What the standard library changes in silence stays what it is here: a str or bytes that ends with NULs (of
    less than a million bytes), and a str with more bytes than characters. Reading and writing an item is not
    atomic, as there: processes that do so at the same time need a lock.
    """

    shm: SharedMemory

    def __init__(self, sequence: Iterable[_Item] | None = None, *, name: str | None = None) -> None:
        # The standard library's, which makes a SharedMemory, of ours.
        init: Any = FunctionType(_list.__init__.__code__, {**vars(_standard), "SharedMemory": self._block})
        if sequence is None and name is not None:
            init(self, None, name=name)
            return
        items: list[Any] = list(sequence or ())
        roomy = [_roomy(item) if isinstance(item, str) else item for item in items]
        try:
            init(self, roomy, name=name)
            for at, item in enumerate(items):
                if roomy[at] is not item or _ends_with_nul(item):
                    self[at] = item
        except BaseException:
            if "shm" in vars(self):
                self.shm.unlink()
            raise

    def _block(self, name: str | None, create: bool = False, size: int = 0) -> SharedMemory:
        # In one call, as in SharedMemory._open: no block is lost before it is known.
        making = map(SharedMemory, (name,), (create,), (size,))
        vars(self).update(zip(("shm",), making, strict=False))
        return self.shm

    # An item that ends with NULs has a format of its exact length, and one byte "x", which is not looked at:
    # "3sx". Else the format is that of all the room that the item has.

    def _set_packing_format_and_transform(self, position: int, fmt_as_str: str, value: Any) -> None:
        if _ends_with_nul(value):
            exact = f"{len(value.encode() if isinstance(value, str) else value)}sx"
            if len(exact) <= 8:
                fmt_as_str = exact
        _list._set_packing_format_and_transform(self, position, fmt_as_str, value)

    def _get_back_transform(self, position: int) -> Any:
        transform = _list._get_back_transform(self, position)
        exact = _EXACT.get(transform)
        return exact if exact and _list._get_packing_format(self, position).endswith("sx") else transform


_EXACT: dict[Any, Any] = {
    _list._back_transforms_mapping[1]: bytes.decode,
    _list._back_transforms_mapping[2]: bytes,
}
"""What makes an item of its exact bytes, by the standard library's, which strips NULs."""


def _roomy(item: str) -> str | bytes:
    """What is given enough room for the text: itself, or its bytes. Of a text, the characters are counted."""
    encoded = item.encode()
    return item if len(encoded) <= len(item) // 8 * 8 + 8 else encoded


def _ends_with_nul(item: Any) -> bool:
    return (isinstance(item, str) and item[-1:] == "\0") or (isinstance(item, bytes) and item[-1:] == b"\0")
