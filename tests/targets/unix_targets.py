"""What the processes of the unix backend's own tests run."""

from __future__ import annotations

from ipcframe.abc import Channel, Connection
from ipcframe.errors import TimedOut

__all__ = ["crowd"]


def crowd(channel: Channel, control: Connection) -> None:
    """On each word put the smallest packets in until the channel has been full for a while."""
    while control.recv():
        refused = 0
        while refused < 200:
            try:
                channel.send(b"x", timeout=0)
            except TimedOut:
                refused += 1
        control.send(None)
