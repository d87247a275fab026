"""PacketChannel: a complete `Channel` over descriptors that keep the borders of packets.

A pipe in packet mode is one, a SOCK_SEQPACKET or datagram socket pair another: each write is handed whole
to one reader, without a lock. What is taken lands in a deque in the same C call that reads it, and leaves it
by a ``for`` statement, which runs no signal handler between the pop and the return (rule I1 of `framing`).

That is for processes with several threads, of which one may close what another is using: each move is made
under a lock. A process that has one thread reads in the ``for`` statement itself, and needs neither.
"""

from __future__ import annotations

import _thread
import fcntl
import os
import sys
import termios
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from itertools import repeat
from typing import Any

from ..abc import Channel
from ..deadline import Deadline, deadline_after
from ..errors import ClosedError
from . import forks
from .handoff import Passed, pass_fd, receive_fd
from .waiting import POLLIN, POLLOUT, Patience, wake_parked

__all__ = ["PacketChannel", "others"]

_IN_PASSING = 0.5
_NO_BYTES = bytes(4)  # an int, for the answer
others = _thread._count
"""How many threads Python has started, beside the first, that are not over."""


class PacketChannel(Channel):
    """A channel that receives from `read_fd` and sends to `write_fd`, and owns both.

    One write of up to `packet_size` bytes must be all or nothing, and one read must give one packet. More
    than `capacity` packets must never fit, and FIONREAD on `read_fd` must tell the bytes of all of them (as
    it does on pipes and on SOCK_SEQPACKET sockets of Linux).
    """

    _read_fd = -1
    _write_fd = -1
    _generation: object = None  # until the object's own is there: its making may be interrupted

    def __init__(
        self, read_fd: int, write_fd: int, *, packet_size: int, capacity: int, name: str | None = None
    ) -> None:
        self._read_fd = read_fd
        self._write_fd = write_fd
        self.name = name
        self._packet_size = packet_size
        self._capacity = capacity
        for fd in (read_fd, write_fd):
            os.set_blocking(fd, False)
        self._restart()

    def _restart(self) -> None:
        # Whoever is inside a move has finished it before `close` gives the descriptors away.
        self._lock = threading.RLock()
        taken: deque[bytes] = deque()
        self._taken: tuple[deque[bytes], Iterator[bytes]] = taken, iter(taken.popleft, None)
        self._reads = self._reads_from(self._read_fd)
        self._in_patience = Patience()
        self._out_patience = Patience()
        self._generation = forks.generation

    def _reads_from(self, fd: int) -> Iterator[bytes]:
        return map(os.read, repeat(fd), repeat(self._packet_size))

    def _forked(self) -> None:
        with forks.renewal:  # one thread of the child renews, once
            if self._generation is not forks.generation:
                self._restart()

    @property
    def packet_size(self) -> int:
        """The largest packet, in bytes."""
        return self._packet_size

    @property
    def capacity(self) -> int:
        """How many packets fit in at most."""
        return self._capacity

    def _backlog(self) -> int:
        if self._generation is not forks.generation:
            self._forked()
        with self._lock:  # so that the descriptor is not another's by now
            self._check_open()
            answer = fcntl.ioctl(self._read_fd, termios.FIONREAD, _NO_BYTES)
        return int.from_bytes(answer, sys.byteorder)

    def _describe(self) -> str:
        return f"fds {self._read_fd}, {self._write_fd}"

    def _send(self, packet: bytes, deadline: Deadline) -> bool:
        if self._generation is not forks.generation:
            self._forked()
        while True:
            try:
                if others():
                    with self._lock:
                        os.write(self._write_fd, packet)
                else:
                    os.write(self._write_fd, packet)
                return True
            except BlockingIOError:
                if not self._wait(self._out_patience, self._write_fd, POLLOUT, deadline):
                    return False
            except OSError:
                self._check_open()
                raise

    def _receive(self, deadline: Deadline) -> bytes | None:
        if self._generation is not forks.generation:
            self._forked()
        taken, pop = self._taken
        size = self._packet_size
        while True:
            if taken:
                try:
                    for packet in pop:
                        return packet
                except IndexError:
                    continue  # another thread was faster
            try:
                if not others():
                    # Nothing runs between the look at what to read from and the return.
                    for packet in self._reads:
                        return packet
                with self._lock:
                    taken.extend(map(os.read, (self._read_fd,), (size,)))
            except BlockingIOError:
                if not self._wait(self._in_patience, self._read_fd, POLLIN, deadline):
                    return None
            except OSError:
                self._check_open()
                raise

    def _wait(self, patience: Patience, fd: int, event: int, deadline: Deadline) -> bool:
        # Also when others were faster every time: they must not prolong the timeout.
        if deadline.expired:
            self._check_open()
            return False
        patience.wait(((fd, event),), deadline)
        self._check_open()
        return True

    def _holds_packet(self) -> bool:
        return bool(self._taken[0]) and self._generation is forks.generation

    def _fileno(self) -> int:
        return self._read_fd

    def _close(self) -> None:
        if self._generation is not forks.generation:
            self._forked()
        with self._lock:
            fds = {self._read_fd, self._write_fd} - {-1}
            self._read_fd = self._write_fd = -1
            self._reads = self._reads_from(-1)
            for fd in fds:
                os.close(fd)
        wake_parked(fds)

    def __del__(self) -> None:
        if self._closed_by is None and self._read_fd >= 0:
            self._closed_by = "the garbage collector"
            self._close()

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        self._check_open()
        until = deadline_after(_IN_PASSING)
        while self._holds_packet() and not until.expired:
            time.sleep(0.001)  # it may be another thread's, which is just taking it
        if self._holds_packet():
            raise ClosedError(
                f"{self!r} cannot be handed over: an interrupted receive holds a packet", "receive it first"
            )
        same = self._read_fd == self._write_fd
        passed = pass_fd(self._read_fd), None if same else pass_fd(self._write_fd)
        return _rebuild, (type(self), *passed, self._packet_size, self._capacity, self.name)


def _rebuild(
    kind: type[PacketChannel],
    read: Passed,
    write: Passed | None,
    packet_size: int,
    capacity: int,
    name: str | None,
) -> PacketChannel:
    read_fd, write_fd = receive_fd(read), receive_fd(write)
    assert read_fd is not None
    if write_fd is None:
        write_fd = read_fd
    return kind(read_fd, write_fd, packet_size=packet_size, capacity=capacity, name=name)
