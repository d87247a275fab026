"""The plugin that answers to "pipe"."""

from __future__ import annotations

from collections.abc import Mapping

from ipcframe.abc import Backend, Channel, Connection
from ipcframe.capabilities import Capabilities
from ipcframe.hookspecs import hookimpl
from ipcframe.settings import Setting, Size, Sourced

from .endpoints import PIPE_PACKET, open_channel, open_duplex, open_one_way, packet_mode

__all__ = ["PipeBackend", "ipcframe_backend"]


class PipeBackend(Backend):
    """Connections frame messages over os.pipe; the channel is a pipe in packet mode."""

    name = "pipe"
    capabilities = Capabilities(
        channel=packet_mode(), fileno=True, packet_size=PIPE_PACKET if packet_mode() else 0
    )
    settings = (
        Setting("message_limit", Size, None, "largest message in bytes; by default the machine's memory"),
        Setting(
            "queue_limit", Size, None, "bytes that a queue holds; by default half of the memory that is left"
        ),
    )

    def connection_pair(self, duplex: bool) -> tuple[Connection, Connection]:
        """One pipe, or two in opposite directions; see `Backend.connection_pair`."""
        limit: int | None = self.configured["message_limit"].value
        return open_duplex(limit) if duplex else open_one_way(limit)

    def channel(self) -> Channel:
        """A pipe in packet mode; see `Backend.channel`."""
        return open_channel()


@hookimpl
def ipcframe_backend(name: str, settings: Mapping[str, Sourced]) -> Backend | None:
    """Answer to our name."""
    return PipeBackend(settings) if name == PipeBackend.name else None
