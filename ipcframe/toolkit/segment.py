"""Segments: files in memory with room for the shared words of 64 objects, and a list of who waits for them.

A descriptor for each lock would exhaust a process's limit, and what a fork server can hand over; so objects
share segments. Each object has a *slot* of 16 words, which is never used a second time: the segment goes when
no process has an object in it any more.

The words are numbers of 64 bits. One is read or stored as a whole; who may store is said by the `guard` of
the slot. The layout, in bytes:

    0       the header: magic and version; waiters' places in use; the next number in the line; its identity
    4096    64 slots of 128 bytes each
    12288   places for waiters, of 64 bytes each (see `waiters`)

Record locks: byte n is the guard of slot n, byte 64 that of the waiters, byte 65 nobody's.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import struct
import threading
import weakref
from collections.abc import Callable
from fcntl import lockf
from typing import Any

from ..errors import BrokenConnection
from . import forks
from .arrival import Arrival, Landed
from .doorbell import prepare
from .guard import UNLOCK, Guard
from .handoff import Passed, pass_fd, receive_fd
from .memory import anonymous_file

__all__ = ["FIRST_PLACE", "PLACES", "PLACE_WORDS", "SLOTS", "SLOT_WORDS", "Segment", "new_slot"]

_MAGIC = 0x1FC7_5E61_0000_0001  # the lower half is the version of the layout
SLOT_WORDS = 16
SLOTS = 64
_FIRST_SLOT = 4096 // 8
FIRST_PLACE = 12288 // 8
PLACE_WORDS = 8
PLACES = 4096
_SIZE = 12288 + PLACES * PLACE_WORDS * 8
_IDENTITY = 3
_HEADER = struct.Struct("=Q16xQ")
_WAITERS_BYTE = SLOTS
_NOBODYS_BYTE = SLOTS + 1

_registry: weakref.WeakValueDictionary[tuple[int, int], Segment] = weakref.WeakValueDictionary()
_registry_lock = threading.RLock()
_allocating: tuple[object, Segment, int] | None = None
"""The process that has made it (by `forks.generation`), a segment, and how many of its slots are given."""


class Segment:
    """One process's mapping of a segment; there is never a second one of the same file in a process.

    That is because of record locks: they go when their process closes *any* descriptor of the file.
    """

    def __init__(self, fd: int) -> None:
        """Map the segment; for `attach`, which gives it the descriptor. Raises BrokenConnection."""
        self.fd = fd
        status = os.fstat(fd)
        self._descriptors = _Descriptors((status.st_dev, status.st_ino))
        self._guards: dict[int, Guard] = {}
        self._locals: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()
        if status.st_size != _SIZE:
            raise BrokenConnection("a descriptor that was received for a segment is none", "report it")
        self._map = mmap.mmap(fd, _SIZE)
        self.words = memoryview(self._map).cast("Q")
        if self.words[0] != _MAGIC:
            raise BrokenConnection("a segment was made by another version", "use one version of ipcframe")
        self.waiters_guard = self.guard(_WAITERS_BYTE)
        prepare()

    @classmethod
    def create(cls) -> Segment:
        """A new segment; raises OSError at the system's limits."""
        landed = _Landed(map(anonymous_file, ("ipcframe-segment",), (_SIZE,)))
        os.pwrite(landed[0], _HEADER.pack(_MAGIC, int.from_bytes(os.urandom(8))), 0)
        return cls.attach(landed)

    @classmethod
    def attach(cls, landed: Landed) -> Segment:
        """The segment whose descriptor has landed; the descriptor is the segment's then."""
        fd = landed[0]
        status = os.fstat(fd)
        key = status.st_dev, status.st_ino
        with _registry_lock:
            found = _registry.get(key)
            if found is None:
                made = cls(fd)
                found = _registry.setdefault(key, made)  # a signal handler may have been faster
            kept = found._descriptors
            # It changes hands in straight-line code (G1 of `guard`).
            if fd not in kept.fds:
                kept.fds += landed
            landed.keeps = found
            del landed[:]
            found._close_spares()
            return found

    def _close_spares(self) -> None:
        """Close duplicate descriptors, if nobody in this process is in a section: it would lose its lock."""
        with contextlib.ExitStack() as stack:
            for guard in list(self._guards.values()):
                guard.check_generation()
                if not guard.mutex.acquire(blocking=False):
                    return  # the next one to attach will
                stack.callback(guard.mutex.release)
                if guard.epoch is not None:  # this very thread's, which a signal handler has interrupted
                    return
            while len(self._descriptors.fds) > 1:
                os.close(self._descriptors.fds.pop())

    def guard(self, at: int) -> Guard:
        """The one guard of this process on this byte."""
        with _registry_lock:  # see `_close_spares`
            return self._guards.get(at) or self._guards.setdefault(at, Guard(self.fd, at))

    def slot_words(self, slot: int) -> int:
        """Where the words of this slot begin, in `words`."""
        return _FIRST_SLOT + slot * SLOT_WORDS

    def local(self, slot: int, make: Callable[[Segment, int], Any]) -> Any:
        """What this process keeps of the object in this slot: one for all its handles."""
        found = self._locals.get(slot)
        if found is None:
            with _registry_lock:
                found = self._locals.get(slot)
                if found is None:
                    found = make(self, slot)
                    self._locals[slot] = found
        return found

    def fence(self) -> None:
        """Order what was stored before against what is read after, as seen by who has been in a section.

        Every operation on a record lock passes through the kernel's lock of this file (fs/locks.c).
        """
        lockf(self.fd, UNLOCK, 1, _NOBODYS_BYTE)

    def __reduce__(self) -> tuple[Any, ...]:
        # A pickle holds it once, so a thousand objects of it cost a descriptor or two.
        # No duplicate is made of it: this process's record locks would go when that is closed.
        return _attach, (pass_fd(self.fd, self), self._descriptors.key, self.words[_IDENTITY])


class _Descriptors:
    """A segment's descriptors. They are closed after it is gone, when nobody can find it any more."""

    def __init__(self, key: tuple[int, int]) -> None:
        self.fds: list[int] = []
        self.key = key

    def __del__(self) -> None:
        successor = _registry.get(self.key) if _registry is not None else None  # None when Python ends
        if successor is not None:
            successor._descriptors.fds += self.fds  # to close them would drop its record locks
            return
        for fd in self.fds:
            with contextlib.suppress(OSError):
                os.close(fd)


class _Landed(Landed):
    """It is closed if it is not given away."""

    def __del__(self) -> None:
        for fd in self:
            os.close(fd)


def _attach(passed: Passed, key: tuple[int, int], identity: int) -> Segment:
    if not isinstance(passed, Arrival):
        return Segment.attach(_Landed(map(receive_fd, (passed,))))  # type: ignore[arg-type]
    # What is mapped here already needs no descriptor, so its sender may have ended.
    found = passed.keeps or _registry.get(key)
    if isinstance(found, Segment) and found.words[_IDENTITY] == identity:
        passed.decline(found)
        return found
    passed.fetch()
    return Segment.attach(passed)


def new_slot() -> tuple[Segment, int]:
    """A slot that nobody has used; raises OSError at the system's limits."""
    global _allocating
    with _registry_lock:
        if _allocating is None or _allocating[0] is not forks.generation or _allocating[2] == SLOTS:
            _allocating = forks.generation, Segment.create(), 0
        generation, segment, given = _allocating
        _allocating = generation, segment, given + 1
        return segment, given


def _in_child() -> None:
    # Another thread of the parent may have held it. What the parent was giving slots of is the parent's.
    global _registry_lock, _allocating
    _registry_lock = threading.RLock()
    _allocating = None


os.register_at_fork(after_in_child=_in_child)
