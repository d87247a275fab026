"""SocketListener: where clients that are no relatives are accepted, many at once.

Whoever is in `accept` advances the handshakes of all clients that have come, so that none waits for another.
Three rules make it survive signal handlers that raise, or accept themselves, between any two bytecodes; they
go with those of `framing`:

L1  What the system has accepted lands in a list in the call of C that accepts it, and the socket object that
    owns it lands in another, in the call that makes it. A `Client` is made of that object aside.
L2  The clients are a tuple, which is never changed: a longer or a shorter one takes its place by one store,
    and only if the old one is still there. The one that is handed out is returned with no call in between.
L3  Threads exclude each other by a lock while they advance handshakes, which never blocks; they sleep without
    it, each on a doorbell of its own beside the sockets. Who stops waiting rings for those who still do:
    they may be asleep on sockets that are no longer the right ones.
"""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import socket
import threading
import weakref
from collections.abc import Iterable
from multiprocessing import util
from time import monotonic
from typing import Any

from ..abc import Listener, Notify, Serializer, silent
from ..deadline import NEVER, Deadline, deadline_after
from ..errors import TimedOut
from . import socketfile
from .abstract import Users, checked_users, foreign_user, is_abstract
from .addresses import bind, read_address
from .clients import Client, Landing
from .doorbell import Doorbell, borrow, ring
from .handshake import checked_key, prepare
from .sockets import IN_BAND, Socket, SocketConnection
from .waiting import POLLIN, Patience

__all__ = ["HANDSHAKE_TIMEOUT", "SocketListener"]

HANDSHAKE_TIMEOUT = 10.0
"""How long a client may take for its handshake, in seconds, while somebody is in `accept`."""
_MOST = 1024
"""So many handshakes are under way at most, and half as many as this process may have descriptors."""
_GRACE = 1.0
"""So long a client has at least, in seconds, before it makes room for another, or when nobody was there."""
_BLIND = 0.1
_listeners: weakref.WeakSet[SocketListener] = weakref.WeakSet()


class _Lookout(Patience):
    """The wait strategy of a listener; it tells what is ready."""

    __slots__ = ()

    def ready(self, fds: Iterable[int], deadline: Deadline) -> set[int] | None:
        """Wait until one of these may be ready; those that are, or None where that is not known."""
        interests = tuple((fd, POLLIN) for fd in fds)
        self.wait(interests, deadline)
        spare = self._spare
        return {fd for fd, _ in spare[1].poll(0)} if spare is not None and spare[0] == interests else None


class SocketListener(Listener):
    """A listening stream socket; clients may be programs that use `multiprocessing`.

    `family` is one of the socket module's. With an `authkey` each client must prove that it knows it, within
    `handshake_timeout` seconds. `backlog` is how many clients the system keeps while nobody accepts; more
    wait in connecting. On a Unix socket, clients of another user than this one, root and `users` (their
    numbers, or "any") are closed and forgotten, with a line in `multiprocessing`'s log.

    The file of a path is for its owner only, or, with `users`, for all. It takes the place of one that a dead
    listener has left, and of nothing else (see `socketfile`). It is removed by `close`, by the garbage
    collector or at exit, in the process that made it, if it is the same one still.

    A forked child has a copy, at which it may accept clients of its own; those that had come before the fork
    are its parent's.
    """

    def __init__(
        self,
        address: Any,
        family: int,
        *,
        backlog: int = 1,
        authkey: bytes | None = None,
        users: Users = (),
        name: str | None = None,
        message_limit: int | None = None,
        handshake_timeout: float = HANDSHAKE_TIMEOUT,
    ) -> None:
        self.name = name
        self.notify: Notify = silent
        self._serializer: Serializer = IN_BAND
        self._message_limit = message_limit
        address = read_address(address)
        self._users = checked_users(users, family)
        self._authkey = checked_key(authkey)
        self._handshake_timeout = handshake_timeout
        self._family = family
        self._last_accepted: Any = None
        self._unlink: Any = None
        self._restart()
        if authkey is not None:
            prepare()
        sockets: list[Socket] = []
        sockets.extend(map(Socket, (family,), (socket.SOCK_STREAM,)))
        self._socket = sockets[0]
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.setblocking(False)
        if family == socket.AF_UNIX and address and not is_abstract(address):
            path = os.path.abspath(address)  # noqa: PTH100 - it may be bytes
            socketfile.bind(self._socket, address, 0o666 if users else 0o600)
            known = socketfile.identity(address)
            self._unlink = util.Finalize(self, socketfile.remove, (path, known), exitpriority=0)
        else:
            bind(self._socket, address)
        self._socket.listen(backlog)
        self._address = self._socket.getsockname()
        self._host = repr(self)
        _listeners.add(self)

    def _restart(self) -> None:
        self._lock = threading.RLock()
        self._landing = Landing()
        self._clients: tuple[Client, ...] = ()
        self._most = _most()
        self._sleepers: set[int] = set()
        self._left = monotonic()
        """When somebody was in `accept` for the last time."""
        self._lookout = _Lookout()
        self._idle_lookout = _Lookout()

    @property
    def address(self) -> Any:
        """The address to connect to: a path, an abstract address as bytes, or a host and its port."""
        return self._address

    @property
    def last_accepted(self) -> Any:
        """The address of the client that was handed out last, as the system gives it; None before."""
        return self._last_accepted

    def _describe(self) -> str:
        return f"at {self._address!r}"

    def accept(self, *, timeout: float | None = None) -> SocketConnection:
        """Wait for a client that is through the handshake, and return the connection to it.

        See `Listener.accept`. Clients that are through come first, and then errors: `HandshakeFailed` for one
        with another key, or none, or that talks nonsense; `HandshakeTimedOut` for one that did not finish in
        time. OSError at the system's limits.
        """
        deadline = NEVER if timeout is None else deadline_after(timeout)
        while True:
            clients = self._clients
            chosen = _first(clients)
            if chosen is None:
                if not self._await(deadline):
                    raise TimedOut(f"accept on {self!r}: no client came within {timeout} s")
                continue
            rest = tuple(one for one in clients if one is not chosen)
            if self._clients is clients:  # L2
                self._clients = rest
                if chosen.failure is None:
                    self._last_accepted = chosen.address
                    return chosen.connection
                kind, problem, remedy = chosen.failure
                raise kind(problem, remedy)

    def _await(self, deadline: Deadline) -> bool:
        """Wait until there is a client to hand out, or an error; False when the deadline passed first."""
        ready: set[int] | None = None
        with borrow() as bell:
            try:
                self._be_fair()
                self._sleepers.add(bell.number)
                while True:
                    self._advance(ready)
                    if _first(self._clients) is not None:
                        return True
                    if deadline.expired:
                        return False
                    ready = self._sleep(bell, deadline)
                    if ready is None or bell.fileno() in ready:
                        bell.forget()
                        ready = None
            finally:
                self._left = monotonic()
                self._sleepers.discard(bell.number)
                if self._sleepers and self._clients:
                    ring(self._sleepers.copy())  # L3

    def _be_fair(self) -> None:
        """Whom nobody has attended to for a while has not been slow."""
        if not self._sleepers and self._left + _GRACE < monotonic():
            soonest = deadline_after(_GRACE)
            for client in self._clients:
                if client.deadline.at < soonest.at:
                    client.deadline = soonest

    def _sleep(self, bell: Doorbell, deadline: Deadline) -> set[int] | None:
        """Sleep until there is something to do; which descriptors are ready, or None for all, perhaps."""
        under_way = [one for one in self._clients if one.under_way]
        fds = [one.connection._fileno() for one in under_way]
        ends = [deadline.at, *(one.deadline.at for one in under_way)]
        full = len(under_way) >= self._most
        if full:
            ends.append(under_way[0].since + _GRACE)
        else:
            fds.append(self._socket.fileno())
        if bell.number:
            fds.append(bell.fileno())
        else:
            ends.append(deadline_after(_BLIND).at)
        lookout = self._lookout if under_way else self._idle_lookout
        ready = lookout.ready(fds, Deadline(min(ends)))
        return None if full else ready

    # --- without waiting ---

    def _advance(self, ready: set[int] | None = None) -> None:
        """Accept whom the system has, and advance the clients that may have said something."""
        with self._lock:
            self._check_open()
            try:
                if ready is None or self._socket.fileno() in ready or self._landing.accepted:
                    for _ in range(self._most):  # so many at a time: others may be refused without end
                        if not self._has_room():
                            break
                        self._land()
            except BlockingIOError:
                pass  # nobody else is there
            except OSError as error:
                self._check_open()
                under_way = sum(one.under_way for one in self._clients)
                if error.errno not in (errno.EMFILE, errno.ENFILE) or not under_way:
                    raise
                self._most = under_way  # those who have had their time make room
            finally:
                for client in self._clients:
                    if client.under_way and client.is_due(ready):
                        client.advance(self._handshake_timeout)
            while any(one.gone for one in self._clients):
                clients = self._clients
                rest = tuple(one for one in clients if not one.gone)
                if self._clients is clients:  # L2
                    self._clients = rest

    def _has_room(self) -> bool:
        """Whether another client may be accepted; one that has had its time makes room."""
        if self._authkey is None:
            return not self._clients
        under_way = [one for one in self._clients if one.under_way]
        if not under_way:
            self._most = _most()
        if len(under_way) < self._most:
            return True
        if under_way[0].since + _GRACE <= monotonic():
            under_way[0].leave("it made room for others")
            return True
        return False

    def _land(self) -> None:
        """Accept a client of the system's; BlockingIOError when there is none."""
        landing = self._landing
        if not landing.accepted:
            accepts = map(Socket._accept, (self._socket,))  # type: ignore[attr-defined]
            if self._landing is landing and not landing.accepted:
                with contextlib.suppress(ConnectionAbortedError):
                    landing.accepted.extend(accepts)  # L1
        if landing.accepted and not landing.sockets:
            fd = landing.accepted[0][0]
            makes = map(Socket, (self._family,), (socket.SOCK_STREAM,), (0,), (fd,))
            if self._landing is landing and not landing.sockets:
                landing.sockets.extend(makes)  # L1
        if landing.sockets:
            self._settle(landing, landing.sockets[0], landing.accepted[0][1])

    def _settle(self, landing: Landing, sock: Socket, address: Any) -> None:
        user = foreign_user(sock, self._users) if self._family == socket.AF_UNIX else None
        fd = sock.fileno()
        connection = SocketConnection(
            fd,
            fd,
            serializer=self._serializer,
            message_limit=self._message_limit,
            name=self.name,
            notify=self.notify,
            sock=sock,
        )
        client = Client(connection, address, self._host, self._authkey, self._handshake_timeout)
        following = Landing()
        while self._landing is landing:
            clients = self._clients
            longer = clients if user is not None else (*clients, client)
            if self._clients is clients and self._landing is landing:
                self._clients, self._landing = longer, following  # L2
        if user is not None:
            util.sub_warning(f"refused a client of the user {user} at {self._address!r}: not of its users")
            client.connection.close()

    # --- the end ---

    def _close(self) -> None:
        if self._unlink is not None:
            self._unlink()  # while the socket lives: see `socketfile`
        with self._lock:
            self._socket.close()
            clients, landing = self._clients, self._landing
            self._clients, self._landing = (), Landing()
            for one in clients:
                one.connection.close()
            landing.close()
        if self._sleepers:
            ring(self._sleepers.copy())

    def __del__(self) -> None:
        if self._closed_by is None and hasattr(self, "_address"):
            self._closed_by = "the garbage collector"
            self._close()

    def _forked(self) -> None:
        """What had arrived is the parent's; the child may accept others, on its own."""
        clients, landing = self._clients, self._landing
        self._restart()
        for one in clients:
            one.connection.close()
        landing.close()


def _first(clients: tuple[Client, ...]) -> Client | None:
    """The client whose turn it is, if there is one: those who are through come before those who failed."""
    for one in clients:
        if one.through:
            return one
    return next((one for one in clients if one.failure is not None), None)


def _most() -> int:
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return _MOST if limit == resource.RLIM_INFINITY else max(1, min(_MOST, limit // 2))


def _in_child() -> None:
    for listener in list(_listeners):
        listener._forked()


os.register_at_fork(after_in_child=_in_child)
