"""Backend: what a transport supplies; everything else is derived from it."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol, final

from ..capabilities import Capabilities
from ..errors import UnsupportedOperation
from ..settings import Setting, Sourced, validated
from .channel import Channel
from .connection import Connection
from .ground import Counter, Line, OwnedLock
from .listener import Listener

__all__ = ["Backend", "Notify", "silent"]


class Notify(Protocol):
    """Tells the observers of a context what happened; given to backends, kept by their endpoints."""

    def __call__(self, event: str, /, **facts: Any) -> None:
        """Call the notification hook ``ipcframe_<event>`` with these facts; never raises."""
        ...


def silent(event: str, /, **facts: Any) -> None:
    """The `Notify` of an object that nobody observes."""


class Backend(ABC):
    """One transport, made once per context from its validated settings.

    A backend supplies `connection_pair` and `channel`; queues and primitives are derived from those.
    It must neither start threads nor open descriptors before it is asked for something.
    """

    name: ClassVar[str]
    """What users type, and the name of the entry point."""
    capabilities: ClassVar[Capabilities]
    """Facts that users and tests rely on."""
    settings: ClassVar[tuple[Setting, ...]] = ()
    """What can be configured."""

    def __init__(self, settings: Mapping[str, Sourced]) -> None:
        """Check the settings; raises `ConfigError`."""
        self.configured = validated(f"the backend {self.name!r}", self.settings, settings)
        self.notify: Notify = silent
        self._made_in = os.getpid()
        self._closed = False

    @classmethod
    def unavailable_reason(cls) -> str | None:
        """Why this backend cannot run on this machine, with the remedy; None when it can.

        It has no side effects, and does not raise.
        """
        return None

    @abstractmethod
    def connection_pair(self, duplex: bool) -> tuple[Connection, Connection]:
        """Make two connected ends; not duplex, the first only receives and the second only sends.

        Blocks: never.
        Threads: any number at once.
        Buffers: none.
        Raises: OSError when the system's limits are reached; nothing is left open then.
        Interrupted: what was opened is closed, but for a descriptor of that very instant: a handler that
            raises right after the system call comes before it is stored.
        Peer death: there is no peer yet.
        After fork: works in the child.
        """

    @abstractmethod
    def channel(self) -> Channel:
        """Make a channel, which any process that holds it may send to and receive from.

        Blocks: never.
        Threads: any number at once.
        Buffers: none.
        Raises: `UnsupportedOperation` where `Capabilities.channel` is False; OSError at the system's limits.
        Interrupted: what was opened is closed, but for a descriptor of that very instant: a handler that
            raises right after the system call comes before it is stored.
        Peer death: there is no peer yet.
        After fork: works in the child.
        """

    def native(self, kind: str, *args: Any) -> Any:
        """Make an object of this backend's own, where it has a better one than the toolkit derives, or None.

        `kind` and `args` are: "queue", "joinable_queue" (maxsize); "simple_queue" (); "lock", "rlock",
        "event" (); "semaphore", "bounded_semaphore" (value, and for the second: owned); "condition" (a lock
        or None); "barrier" (parties, action, timeout). It keeps the contract of its kind.
        """
        return None

    def owned_lock(self) -> OwnedLock | None:
        """Make a lock for primitives to stand on; None for the toolkit's, which is for one host."""
        return None

    def counter(self, value: int, owned: bool) -> Counter | None:
        """Make a counter for primitives to stand on; None for the toolkit's, which is for one host."""
        return None

    def line(self) -> Line | None:
        """Make a line for primitives to stand on; None for the toolkit's, which is for one host."""
        return None

    def listener(
        self, address: Any = None, *, authkey: bytes | None = None, name: str | None = None, **options: Any
    ) -> Listener:
        """Make a listener, on an address that is free if none is given.

        With an `authkey`, clients prove that they know it, and the listener proves it to them. Options are
        the backend's own.

        Blocks: for a few seconds at most.
        Threads: any number at once.
        Buffers: none.
        Raises: `UnsupportedOperation` where `Capabilities.rendezvous` is False; OSError for an address that
            cannot be used, and at the system's limits; TypeError for options that the backend does not have.
        Interrupted: what was opened is closed, but for a descriptor of that very instant.
        Peer death: a listener that has died is in nobody's way.
        After fork: works in the child.
        """
        raise self._unsupported("listener", "rendezvous")

    def connect(
        self,
        address: Any,
        *,
        authkey: bytes | None = None,
        timeout: float | None = None,
        name: str | None = None,
        **options: Any,
    ) -> Connection:
        """Connect to a listener; without an `authkey`, nothing is said before the first message.

        Blocks: until the listener has taken us and, with an `authkey`, both have proved that they know it;
            `timeout` seconds in all, by default as long as the backend finds good.
        Threads: any number at once.
        Buffers: none.
        Raises: `UnsupportedOperation` where `Capabilities.rendezvous` is False; `TimedOut`;
            AuthenticationError for another key, and that or EOFError for a key on one side only; OSError
            where nobody listens.
        Interrupted: as for `listener`.
        Peer death: EOFError when the listener dies in the handshake; later as for any connection.
        After fork: works in the child.
        """
        raise self._unsupported("connect", "rendezvous")

    @final
    def close(self) -> None:
        """Give up what the backend itself holds; its objects live on. Nothing happens in a forked child."""
        if not self._closed and os.getpid() == self._made_in:
            self._closed = True
            self._close()

    def _close(self) -> None:  # noqa: B027 - a backend that holds nothing has nothing to do
        """Release what is held for the backend as a whole; called once, in the process that made it."""

    def _unsupported(self, operation: str, capability: str) -> UnsupportedOperation:
        return UnsupportedOperation(
            f"the backend {self.name!r} has no {operation}: it declares {capability}=False",
            f"choose a backend that declares {capability}=True: `ipcframe backends` shows what each declares",
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"
