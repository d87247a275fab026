"""What the children of the tests of listeners run."""

from __future__ import annotations

import os
import signal
import socket
import sys
from typing import Any

from ipcframe import connection
from ipcframe.errors import AddressInUse, EndOfStream, HandshakeFailed

KEY = b"the key of the tests"
NOBODY = 65534
"""Another user than root."""


def answer(conn: Any) -> None:
    """Send back what comes, with our pid, until None comes."""
    for obj in iter(conn.recv, None):
        conn.send((os.getpid(), obj))


def be_killed_in_the_handshake(address: Any) -> None:
    """Connect, hear the challenge, say half of an answer, and die."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(address)
        sock.recv(1000)
        sock.sendall(b"\0\0\0\x10half")
        os.kill(os.getpid(), signal.SIGKILL)


def connect_as_nobody(address: Any, told: Any) -> None:
    """Become another user, and try."""
    os.setuid(NOBODY)
    try:
        client = connection.Client(address, authkey=KEY, timeout=10)
        told.send(client.recv())
    except (EndOfStream, HandshakeFailed, OSError) as error:
        told.send(str(error))


def listen_as_nobody(told: Any, address: Any = None) -> None:
    """Become another user, and take the address, or an abstract one."""
    os.setuid(NOBODY)
    with connection.Listener(address, authkey=KEY) as listener:
        told.send(listener.address)
        while told.recv():
            listener.accept(timeout=20).close()


def close_the_copy(listener: Any) -> None:
    """What a child does that has inherited a listener."""
    listener.close()


def accept_one(listener: Any) -> None:
    """Accept at an inherited listener."""
    with listener.accept(timeout=20) as conn:
        conn.send(os.getpid())


def listen_until_killed(path: str) -> None:
    """Listen, and be killed."""
    sys.modules["kept"] = connection.Listener(path)  # type: ignore[assignment]
    os.kill(os.getpid(), signal.SIGKILL)


def compete(path: str, told: Any) -> None:
    """For each word that comes, try to listen at the path, tell how it went, and keep what was got."""
    kept = []
    while told.recv():
        try:
            kept.append(connection.Listener(path, authkey=KEY))
            told.send("got it")
        except AddressInUse as error:
            told.send(error.problem)


def compete_as_nobody(path: str, told: Any) -> None:
    """As another user."""
    os.setuid(NOBODY)
    compete(path, told)


def listen_until_the_end(path: str) -> None:
    """Listen, and end normally without closing."""
    sys.modules["kept"] = connection.Listener(path)  # type: ignore[assignment]
