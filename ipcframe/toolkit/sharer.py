"""Sharer: the thread that gives this process's descriptors to those who received handles from it.

What carries a handle to a process that already runs may be a pipe, which carries no descriptors. So a ticket
(see `arrival`) stands for each in the pickle, and until somebody shows it here the descriptor is *in flight*:
a duplicate is kept open, and the handle that was sent may be closed. Where none may be made, since closing it
would cost record locks (see `segment`), the owner of the descriptor is kept alive instead. Whoever comes
second with a ticket gets nothing.

Clients are of the same user, or root; others are not heard. The address is abstract (unix(7)), so that there
is no name to be left behind; elsewhere than on Linux it lies in a folder of this process. No client is waited
for, and one that shows nothing is sent away after a while.

Nothing is locked but the start of the thread: each change of the table is one operation of a dict. A forked
child has no thread and nothing in flight, and closes its copies of what the parent has.
"""

from __future__ import annotations

import array
import contextlib
import errno
import os
import pickle
import signal
import socket
import threading
import time
from collections.abc import Callable
from select import POLLIN, poll
from typing import Any, Protocol

from . import abstract
from .abstract import foreign_user, new_address
from .arrival import GIVEN, MOST, SECRET, UNKNOWN, Arrival, Ticket, arrive

__all__ = ["Departure", "Owner", "withdraw", "withdraw_within"]

_BACKLOG = 4096
_PATIENCE = 5.0
"""How long a client may take to show its ticket, in seconds."""
_PAUSE = 0.05
"""How long to wait, in seconds, when there is no descriptor left to let somebody in."""
_FEW = 128
"""So many duplicates are fine."""
_flights: dict[bytes, _Flight] = {}
"""What is in flight, by the secret of its ticket."""
_duplicates: set[_Flight] = set()
"""What has a duplicate of its own."""


class Owner(Protocol):
    """Something that keeps its descriptor open as long as it lives."""

    fd: int


class Departure:
    """A descriptor for a process that already runs; it is in flight as soon as this is pickled."""

    __slots__ = ("_fd", "_owner")

    def __init__(self, fd: int, owner: Owner | None = None) -> None:
        self._fd = fd
        self._owner = owner

    def detach(self) -> int:
        """A duplicate; for who copies a handle without pickling."""
        for fd in map(os.dup, (self._fd,)):
            return fd
        raise AssertionError

    def __reduce_ex__(self, protocol: object) -> tuple[Callable[..., Arrival], tuple[Any]]:
        ticket = Ticket.new(_address(), self._owner is not None)
        secret = ticket.secret
        # Out of band the serialiser sees which tickets are in its message, and in no other.
        apart = isinstance(protocol, int) and protocol >= 5
        found = arrive, (pickle.PickleBuffer(ticket) if apart else bytes(ticket),)
        flight = _Flight(self._owner)
        try:
            if self._owner is None:
                flight.keep(self._fd)
            _flights[secret] = flight
            return found  # without a call after the store: it is in flight only if the pickler has the ticket
        except BaseException:
            flight.end()
            raise


class _Flight:
    """A descriptor in flight."""

    __slots__ = ("_fds", "_owner")

    def __init__(self, owner: Owner | None) -> None:
        self._owner = owner
        self._fds: list[int] = []

    def keep(self, fd: int) -> None:
        """Keep a duplicate of this descriptor open; OSError when there are too many."""
        if len(_duplicates) >= _FEW and len(_duplicates) >= _most_duplicates():
            raise OSError(
                errno.EMFILE,
                f"{os.strerror(errno.EMFILE)}: {len(_duplicates)} descriptors of handles that were sent wait "
                "to be received, which is half of what this process may have open (ulimit -n)",
            )
        _duplicates.add(self)  # first, so that a forked child finds it
        self._fds.extend(map(os.dup, (fd,)))

    @property
    def fd(self) -> int:
        """The descriptor to send."""
        return self._fds[0] if self._owner is None else self._owner.fd

    def end(self) -> None:
        """It was received, or will not be."""
        while self._fds:
            os.close(self._fds.pop())
        _duplicates.discard(self)


def _most_duplicates() -> float:
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return float("inf") if soft == resource.RLIM_INFINITY else soft // 2


def withdraw(ticket: Ticket) -> None:
    """The message with this ticket will not be received."""
    flight = _flights.pop(ticket.secret, None)
    if flight is not None:
        flight.end()


def withdraw_within(message: bytes) -> None:
    """This message, whose tickets are anywhere in it, will not be received."""
    for secret in [secret for secret in list(_flights) if secret in message]:
        withdraw(Ticket(secret))


class _Sharer(threading.Thread):
    """The thread."""

    def __init__(self) -> None:
        super().__init__(name="ipcframe sharer", daemon=True)
        self._clients: dict[int, tuple[socket.socket, float]] = {}
        self._poller = poll()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        _sharers.append(self)
        try:
            self.address = _new_address()
            self._listener.bind(self.address)
            self._listener.listen(_BACKLOG)
            self._listener.setblocking(False)
        except BaseException:
            self.close()
            raise

    def run(self) -> None:
        """Serve for as long as the process lives."""
        global _sharer
        if _sharer is None:  # whoever started this was interrupted
            _sharer = self
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        door = self._listener.fileno()
        self._poller.register(door, POLLIN)
        while True:
            for fd, _ in self._poller.poll(_PATIENCE * 1000 if self._clients else None):
                if fd == door:
                    self._let_in()
                elif self._is_done(self._clients[fd][0]):
                    self._dismiss(fd)
            now = time.monotonic()
            for fd in [fd for fd, (_, until) in self._clients.items() if until <= now]:
                self._dismiss(fd)

    def _let_in(self) -> None:
        """Let in who is at the door, and give it at once what it wants, if it has said so."""
        try:
            client, _ = self._listener.accept()
        except BlockingIOError:
            return  # it has gone
        except OSError:
            time.sleep(_PAUSE)
            return
        client.setblocking(False)
        if foreign_user(client) is not None or self._is_done(client):
            client.close()
            return
        self._clients[client.fileno()] = client, time.monotonic() + _PATIENCE
        self._poller.register(client, POLLIN)

    def _is_done(self, client: socket.socket) -> bool:
        """Give the client what its tickets are for; whether there is nothing more to do for it."""
        try:
            shown = client.recv(SECRET * MOST)
        except BlockingIOError:
            return False
        except OSError:
            return True
        found = [_flights.pop(shown[at : at + SECRET], None) for at in range(0, len(shown), SECRET)]
        flights = [flight for flight in found if flight is not None]
        with contextlib.suppress(OSError):  # who is gone by now was the only one to have these tickets
            if flights and len(flights) == len(found):
                fds = array.array("i", [flight.fd for flight in flights])
                client.sendmsg((GIVEN,), ((socket.SOL_SOCKET, socket.SCM_RIGHTS, fds),))
            else:
                client.send(UNKNOWN)
        for flight in flights:
            flight.end()
        return True

    def _dismiss(self, fd: int) -> None:
        self._poller.unregister(fd)
        self._clients.pop(fd)[0].close()

    def close(self) -> None:
        """Give its sockets up: it was not started, or this is a forked child."""
        for client, _ in self._clients.values():
            client.close()
        self._listener.close()


_lock = threading.RLock()
_sharer: _Sharer | None = None
_sharers: list[_Sharer] = []


def _address() -> bytes:
    """Where this process gives descriptors."""
    global _sharer
    if _sharer is None:
        with _lock:
            if _sharer is None:
                started = _Sharer()
                try:
                    started.start()
                except RuntimeError:  # no thread can be started, or Python ends
                    started.close()
                    raise
                _sharer = started
    return _sharer.address


def _new_address() -> bytes:
    address = new_address("handles")
    if abstract.AVAILABLE:
        return address
    from multiprocessing import util

    return os.fsencode(util.get_temp_dir()) + b"/" + address[1:]


def _in_child() -> None:
    global _lock, _sharer
    _lock, _sharer = threading.RLock(), None
    while _sharers:
        _sharers.pop().close()
    for flight in list(_duplicates):
        flight.end()
    _flights.clear()


os.register_at_fork(after_in_child=_in_child)
