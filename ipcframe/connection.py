"""Connections: between processes that are no relatives, and several at once.

What multiprocessing's module of this name offers, with the same signatures. `Listener` and `Client` talk as
those of the standard library do, so that the other side may be a program that uses them.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from multiprocessing import AuthenticationError
from multiprocessing import connection as _connection
from typing import Any

from .abc import Connection
from .errors import BufferTooShort
from .toolkit import abstract
from .toolkit.abstract import Users
from .toolkit.handshake import answering, challenging, talk
from .toolkit.listener import SocketListener
from .toolkit.sockets import SocketConnection, connect

__all__ = [
    "AuthenticationError",
    "BufferTooShort",
    "Client",
    "Connection",
    "Listener",
    "Pipe",
    "XmlClient",
    "XmlListener",
    "address_type",
    "answer_challenge",
    "arbitrary_address",
    "default_family",
    "deliver_challenge",
    "families",
    "wait",
]

_standard: Any = _connection
_wait = _connection.wait

families: list[str] = _standard.families
"""The families of addresses that there are here."""
default_family: str = _standard.default_family
"""The family of a listener that is made without one."""


class Listener(SocketListener):
    """Where clients are accepted, which may be any process that knows the address and the key.

    Addresses and families are multiprocessing's: ``(host, port)`` of "AF_INET", a path of "AF_UNIX", or on
    Linux an abstract address, which begins with a zero. Also understood are ``unix:PATH`` and ``unix:@NAME``,
    which is the abstract address ``\\0NAME``. Without an address it chooses one, by default an abstract one.

    Who may connect: on a Unix socket this user and root, and `users`, which are numbers or "any"; others are
    sent away unheard. Then, with an `authkey`, who proves to know it. The file of a path is for its owner
    only, or with `users` for all, and their numbers decide.

    A client that is silent or slow delays nobody else: see `accept`. Close it, or use it in a ``with``
    statement; the file of a path is removed by then, or at exit. A killed listener leaves it, and the next
    one on that path replaces it.

    Raises `AddressInUse` (an OSError) if another listener lives at the address, or something that is no
    socket is at the path; `AddressTooLong` (an OSError); ValueError for what is no address; OSError at the
    system's limits.
    """

    def __init__(
        self,
        address: Any = None,
        family: str | None = None,
        backlog: int = 1,
        authkey: bytes | None = None,
        *,
        users: Users = (),
        name: str | None = None,
    ) -> None:
        family = family or (address_type(address) if address else default_family)
        super().__init__(
            address or arbitrary_address(family),
            _number(family),
            backlog=backlog,
            authkey=authkey,
            users=users,
            name=name,
        )

    def accept(self, *, timeout: float | None = None) -> SocketConnection:
        """Wait for a client that is through the handshake, and return the connection to it.

        Blocks: until there is one, or for `timeout` seconds. Clients that are silent or slow delay nobody.
        Raises: `TimedOut` (a TimeoutError); `HandshakeFailed` (an AuthenticationError) for a client with
            another key or none, or that talks nonsense; `HandshakeTimedOut` (both of these) for one that was
            not through within 10 s; `ClosedError` (an OSError), also when the listener is closed meanwhile;
            OSError at the system's limits. A client that goes before it is through is forgotten.
        """
        sock = self._socket
        if not self.closed and sock.gettimeout() != 0.0:
            # A program that knows the inside of the standard library's has set it there.
            self._usual_timeout = sock.gettimeout()
            sock.setblocking(False)
        return super().accept(timeout=self._usual_timeout if timeout is None else timeout)

    _usual_timeout: float | None = None

    @property
    def _listener(self) -> Listener:
        """Where the standard library's has its inside."""
        return self


def Client(  # noqa: N802 - multiprocessing's name
    address: Any,
    family: str | None = None,
    authkey: bytes | None = None,
    *,
    timeout: float | None = None,
    users: Users = (),
    name: str | None = None,
) -> SocketConnection:
    """Connect to the address of a listener, of ours or of the standard library's.

    On a Unix socket the listener must belong to this user, to root or to one of `users`, which are numbers or
    "any".

    Blocks: until the listener has room for another client and, with an `authkey`, has accepted this one and
        both have proved that they know the key. `timeout` is for all of that, in seconds; by default 20, and
        ``math.inf`` waits for ever.
    Raises: AuthenticationError (`HandshakeFailed`) for another key or another user's listener, TimeoutError
        (`HandshakeTimedOut`, `TimedOut`) when it takes too long, EOFError when the listener goes meanwhile
        or does not admit this user; `AddressTooLong` (an OSError), OSError where nobody listens.
    """
    number = _number(family or address_type(address))
    return connect(address, number, authkey=authkey, timeout=timeout, users=users, name=name)


def address_type(address: Any) -> str:
    """The family of an address; ValueError for what is none."""
    return str(_standard.address_type(address))


def arbitrary_address(family: str) -> Any:
    """An address that is free: of "AF_UNIX" an abstract one, where the system has them."""
    if family == "AF_UNIX" and abstract.AVAILABLE:
        return abstract.new_address("listener")
    return _standard.arbitrary_address(family)


def _number(family: str) -> int:
    number = getattr(socket, family, None)
    if number is None:
        raise ValueError(f"Family {family} is not recognized.")
    return int(number)


def deliver_challenge(connection: Any, authkey: bytes) -> None:
    """Have the other side of a connection, which answers the challenge, prove that it knows the key.

    Waits for it as ``recv_bytes`` does. Raises AuthenticationError if it does not, and ValueError for a key
    that is not bytes.
    """
    talk(connection, challenging(_required(authkey)))


def answer_challenge(connection: Any, authkey: bytes) -> None:
    """Prove to the other side of a connection, which delivers the challenge, that we know the key.

    Waits for it as ``recv_bytes`` does. Raises AuthenticationError if it refuses us, and ValueError for a
    key that is not bytes.
    """
    talk(connection, answering(_required(authkey)))


def _required(authkey: Any) -> bytes:
    if not isinstance(authkey, bytes):
        raise ValueError(f"Authkey must be bytes, not {type(authkey)}")
    return authkey


def Pipe(duplex: bool = True) -> tuple[Connection, Connection]:  # noqa: N802 - multiprocessing's name
    """Two connected ends of the default context; see `Context.Pipe`."""
    import ipcframe

    return ipcframe.Pipe(duplex)


class XmlListener(Listener):
    """A listener whose connections carry objects as XML-RPC does, instead of pickling them."""

    def accept(self, *, timeout: float | None = None) -> Any:
        """Wait for a client, and return what wraps the connection to it; see `Listener.accept`."""
        return _wrapped(super().accept(timeout=timeout))


def XmlClient(*args: Any, **kwds: Any) -> Any:  # noqa: N802 - multiprocessing's name
    """`Client`, for an `XmlListener`."""
    return _wrapped(Client(*args, **kwds))


def _wrapped(connection: SocketConnection) -> Any:
    from xmlrpc import client

    def dumps(obj: Any) -> bytes:
        return client.dumps((obj,), allow_none=True).encode()

    def loads(message: bytes) -> Any:
        return client.loads(message.decode())[0][0]

    return _standard.ConnectionWrapper(connection, dumps, loads)


def wait(object_list: Iterable[Any], timeout: float | None = None) -> list[Any]:
    """The objects of the list that are ready, waiting up to `timeout` seconds for the first.

    A connection is ready when `recv` would find a message or the end of the stream. Other objects are
    whatever `multiprocessing.connection.wait` takes.
    """
    objects = list(object_list)
    ready = [obj for obj in objects if isinstance(obj, Connection) and obj._holds_message()]
    if not ready:
        return _wait(objects, timeout)
    rest = [obj for obj in objects if not any(obj is held for held in ready)]
    also = _wait(rest, 0)
    return [obj for obj in objects if any(obj is one for one in (*ready, *also))]
