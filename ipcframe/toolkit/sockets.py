"""Connections over one stream socket each, which talk as the standard library's do.

Their descriptors block, and each call says that it must not: `multiprocessing.reduction.send_handle` and
`recv_handle` use the descriptor too, and would fail on one that does not block. Hence socket objects, whose
calls take that flag, while read(2) has none.
"""

from __future__ import annotations

import contextlib
import errno
import math
import os
import pickle
import socket
import struct
from collections.abc import Iterator, Sequence
from typing import Any

from ..abc import Buffer, Notify, Serializer, silent
from ..deadline import Deadline, deadline_after
from ..errors import EndOfStream, HandshakeFailed, TimedOut
from . import forks
from .abstract import Users, checked_users, foreign_user, peer_user
from .addresses import read_address
from .descriptor import Descriptor
from .framing import STANDARD, Framing
from .handshake import CHALLENGE, Handshake, calling, checked_key
from .serialisation import PickleSerializer
from .stream import StreamConnection
from .waiting import POLLIN, POLLOUT, Patience

__all__ = [
    "CONNECT_TIMEOUT",
    "IN_BAND",
    "InBandSerializer",
    "Socket",
    "SocketConnection",
    "SocketDescriptor",
    "connect",
]

CONNECT_TIMEOUT = 20.0
"""How long a client waits for a listener, handshake included, if it does not say; in seconds."""
_SLICE = 1.0
"""How long a call may wait, in seconds: another thread may have been interrupted instead of this one."""
_TIMEVAL = struct.Struct("@ll")
_NOW = (socket.MSG_DONTWAIT | getattr(socket, "MSG_NOSIGNAL", 0),)
_ALL = (0,)
_NOTHING = ((),)


class InBandSerializer(PickleSerializer):
    """Each message is a plain pickle, which any Python from 3.8 on reads."""

    in_band = True

    def dumps(self, obj: object) -> Sequence[Buffer]:
        """Serialise `obj`; see `Serializer.dumps`."""
        parts: Sequence[Any] = super().dumps(obj)
        if len(parts) == 1:
            return parts
        return [part.raw() if isinstance(part, pickle.PickleBuffer) else part for part in parts]

    def loads(self, message: Buffer) -> Any:
        """Rebuild the object of one message; see `Serializer.loads`.

        `HandshakeFailed` for a challenge, which is what a client without a key hears first.
        """
        try:
            return super().loads(message)
        except pickle.UnpicklingError:
            if bytes(message[: len(CHALLENGE)]) != CHALLENGE:
                raise
        raise HandshakeFailed(
            "the other side wants a proof that we know its authkey", "connect with the same"
        )

    def __reduce__(self) -> str | tuple[Any, ...]:
        return "IN_BAND" if self is IN_BAND else super().__reduce__()


IN_BAND = InBandSerializer()
"""The serialiser where the other side may be a program that uses `multiprocessing`."""


class Socket(socket.SocketType):
    """A socket that closes itself when nobody holds it any more.

    Made by a call of C alone, so that it can land in a list at once (rule I1 of `framing`).
    """

    __slots__ = ()

    def __del__(self) -> None:
        self.close()


class SocketDescriptor(Descriptor):
    """A socket, which does not block in the calls made here, whoever else uses it."""

    __slots__ = ()

    def __init__(self, sock: Socket) -> None:
        recv, recv_into, send, sendmsg = sock.recv, sock.recv_into, sock.send, sock.sendmsg

        def read(sizes: tuple[int]) -> Iterator[bytes]:
            return map(recv, sizes, _NOW)

        def fill(views: tuple[list[Buffer]]) -> Iterator[int]:
            return map(recv_into, views[0], _ALL, _NOW)

        def write(views: Sequence[Buffer]) -> Iterator[int]:
            return map(send, views, _NOW)

        def gather(views: tuple[Sequence[Buffer]]) -> Iterator[int]:
            return map(sendmsg, views, _NOTHING, _NOW)

        self.fd = sock.fileno()
        self.read, self.fill, self.write, self.gather = read, fill, write, gather


class SocketConnection(StreamConnection):
    """A connection over one stream socket; the other end may be a `multiprocessing.connection.Connection`.

    Made from the number of a socket, or from a `Socket` that has this number; either is the connection's
    from then on. Objects are pickled in band.
    """

    framing: Framing = STANDARD

    def __init__(
        self,
        read_fd: int | None,
        write_fd: int | None,
        *,
        serializer: Serializer = IN_BAND,
        message_limit: int | None = None,
        name: str | None = None,
        notify: Notify = silent,
        sock: Socket | None = None,
    ) -> None:
        if sock is None:
            # The family matters to calls that are not made here.
            sock = Socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, write_fd if read_fd is None else read_fd)
        self._socket = sock
        # Another default timeout of the program's would make each call wait.
        sock.setblocking(True)
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            # A message is one write. The second of two that are sent in a row would wait for the other side's
            # acknowledgement of the first, some 40 ms.
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().__init__(
            read_fd, write_fd, serializer=serializer, message_limit=message_limit, name=name, notify=notify
        )

    def _descriptor(self, fd: int) -> Descriptor:
        return SocketDescriptor(self._socket)

    def _close_fds(self) -> None:
        self._fds.clear()
        self._socket.close()

    def __del__(self) -> None:
        # The socket closes itself when nobody holds it any more. Somebody may, if this is not quite made yet.
        if self._closed_by is None and getattr(self, "_generation", None) is forks.generation:
            with contextlib.suppress(OSError):
                self._push_quietly()


def connect(
    address: Any,
    family: int,
    *,
    authkey: bytes | None = None,
    timeout: float | None = None,
    users: Users = (),
    name: str | None = None,
    message_limit: int | None = None,
) -> SocketConnection:
    """Connect to a listener, which may be one of the standard library's, and prove who we are.

    On a Unix socket it must belong to this user, to root or to one of `users`: their numbers, or "any".

    Blocks: while the listener has no room for another client, and, with an `authkey`, until it has taken us
        and is through the handshake; `timeout` seconds in all, None for `CONNECT_TIMEOUT`. A host's name is
        looked up without regard to it.
    Raises: `TimedOut`; `HandshakeFailed`, also where the listener belongs to another user;
        `HandshakeTimedOut` for a listener that says nothing; EndOfStream for one that closes the connection
        in the handshake; `AddressTooLong`; OSError where nobody listens.
    """
    seconds = CONNECT_TIMEOUT if timeout is None else timeout
    deadline = deadline_after(seconds)
    address = read_address(address)
    checked_users(users, family)
    checked_key(authkey)
    made: list[Socket] = []
    made.extend(map(Socket, (family,), (socket.SOCK_STREAM,)))
    sock = made[0]
    try:
        peer = f"the listener at {address!r}"
        _reach(sock, address, deadline, f"{peer} took no connection within {seconds:g} s")
        if family == socket.AF_UNIX:
            user = foreign_user(sock, users)
            if user is not None:
                raise HandshakeFailed(
                    f"{peer} belongs to the user {user}, neither to this one ({os.geteuid()}) nor to root",
                    "if that user is to be trusted, say so: users=[...], on both sides",
                )
        fd = sock.fileno()
        connection = SocketConnection(fd, fd, sock=sock, name=name, message_limit=message_limit)
        if authkey is not None:
            _prove(connection, Handshake(connection, calling(authkey), peer), deadline, seconds)
        return connection
    except EndOfStream as error:
        user = peer_user(sock) if family == socket.AF_UNIX else None
        sock.close()
        if user in (None, os.geteuid()):
            raise
        raise EndOfStream(
            error.problem,
            f"it belongs to the user {user}, and may not admit this one: users=[{os.geteuid()}]",
        ) from None
    except BaseException:
        sock.close()
        raise


def _reach(sock: Socket, address: Any, deadline: Deadline, too_late: str) -> None:
    patience = Patience()
    sock.setblocking(False)
    try:
        while True:
            try:
                sock.connect(address)
                if sock.family != socket.AF_UNIX or _is_connected(sock):
                    return
                full = True
            except BlockingIOError as error:
                full = error.errno == errno.EAGAIN
            except OSError as error:
                if error.errno == errno.EISCONN:
                    return
                raise
            if deadline.expired:
                raise TimedOut(too_late, "a listener takes clients while it is in `accept`")
            if full:
                # The backlog of a Unix socket. Nothing tells when there is room, but the system lets those in
                # who wait in the call, in their order: who only tries now and then comes after all of them.
                _limit(sock, min(max(deadline.remaining(), 1e-6), _SLICE))
                sock.setblocking(True)
            else:
                patience.wait(((sock.fileno(), POLLOUT),), deadline)
    finally:
        if sock.fileno() >= 0:
            _limit(sock, 0)


def _is_connected(sock: Socket) -> bool:
    """Whether it is: a call that waited, and was interrupted by a signal, says so too."""
    try:
        sock.getpeername()
    except OSError as error:
        if error.errno != errno.ENOTCONN:
            raise
        return False
    return True


def _limit(sock: Socket, seconds: float) -> None:
    """How long a call on the socket that sends or connects may wait; 0 for ever."""
    micros = math.ceil(seconds * 1_000_000)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _TIMEVAL.pack(*divmod(micros, 1_000_000)))


def _prove(connection: SocketConnection, handshake: Handshake, deadline: Deadline, seconds: float) -> None:
    patience = Patience()
    interests = ((connection.fileno(), POLLIN),)
    while True:
        patience.wait(interests, deadline)
        if handshake.advance():
            return
        if deadline.expired:
            raise handshake.late(seconds, "does it use an authkey, and is it in `accept`?")
