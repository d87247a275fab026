"""The endpoints of the backend "mq"; children unpickle them from here."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from socket import socketpair
from typing import Any

from ipcframe.abc import Channel
from ipcframe.deadline import Deadline, deadline_after
from ipcframe.errors import UnsupportedOperation
from ipcframe.toolkit import forks
from ipcframe.toolkit.handoff import Passed, pass_fd, receive_fd
from ipcframe.toolkit.stream import StreamConnection
from ipcframe.toolkit.waiting import POLLIN, POLLOUT, Patience

from .library import BusyError, ExistentialError
from .unnamed import Unnamed

PACKET_SIZE = 1024
"""Largest packet, in bytes. With this, some 70 channels fit into the 800 KiB that a user has by default."""
CAPACITY = 10
"""How many packets a channel takes: what Linux allows to everybody (/proc/sys/fs/mqueue/msg_max)."""
_IN_PASSING = 0.5


class MqConnection(StreamConnection):
    """A connection over one end of a socket pair: posix_ipc has nothing that notices when a peer is gone."""


class MqChannel(Channel):
    """A channel over a message queue: each message is taken whole, by exactly one receiver."""

    _generation: object = None  # until the object's own is there

    def __init__(self, queue: Unnamed, *, name: str | None = None) -> None:
        self._queue = queue
        self.name = name
        self._restart()

    def _restart(self) -> None:
        # Whoever is inside a call of the library has left it before `close` gives the descriptor away.
        self._lock = threading.RLock()
        taken: deque[tuple[bytes, int]] = deque()
        self._taken: tuple[deque[tuple[bytes, int]], Iterator[tuple[bytes, int]]] = (
            taken,
            iter(taken.popleft, None),
        )
        self._in_patience = Patience()
        self._out_patience = Patience()
        self._generation = forks.generation

    def _forked(self) -> None:
        with forks.renewal:
            if self._generation is not forks.generation:
                self._restart()

    @property
    def packet_size(self) -> int:
        """The largest packet, in bytes."""
        return self._queue.max_message_size

    @property
    def capacity(self) -> int:
        """How many packets fit in at most."""
        return CAPACITY

    def _describe(self) -> str:
        return f"mqd {self._queue.mqd}"

    def _send(self, packet: bytes, deadline: Deadline) -> bool:
        if self._generation is not forks.generation:
            self._forked()
        while True:
            try:
                with self._lock:
                    self._queue.send(packet)
                return True
            except BusyError:
                if not self._wait(self._out_patience, POLLOUT, deadline):
                    return False
            except ExistentialError:
                self._check_open()
                raise

    def _receive(self, deadline: Deadline) -> bytes | None:
        if self._generation is not forks.generation:
            self._forked()
        taken, pop = self._taken
        while True:
            if taken:
                # A `for` runs no signal handler between the pop and the return.
                try:
                    for packet, _priority in pop:
                        return packet
                except IndexError:
                    continue  # another thread was faster
            try:
                # What the queue has given is in the deque when a handler may run next.
                with self._lock:
                    taken.extend(map(self._queue.receive, (None,)))
            except BusyError:
                if not self._wait(self._in_patience, POLLIN, deadline):
                    return None
            except ExistentialError:
                self._check_open()
                raise

    def _wait(self, patience: Patience, event: int, deadline: Deadline) -> bool:
        if deadline.expired:
            self._check_open()
            return False
        patience.wait(((self._queue.mqd, event),), deadline)
        self._check_open()
        return True

    def _backlog(self) -> int:
        if self._generation is not forks.generation:
            self._forked()
        with self._lock:
            self._check_open()
            return self._queue.waiting_bytes()

    def _holds_packet(self) -> bool:
        return bool(self._taken[0]) and self._generation is forks.generation

    def _fileno(self) -> int:
        return self._queue.mqd

    def _close(self) -> None:
        if self._generation is not forks.generation:
            self._forked()
        with self._lock:
            self._queue.close()

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        self._check_open()
        until = deadline_after(_IN_PASSING)
        while self._holds_packet() and not until.expired:
            time.sleep(0.001)  # it may be another thread's, which is just taking it
        if self._holds_packet():
            raise UnsupportedOperation(
                f"{self!r} cannot be handed over: an interrupted receive holds a packet", "receive it first"
            )
        return _rebuild, (pass_fd(self._queue.mqd), self.packet_size, self.name)


def _rebuild(passed: Passed, packet_size: int, name: str | None) -> MqChannel:
    fd = receive_fd(passed)
    assert fd is not None
    try:
        return MqChannel(Unnamed.behind(fd, packet_size), name=name)
    finally:
        os.close(fd)


def open_pair(duplex: bool) -> tuple[StreamConnection, StreamConnection]:
    """Two connected ends; not duplex, the first only receives and the second only sends."""
    first, second = socketpair()
    with first, second:
        if duplex:
            return _two_way(first.detach()), _two_way(second.detach())
        receiving = MqConnection(first.detach(), None)
        return receiving, MqConnection(None, second.detach())


def _two_way(fd: int) -> StreamConnection:
    return MqConnection(fd, fd)


def open_channel() -> MqChannel:
    """A message queue of `CAPACITY` packets of up to `PACKET_SIZE` bytes."""
    return MqChannel(Unnamed(CAPACITY, PACKET_SIZE))
