"""What the children of the cases of rendezvous run: they are told a context, an address and a key."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from typing import Any

import ipcframe
from ipcframe.abc import Connection

from .conditions import PATIENCE

__all__ = ["be_killed_in_accept", "be_killed_once_met", "serve", "visit"]


def visit(context: ipcframe.Context, address: Any, authkey: bytes | None, objects: Sequence[object]) -> None:
    """Connect, and see that each object comes back."""
    with context.Client(address, authkey=authkey, timeout=PATIENCE) as there:
        for obj in objects:
            there.send(obj)
            assert there.recv(timeout=PATIENCE) == obj


def serve(context: ipcframe.Context, told: Connection, authkey: bytes | None) -> None:
    """Listen, tell the address, and send one client back what it sends."""
    with context.Listener(authkey=authkey) as listener:
        told.send(listener.address)
        with listener.accept(timeout=PATIENCE) as there:
            echo(there)


def echo(there: Connection) -> None:
    """Send back what comes until the end."""
    try:
        while True:
            there.send(there.recv(timeout=PATIENCE))
    except EOFError:
        pass


def be_killed_in_accept(context: ipcframe.Context, told: Connection, authkey: bytes | None) -> None:
    """Listen, tell the address, take one client, and wait for another until killed."""
    with context.Listener(authkey=authkey) as listener:
        told.send(listener.address)
        with listener.accept(timeout=PATIENCE) as there:
            there.send("met")
            listener.accept()


def be_killed_once_met(context: ipcframe.Context, address: Any, authkey: bytes | None) -> None:
    """Connect, and end as the killed do."""
    with context.Client(address, authkey=authkey, timeout=PATIENCE) as there:
        there.send("met")
        os.kill(os.getpid(), signal.SIGKILL)
