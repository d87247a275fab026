"""The plugin that answers to "unix"."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from ipcframe.abc import Backend, Channel, Connection, Listener
from ipcframe.capabilities import Capabilities
from ipcframe.hookspecs import hookimpl
from ipcframe.settings import Setting, Size, Sourced

from .endpoints import UNIX_PACKET, open_channel, open_duplex, open_one_way
from .rendezvous import connect, make_listener

__all__ = ["UnixBackend", "ipcframe_backend"]


class UnixBackend(Backend):
    """Connections frame messages over stream sockets; the channel is a packet socket pair."""

    name = "unix"
    capabilities = Capabilities(
        channel=True,
        descriptors=True,
        rendezvous=True,
        fileno=True,
        zero_copy=True,
        packet_size=UNIX_PACKET,
    )
    settings = (
        Setting("message_limit", Size, None, "largest message in bytes; by default the machine's memory"),
        Setting(
            "queue_limit", Size, None, "bytes that a queue holds; by default half of the memory that is left"
        ),
    )

    @classmethod
    def unavailable_reason(cls) -> str | None:
        """Why it cannot run here; see `Backend.unavailable_reason`."""
        if sys.platform != "linux":
            return "it needs Unix sockets that keep the borders of packets (SOCK_SEQPACKET), as Linux has"
        return None

    def connection_pair(self, duplex: bool) -> tuple[Connection, Connection]:
        """One stream socket pair; see `Backend.connection_pair`."""
        limit: int | None = self.configured["message_limit"].value
        return open_duplex(limit) if duplex else open_one_way(limit)

    def channel(self) -> Channel:
        """One packet socket pair; see `Backend.channel`."""
        return open_channel()

    def listener(
        self, address: Any = None, *, authkey: bytes | None = None, name: str | None = None, **options: Any
    ) -> Listener:
        """A listener on a Unix or an internet socket; see `Backend.listener` and `make_listener`."""
        limit: int | None = self.configured["message_limit"].value
        return make_listener(address, authkey=authkey, name=name, message_limit=limit, **options)

    def connect(
        self,
        address: Any,
        *,
        authkey: bytes | None = None,
        timeout: float | None = None,
        name: str | None = None,
        **options: Any,
    ) -> Connection:
        """Connect to such a listener; see `Backend.connect`."""
        limit: int | None = self.configured["message_limit"].value
        return connect(address, authkey=authkey, timeout=timeout, name=name, message_limit=limit, **options)


@hookimpl
def ipcframe_backend(name: str, settings: Mapping[str, Sourced]) -> Backend | None:
    """Answer to our name."""
    return UnixBackend(settings) if name == UnixBackend.name else None
