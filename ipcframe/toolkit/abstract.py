"""Abstract addresses of Unix sockets (unix(7)): names without a file, gone with the last socket.

So the killed leave none behind. But there is no file whose mode says who may connect, and anybody may take a
name first. Hence both sides ask the system who is at the other end.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
from collections.abc import Collection
from typing import Any

__all__ = ["AVAILABLE", "Users", "checked_users", "foreign_user", "is_abstract", "new_address", "peer_user"]

AVAILABLE = sys.platform == "linux"
"""Whether the system has such addresses."""
Users = Collection[int] | str
"""Users that are admitted besides this one and root: their numbers, or "any"."""
_CREDENTIALS = struct.Struct("iII")  # struct ucred, see unix(7)


def new_address(kind: str) -> bytes:
    """An address that nobody can foretell; kind and pid are for people, and for the text of errors."""
    return b"\0ipcframe-%s-%d-%s" % (kind.encode(), os.getpid(), os.urandom(8).hex().encode())


def is_abstract(address: Any) -> bool:
    """Whether it is such an address."""
    return isinstance(address, bytes | str) and address[:1] in ("\0", b"\0")


def checked_users(users: Users, family: int) -> Users:
    """These users; raises ValueError or TypeError for what does not say which, or where nobody knows."""
    if isinstance(users, str):
        if users != "any":
            raise ValueError(f'users are given by their numbers, or as "any", not as {users!r}')
    elif not all(isinstance(one, int) for one in users):
        raise TypeError(f"users are given by their numbers: {users!r}")
    if users and family != getattr(socket, "AF_UNIX", None):
        raise ValueError("users are known on Unix sockets only: elsewhere an authkey tells who may connect")
    return users


def peer_user(sock: socket.SocketType) -> int | None:
    """The number of the user on the other side of a Unix socket; None where the system does not tell."""
    if not AVAILABLE:
        return None
    found = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    user: int = _CREDENTIALS.unpack(found)[1]
    return user


def foreign_user(sock: socket.SocketType, admitted: Users = ()) -> int | None:
    """The number of the user on the other side of a Unix socket, unless that one is admitted.

    This process's user always is, and so is root, who could read its memory anyway.
    """
    user = None if admitted == "any" else peer_user(sock)
    return None if user in (None, 0, os.geteuid()) or user in admitted else user
