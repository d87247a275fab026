"""Listener: where processes meet that are no relatives."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from .connection import Connection
from .endpoint import Endpoint

__all__ = ["Listener"]


class Listener(Endpoint):
    """Where processes that are no relatives are accepted; see `Capabilities.rendezvous`."""

    @property
    @abstractmethod
    def address(self) -> Any:
        """The address to connect to, as it was given or chosen."""

    @abstractmethod
    def accept(self, *, timeout: float | None = None) -> Connection:
        """Wait for a client that has proved who it is, and return the connection to it.

        Blocks: until a client is through its handshake, or the timeout; a silent one delays nobody.
        Threads: any number at once; each client goes to one of them.
        Buffers: none.
        Raises: `TimedOut`; `ClosedError`; AuthenticationError for a client that was refused.
        Interrupted: a client that was ready is handed out by the next call.
        Peer death: a client that goes during its handshake is forgotten.
        After fork: the parent's listener; a child that wants one makes its own.
        """
