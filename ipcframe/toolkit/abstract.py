"""Abstract addresses of Unix sockets (unix(7)): names without a file, gone with the last socket.

So the killed leave none behind. But there is no file whose mode says who may connect, and anybody may take a
name first. Hence both sides ask the system who is at the other end.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
from typing import Any

__all__ = ["AVAILABLE", "foreign_user", "is_abstract", "new_address"]

AVAILABLE = sys.platform == "linux"
"""Whether the system has such addresses."""
_CREDENTIALS = struct.Struct("iII")  # struct ucred, see unix(7)


def new_address(kind: str) -> bytes:
    """An address that nobody can foretell; kind and pid are for people, and for the text of errors."""
    return b"\0ipcframe-%s-%d-%s" % (kind.encode(), os.getpid(), os.urandom(8).hex().encode())


def is_abstract(address: Any) -> bool:
    """Whether it is such an address."""
    return isinstance(address, bytes | str) and address[:1] in ("\0", b"\0")


def foreign_user(sock: socket.SocketType) -> int | None:
    """The number of the user on the other side of a Unix socket, unless it is this process's user or root."""
    if not AVAILABLE:
        return None
    found = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    user: int = _CREDENTIALS.unpack(found)[1]
    return None if user in (0, os.geteuid()) else user
