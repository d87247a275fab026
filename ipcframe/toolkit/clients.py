"""Clients: those that the system has accepted for a listener, and their handshakes.

Both kinds of object here are the listener's, whose rules they keep: see `listener`.
"""

from __future__ import annotations

import os
from multiprocessing import util
from time import monotonic
from typing import Any

from ..deadline import deadline_after
from ..errors import EndOfStream, HandshakeFailed
from .handshake import Handshake, Step, serving
from .sockets import Socket, SocketConnection

__all__ = ["Client", "Landing"]


class Landing:
    """A client that the system has accepted, before there is a connection to it (L1)."""

    __slots__ = ("accepted", "sockets")

    def __init__(self) -> None:
        self.accepted: list[tuple[int, Any]] = []
        self.sockets: list[Socket] = []

    def close(self) -> None:
        """Nobody will be it."""
        if self.accepted and not self.sockets:
            os.close(self.accepted.pop()[0])
        for sock in self.sockets:
            sock.close()


class Client:
    """A client: under way, through the handshake, refused, or gone."""

    __slots__ = ("address", "connection", "deadline", "failure", "gone", "handshake", "since", "through")

    def __init__(
        self, connection: SocketConnection, address: Any, host: str, authkey: bytes | None, seconds: float
    ) -> None:
        self.address = address
        self.connection = connection
        peer = f"a client{f' at {address!r}' if address else ''} of {host}"
        self.handshake = Handshake(self.connection, Step() if authkey is None else serving(authkey), peer)
        self.deadline = deadline_after(seconds)
        self.since = monotonic()
        self.through = authkey is None
        self.failure: tuple[type[HandshakeFailed], str, str] | None = None
        self.gone = False

    @property
    def under_way(self) -> bool:
        """Whether its handshake has neither ended nor failed."""
        return not self.through and self.failure is None and not self.gone

    def is_due(self, ready: set[int] | None) -> bool:
        """Whether to advance it, when these descriptors are ready: also if it is new, or late."""
        if ready is None or self.connection._fileno() in ready:
            return True
        return self.handshake.step is self.handshake.first or self.deadline.expired

    def advance(self, seconds: float) -> None:
        """Go on with the handshake, without waiting."""
        try:
            if self.handshake.advance():
                self.through = True
            elif self.deadline.expired:
                raise self.handshake.late(seconds, "does it use an authkey?")
        except HandshakeFailed as error:
            # Without its traceback, which would keep this alive.
            self.failure = type(error), error.problem, error.remedy
        except EndOfStream as error:
            self.leave(error.problem)
        except OSError as error:
            if error.errno is None:  # a signal handler's
                raise
            self.leave(str(error))
        if self.failure is not None:
            self.connection.close()

    def leave(self, why: str) -> None:
        """Forget this client."""
        util.info(f"forgot {self.handshake.peer}: {why}")
        self.gone = True
        self.connection.close()
