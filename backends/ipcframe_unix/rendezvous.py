"""How processes that are no relatives meet: listeners and clients on stream sockets, also on the internet's.

Both speak the protocol of `multiprocessing.connection`, so that the other side may be any program with that.
"""

from __future__ import annotations

import socket
from typing import Any

from ipcframe.toolkit.abstract import Users, new_address
from ipcframe.toolkit.addresses import family_of
from ipcframe.toolkit.listener import SocketListener
from ipcframe.toolkit.sockets import SocketConnection
from ipcframe.toolkit.sockets import connect as connect_socket

__all__ = ["connect", "make_listener"]


def make_listener(
    address: Any = None,
    *,
    family: str | None = None,
    backlog: int = 1,
    authkey: bytes | None = None,
    users: Users = (),
    name: str | None = None,
    message_limit: int | None = None,
) -> SocketListener:
    """A listener; see `Backend.listener`. Without an address: an abstract one, or a free port of this host.

    `family` is "AF_UNIX", "AF_INET" or "AF_INET6", by default what the address is of; `backlog` and `users`
    are those of `SocketListener`.
    """
    family = family or ("AF_UNIX" if address is None else family_of(address))
    if address is None:
        address = new_address("listener") if family == "AF_UNIX" else ("localhost", 0)
    return SocketListener(
        address,
        _number(family),
        backlog=backlog,
        authkey=authkey,
        users=users,
        name=name,
        message_limit=message_limit,
    )


def connect(
    address: Any,
    *,
    family: str | None = None,
    authkey: bytes | None = None,
    timeout: float | None = None,
    users: Users = (),
    name: str | None = None,
    message_limit: int | None = None,
) -> SocketConnection:
    """Connect to a listener; see `Backend.connect`, and for `users` the function of the toolkit."""
    return connect_socket(
        address,
        _number(family or family_of(address)),
        authkey=authkey,
        timeout=timeout,
        users=users,
        name=name,
        message_limit=message_limit,
    )


def _number(family: str) -> int:
    numbers = {"AF_UNIX": socket.AF_UNIX, "AF_INET": socket.AF_INET, "AF_INET6": socket.AF_INET6}
    if family not in numbers:
        raise ValueError(f"there is no family {family!r} here: use one of {', '.join(numbers)}")
    return numbers[family]
