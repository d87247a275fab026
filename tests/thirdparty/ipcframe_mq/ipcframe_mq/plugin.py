"""The plugin that answers to "mq"; `pyproject.toml` names this module."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from ipcframe.abc import Backend, Channel, Connection
from ipcframe.capabilities import Capabilities
from ipcframe.hookspecs import hookimpl
from ipcframe.settings import Setting, Size, Sourced

from .endpoints import CAPACITY, PACKET_SIZE, open_channel, open_pair

_SYSTEM = Path("/proc/sys/fs/mqueue")


class MqBackend(Backend):
    """Channels are POSIX message queues, connections stream socket pairs."""

    name = "mq"
    capabilities = Capabilities(channel=True, fileno=True, packet_size=PACKET_SIZE)
    settings = (
        Setting(
            "queue_limit", Size, None, "bytes that a queue holds; by default half of the memory that is left"
        ),
    )

    @classmethod
    def unavailable_reason(cls) -> str | None:
        """Why it cannot run here; see `Backend.unavailable_reason`."""
        if sys.platform != "linux":
            return "it needs message queues that are descriptors, as on Linux"
        for key, needed in (("msg_max", CAPACITY), ("msgsize_max", PACKET_SIZE)):
            try:
                allowed = int((_SYSTEM / key).read_text())
            except (OSError, ValueError):
                return "this kernel has no POSIX message queues (CONFIG_POSIX_MQUEUE): use another backend"
            if allowed < needed:
                return f"{_SYSTEM / key} is {allowed}, too small: sysctl fs.mqueue.{key}={needed}"
        return None

    def connection_pair(self, duplex: bool) -> tuple[Connection, Connection]:
        """One socket pair; see `Backend.connection_pair`."""
        return open_pair(duplex)

    def channel(self) -> Channel:
        """One message queue; see `Backend.channel`."""
        return open_channel()


@hookimpl
def ipcframe_backend(name: str, settings: Mapping[str, Sourced]) -> Backend | None:
    """Answer to our name."""
    return MqBackend(settings) if name == "mq" else None
