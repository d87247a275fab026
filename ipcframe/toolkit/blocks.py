"""Blocks: large messages in memory that both sides see, so that they are copied once.

A *block* is a file in memory of the sender's, sealed against shrinking and growing; the message lies at its
beginning. The sender writes it there (the one copy) and sends a *lease* of the block instead: a descriptor of
an open file of its own, for reading, that holds a record lock. The receiver maps the lease and closes it, and
the message is the mapping. A mapping keeps its open file, and the open file its lock. So the kernel itself
knows whether anybody can still see a message: the socket that it waits in, a view of it, a child that was
forked meanwhile, whoever is killed. Nothing in shared memory says so, and nobody has to give anything back.

B1  A block is free when no lease of it is left. Only then is it written to. Its state is asked of the kernel
    (F_OFD_GETLK, fcntl(2), "Open file description locks"): a lease is locked at two bytes while it is *in
    flight*, and at one when it is *taken*, for the receiver gives up the other when it has mapped it.
B2  Who writes to a block has removed it from the list of its end, by one call of C, and puts it back when its
    lease is locked. So no other thread and no signal handler writes to the same one. Who is interrupted
    between the two has lost the block, and its memory goes with its last lease.
B3  A descriptor is owned by an object that closes it in C, from within the call that opened it. So it cannot
    be lost by an interrupt, nor leak from an object that is dropped, and no Python code runs then.
B4  What the other side sends is checked before it is mapped: that it is sealed against shrinking, for a
    mapping of what shrinks ends in SIGBUS, and that it is as large as it claims.
B5  A mapping is private: a page of it is copied when it is first written to. So a message is its receiver's
    own memory, as everywhere else: a forked child changes its own, and nobody writes into the sender's block.

An end has a few blocks, and only so many bytes in flight. When there is no block to be had, because the
receiver is that far behind or because the system has no memory, no descriptors or not the calls for it,
`Blocks.lease` says so and the message goes through the socket, which waits for the receiver. Memory
is taken by writing to the file, never by touching a mapping: where there is none, that is an error and no
signal. What an end keeps is given up when it is closed; before that, what its last messages did not need, and
what is free when the process keeps too much.

A forked child has none of its parent's blocks, and nothing to release of its leases: it closes its copies.
"""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import select
import struct
import weakref
from collections.abc import Sequence

from ..abc import Buffer
from .memory import anonymous_file, available, physical_memory
from .outlet import without

__all__ = ["LEAST", "Blocks", "Held", "is_refusal", "mark_taken", "spare_descriptors"]

LEAST = 1024 * 1024
"""Smaller messages are faster through the socket, in bytes."""
Held: type[select.epoll] = select.epoll
"""Owns any descriptor (`Held.fromfd`) and closes it in C when it is dropped; it has no other use here."""

_FULL = frozenset(
    (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EAGAIN)
)
"""The errors by which the system says that there is no more of something; by others, that it has no such call
for us, or no /proc."""
_OPEN_FILES = "/proc/self/fd"
_MOST = 8
_IN_FLIGHT = 256 * 2**20
_UNUSED = 64
"""So many messages later, a free block that none of them needed is given up."""
_ROOMY = 4
"""A block is not used for a message of less than this part of it: who keeps that would keep all of it."""
_LOOK_AT_MEMORY = 16 * 2**20
_PART_KEPT = 16
"""This part of the machine's memory may lie in the blocks of a process."""
_IOV_MAX = 1024

_LOCK = struct.Struct("hhqqi4x")  # struct flock: type, whence, start, length, pid
_ASK = _LOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
_IN_FLIGHT_LOCK = _LOCK.pack(fcntl.F_RDLCK, os.SEEK_SET, 0, 2, 0)
_TAKEN_UNLOCK = _LOCK.pack(fcntl.F_UNLCK, os.SEEK_SET, 1, 1, 0)
_FREE, _TAKEN, _SENT = 0, 1, 2


def spare_descriptors(fd: int) -> bool:
    """Whether this descriptor, just opened, leaves half of those that the process may have.

    The system gives the lowest number that is not in use.
    """
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return most == resource.RLIM_INFINITY or fd < most // 2


def is_refusal(error: OSError) -> bool:
    """Whether a call of the toolkit's raised it, and not a signal handler, which has a frame of its own."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and trace.tb_frame.f_globals.get("__package__") == __package__


def mark_taken(lease: int) -> None:
    """Tell the sender that the message has left the socket; it is still there to be read."""
    fcntl.fcntl(lease, fcntl.F_OFD_SETLK, _TAKEN_UNLOCK)


class _Block:
    """A file in memory, which messages of up to `capacity` bytes are written to."""

    __slots__ = ("_file", "_path", "capacity", "last_used", "written")

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.written = 0
        """So many bytes of it take memory."""
        self.last_used = 0
        for file in map(Held.fromfd, map(anonymous_file, ("ipcframe block",), (capacity,))):  # B3
            self._file = file
        self._path = f"{_OPEN_FILES}/{self._file.fileno()}"

    @property
    def spares_descriptors(self) -> bool:
        return spare_descriptors(self._file.fileno())

    @property
    def state(self) -> int:
        """One of _FREE, _TAKEN and _SENT."""
        answer = fcntl.fcntl(self._file.fileno(), fcntl.F_OFD_GETLK, _ASK)
        kind, _, _, length, _ = _LOCK.unpack(answer)
        return _FREE if kind == fcntl.F_UNLCK else _TAKEN if length == 1 else _SENT

    def write(self, parts: Sequence[Buffer], size: int) -> None:
        """Write the message; the block is the caller's and free."""
        fd = self._file.fileno()
        self.written = max(self.written, size)
        done = 0
        while done < size:
            done += (wrote := os.pwritev(fd, parts[:_IOV_MAX], done))
            if done < size:
                parts = without(parts, wrote)

    def lease(self) -> select.epoll:
        """A descriptor of the message, to be sent."""
        for opened in map(Held.fromfd, map(os.open, (self._path,), (os.O_RDONLY | os.O_CLOEXEC,))):  # B3
            lease = opened
        fcntl.fcntl(lease.fileno(), fcntl.F_OFD_SETLK, _IN_FLIGHT_LOCK)
        return lease


class Blocks:
    """The blocks of one sending end."""

    def __init__(self) -> None:
        self._blocks: list[_Block] = []  # the last used one last
        self._turn = 0
        self._possible = True
        _ends.append(weakref.ref(self, _ends.remove))

    def lease(self, parts: Sequence[Buffer], size: int) -> select.epoll | None:
        """A lease of the message; None where it has to go through the socket.

        Blocks: never, but for the time of the copy.
        Threads: any number at once.
        Buffers: the parts may change when this returns.
        Raises: MemoryError.
        Interrupted: leaves nothing behind.
        Peer death: makes no difference.
        After fork: the child makes blocks of its own.
        """
        if not self._possible:
            return None
        try:
            block = self._claim(size)
            if block is None:
                return None
            block.write(parts, size)
            lease = block.lease()
        except OSError as error:
            if not is_refusal(error):
                raise
            self._possible = error.errno in _FULL
            return None
        self._blocks.append(block)  # B2: what it holds is locked now
        return lease

    def clear(self) -> None:
        """Give up all blocks."""
        self._blocks.clear()

    def kept(self) -> int:
        """The bytes of memory in the blocks."""
        return sum(block.written for block in tuple(self._blocks))

    def give_up_free(self) -> None:
        """Give up the blocks that nobody uses."""
        for block in tuple(self._blocks):
            if block.state == _FREE:
                self._remove(block)

    def _remove(self, block: _Block) -> bool:
        """Take the block out of the list; True for one caller only."""
        try:
            self._blocks.remove(block)
        except ValueError:
            return False
        return True

    def _claim(self, size: int) -> _Block | None:
        """A free block that is no longer in the list; None where there should be none."""
        self._turn += 1
        in_flight = 0
        fitting = spare = None
        for block in reversed(tuple(self._blocks)):
            state = block.state
            if state == _SENT:
                in_flight += block.written
            elif state == _FREE and fitting is None and size <= block.capacity <= _ROOMY * size:
                fitting = block
            elif state == _FREE and self._turn - block.last_used > _UNUSED:
                self._remove(block)
            else:
                spare = block
        if in_flight and in_flight + size > _IN_FLIGHT:
            return None
        if fitting is not None and self._remove(fitting):
            if fitting.state == _FREE:
                fitting.last_used = self._turn
                return fitting
            self._blocks.append(fitting)  # another thread was faster
        if len(self._blocks) >= _MOST and (spare is None or not self._remove(spare)):
            return None
        return self._fresh(size)

    def _fresh(self, size: int) -> _Block | None:
        if sum(blocks.kept() for blocks in _all()) + size > physical_memory() // _PART_KEPT:
            for blocks in _all():
                blocks.give_up_free()
        if size >= _LOOK_AT_MEMORY and size > available() // 2:
            return None
        block = _Block(max(1 << (size - 1).bit_length(), LEAST))
        block.last_used = self._turn
        return block if block.spares_descriptors else None


_ends: list[weakref.ref[Blocks]] = []


def _all() -> list[Blocks]:
    return [blocks for blocks in (end() for end in tuple(_ends)) if blocks is not None]


def _in_child() -> None:
    for blocks in _all():
        blocks.clear()


os.register_at_fork(after_in_child=_in_child)
