"""Arenas: anonymous shared memory for objects of any size, many of them to a descriptor.

An arena is a file in memory that a process maps once. *Blocks* are cut off it from the front to the back, and
none is used a second time: a process cannot know who else still has one that it gives up. So what was cut
off is zero, and an arena goes, with all its memory, when no process has a block of it any more. Not to keep
much for the sake of one living block, an arena has 64 KiB, or is at most 32 times as large as each of its
blocks; a block of more than 1 MiB has one of its own. Files are sparse: what nobody touches costs nothing.

No lock is taken. A block is cut off by straight-line code (G1 in `guard`), which neither a thread nor a
signal handler can divide. Were an arena mapped twice in a process, that would only cost a descriptor.
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import sys
import weakref
from collections.abc import Callable
from multiprocessing.context import get_spawning_popen
from typing import Any

from . import forks
from .arrival import Arrival
from .handoff import Passed, pass_fd, receive_fd
from .memory import anonymous_file, physical_memory

__all__ = ["Arena", "Block", "allocate"]

_ALIGNMENT = 16
_SMALLEST_ARENA = 64 * 1024
_BLOCKS = 16
"""How many blocks an arena has room for, at least."""
_LARGEST_SHARING = 1024 * 1024
_MAPPING: dict[str, Any] = {"trackfd": False} if sys.version_info >= (3, 13) else {}
"""Without that, a mapping keeps a second descriptor."""

_registry: weakref.WeakValueDictionary[bytes, Arena] = weakref.WeakValueDictionary()
_open: dict[int, Callable[[], Arena | None]] = {}
"""From which arena of each size blocks are cut off; it does not keep the arena."""


class _Descriptor(list[int]):
    """A descriptor that is closed with this list.

    A signal handler may raise after any call: so the list takes the descriptor in the call that makes it.
    """

    def __del__(self, close: Callable[[int], None] = os.close) -> None:
        for fd in self:  # maybe when Python ends, and has cleared this module
            try:
                close(fd)
            except OSError:
                continue


class Arena:
    """One process's mapping of an arena."""

    __slots__ = ("__weakref__", "_descriptor", "fd", "given", "identity", "maker", "map")

    def __init__(self, descriptor: _Descriptor, identity: bytes) -> None:
        """Map the file; raises OSError at the system's limits."""
        self._descriptor = descriptor
        self.fd = descriptor[0]
        self.map = mmap.mmap(self.fd, os.fstat(self.fd).st_size, **_MAPPING)
        with contextlib.suppress(AttributeError, OSError):
            self.map.madvise(mmap.MADV_DONTDUMP)  # a core dump would fill the holes of the file
        self.given = 0
        self.maker = forks.generation
        self.identity = identity
        _registry[identity] = self

    @classmethod
    def create(cls, size: int) -> Arena:
        """A new arena, all zero; raises OSError at the system's limits."""
        return cls(_Descriptor(map(anonymous_file, ("ipcframe-arena",), (size,))), os.urandom(16))

    def __reduce__(self) -> tuple[Any, ...]:
        # A pickle holds it once, so a thousand blocks of it cost one descriptor.
        return _attach, (pass_fd(self.fd, self), self.identity)


def _attach(passed: Passed, identity: bytes) -> Arena:
    """The arena of this identity: the mapping that this process has, or a new one."""
    known = _registry.get(identity)
    if known is None:
        return Arena(_Descriptor(map(receive_fd, (passed,))), identity)  # type: ignore[arg-type]
    if isinstance(passed, Arrival):
        passed.decline(known)  # no descriptor is needed, so its sender may have ended
    elif (spare := passed.detach()) != known.fd:  # the same was inherited twice
        os.close(spare)
    return known


class Block:
    """A piece of an arena, which it keeps."""

    __slots__ = ("arena", "at", "size")

    def __init__(self, arena: Arena, at: int, size: int) -> None:
        self.arena = arena
        self.at = at
        self.size = size

    def create_memoryview(self) -> memoryview:
        """Its bytes; by this name multiprocessing's own reducer asks for them."""
        return memoryview(self.arena.map)[self.at : self.at + self.size]

    def __reduce__(self) -> tuple[Any, ...]:
        # ctypes pickles an object's bytes, and a block along with its attributes: a copy that looks shared.
        if get_spawning_popen() is None:
            raise TypeError(
                "what lies in shared memory is pickled by connections, queues and arguments of a Process; "
                "by the module pickle it would be copied"
            )
        return Block, (self.arena, self.at, self.size)


def allocate(size: int) -> Block:
    """A block of so many bytes, all zero, that nobody has had before; aligned to 16 bytes.

    Raises OSError at the system's limits, and for more than the machine's memory can hold.
    """
    room = -(-size // _ALIGNMENT) * _ALIGNMENT or _ALIGNMENT
    if room > _LARGEST_SHARING:
        if room > physical_memory():
            raise OSError(errno.ENOMEM, f"{os.strerror(errno.ENOMEM)}: {size} bytes of shared memory")
        return Block(Arena.create(room), 0, size)
    whole = _SMALLEST_ARENA
    while room * _BLOCKS > whole:
        whole *= 2
    find = _open.get(whole)
    while True:
        arena = find and find()
        # From here to the comparison with the end no call: undivided.
        if arena is not None and arena.maker is forks.generation:
            at = arena.given
            end = arena.given = at + room
            if end <= whole:
                return Block(arena, at, size)
        arena = Arena.create(whole)
        find = _open[whole] = weakref.ref(arena)
