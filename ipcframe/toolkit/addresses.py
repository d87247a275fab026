"""Addresses of sockets: the forms in which they are written, their families, and how long they may be."""

from __future__ import annotations

import errno
import os
import socket
import sys
from typing import Any

from ..errors import AddressInUse, AddressTooLong
from .abstract import AVAILABLE, is_abstract

__all__ = ["bind", "family_of", "read_address"]

_FORM = "unix:"
_ROOM = 104 if sys.platform == "darwin" else 108
"""So many bytes of an address the system keeps (``sun_path`` in unix(7)); a path has a zero at its end."""


def read_address(address: Any) -> Any:
    """The address as the system has it: of ``unix:PATH`` the path, of ``unix:@NAME`` the abstract address.

    Everything else is left as it is. Raises ValueError for what cannot be an address of a Unix socket, and
    `AddressTooLong` (an OSError) for one that the system would not keep whole.
    """
    if isinstance(address, str) and address.startswith(_FORM):
        written = address
        address = address.removeprefix(_FORM)
        if not address.strip("@"):
            raise ValueError(f"{written!r} is no address: after {_FORM} comes a path, or @ and a name")
        if address[0] == "@":
            address = f"\0{address[1:]}"
    if isinstance(address, bytes | str) and address:
        _check(address)
    return address


def _check(address: bytes | str) -> None:
    encoded = os.fsencode(address)
    if is_abstract(address):
        if not AVAILABLE:
            raise ValueError(f"{address!r} is an abstract address, and only Linux has those: use a path")
        if len(encoded) > _ROOM:
            raise AddressTooLong(
                f"the abstract address {address!r} has {len(encoded)} bytes, and the system takes {_ROOM}",
                "use a shorter name",
            )
        return
    if 0 in encoded:
        raise ValueError(f"{address!r} is no path: there is a zero in it")
    if len(encoded) >= _ROOM:
        raise AddressTooLong(
            f"the path {os.fsdecode(address)!r} has {len(encoded)} bytes, and as the address of a socket "
            f"it may have {_ROOM - 1}",
            f'use an abstract address, which needs no folder (such as "{_FORM}@name"), or a shorter path'
            if AVAILABLE
            else "use a shorter path, such as one that is relative to the working directory",
        )


def family_of(address: Any) -> str:
    """The name of its family; ValueError for what is no address.

    A host and its port, in a tuple, are of "AF_INET"; a path or an abstract address is of "AF_UNIX".
    """
    if isinstance(address, tuple):
        return "AF_INET"
    if isinstance(address, bytes | str) and hasattr(socket, "AF_UNIX"):
        return "AF_UNIX"
    raise ValueError(f"{address!r} is no address: use a path, an abstract address, or a host and its port")


def bind(sock: socket.SocketType, address: Any) -> None:
    """Take the address for the socket; `AddressInUse` if another one has it."""
    try:
        sock.bind(address)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise AddressInUse(
            f"the address {address!r} is in use: another socket is bound there",
            "use another address, or end that listener, with all processes that have inherited it",
        ) from None
