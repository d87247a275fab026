"""The plugin that answers to "sock"; `pyproject.toml` names this module."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from ipcframe.abc import Backend, Channel, Connection
from ipcframe.capabilities import Capabilities
from ipcframe.hookspecs import hookimpl
from ipcframe.settings import Setting, Size, Sourced

from .endpoints import PACKET_SIZE, open_channel, open_pair


class SockBackend(Backend):
    """Connections over stream socket pairs, channels over packet socket pairs."""

    name = "sock"
    capabilities = Capabilities(channel=True, fileno=True, packet_size=PACKET_SIZE)
    settings = (Setting("buffer", Size, 256 * 1024, "bytes under way in each direction of a connection"),)

    @classmethod
    def unavailable_reason(cls) -> str | None:
        """Why it cannot run here; see `Backend.unavailable_reason`."""
        if sys.platform != "linux":
            return "it needs Unix sockets that keep the borders of packets (SOCK_SEQPACKET), as Linux has"
        return None

    def connection_pair(self, duplex: bool) -> tuple[Connection, Connection]:
        """One socket pair; see `Backend.connection_pair`."""
        return open_pair(duplex, self.configured["buffer"].value)

    def channel(self) -> Channel:
        """One packet socket pair; see `Backend.channel`."""
        return open_channel()


@hookimpl
def ipcframe_backend(name: str, settings: Mapping[str, Sourced]) -> Backend | None:
    """Answer to our name."""
    return SockBackend(settings) if name == "sock" else None
