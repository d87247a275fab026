"""The endpoints of the pipe backend; handles unpickle from here, without loading the plugin machinery."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
from collections.abc import Iterator

from ipcframe.errors import UnsupportedOperation
from ipcframe.toolkit.packets import PacketChannel
from ipcframe.toolkit.stream import StreamConnection

__all__ = [
    "PIPE_PACKET",
    "PipeChannel",
    "PipeConnection",
    "open_channel",
    "open_duplex",
    "open_one_way",
    "packet_mode",
]

_DUPLEX_CAPACITY = 256 * 1024  # as much as a socket pair of the standard library's Pipe takes
_CHANNEL_PACKETS = 256  # each occupies a page
PIPE_PACKET = 4096
"""Largest packet of a pipe in packet mode, in bytes: one page (pipe(7), O_DIRECT)."""


class PipeConnection(StreamConnection):
    """A connection over one pipe, or over two in opposite directions."""

    atomic_write = select.PIPE_BUF


class PipeChannel(PacketChannel):
    """A channel over a pipe in packet mode."""


def open_one_way(message_limit: int | None) -> tuple[PipeConnection, PipeConnection]:
    """A receiving and a sending end of one pipe."""
    with _unowned() as fds:
        fds.extend(os.pipe())
        receiving = PipeConnection(fds.pop(0), None, message_limit=message_limit)
        sending = PipeConnection(None, fds.pop(0), message_limit=message_limit)
        return receiving, sending


def open_duplex(message_limit: int | None) -> tuple[PipeConnection, PipeConnection]:
    """Two ends that both send and receive, over two pipes."""
    with _unowned() as fds:
        fds.extend(os.pipe())
        fds.extend(os.pipe())
        for fd in fds[::2]:
            _enlarge(fd, _DUPLEX_CAPACITY)
        # The list is: reads there, writes there, reads back, writes back.
        there = PipeConnection(fds.pop(0), fds.pop(2), message_limit=message_limit)
        here = PipeConnection(fds.pop(1), fds.pop(0), message_limit=message_limit)
        return here, there


def packet_mode() -> bool:
    """Whether pipes of this system have a packet mode."""
    return hasattr(os, "O_DIRECT") and hasattr(os, "pipe2")


def open_channel() -> PipeChannel:
    """A pipe in packet mode; each write of up to `PIPE_PACKET` bytes is handed whole to one reader."""
    if not packet_mode():
        raise UnsupportedOperation(
            "pipes have no packet mode on this system", "use another backend for queues and channels"
        )
    with _unowned() as fds:
        fds.extend(os.pipe2(os.O_DIRECT | os.O_CLOEXEC))
        _enlarge(fds[0], _CHANNEL_PACKETS * PIPE_PACKET)
        return PipeChannel(fds.pop(0), fds.pop(0), packet_size=PIPE_PACKET, capacity=_CHANNEL_PACKETS)


def _enlarge(fd: int, capacity: int) -> None:
    # Beyond the user's share (pipe-user-pages-soft) a pipe stays as small as it is, which only costs speed.
    if hasattr(fcntl, "F_SETPIPE_SZ"):
        with contextlib.suppress(OSError):
            fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, capacity)


@contextlib.contextmanager
def _unowned() -> Iterator[list[int]]:
    """A list of descriptors, to be taken out when an endpoint owns them; what is left in it is closed."""
    fds: list[int] = []
    try:
        yield fds
    finally:
        for fd in fds:
            os.close(fd)
