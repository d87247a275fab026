"""The endpoints of the pipe backend; handles unpickle from here, without loading the plugin machinery."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select

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
_CHANNEL_CAPACITY = 1024 * 1024  # 256 packets: each occupies a page
PIPE_PACKET = 4096
"""Largest packet of a pipe in packet mode, in bytes: one page (pipe(7), O_DIRECT)."""


class PipeConnection(StreamConnection):
    """A connection over one pipe, or over two in opposite directions."""

    atomic_write = select.PIPE_BUF


class PipeChannel(PacketChannel):
    """A channel over a pipe in packet mode."""


def open_one_way(message_limit: int | None) -> tuple[PipeConnection, PipeConnection]:
    """A receiving and a sending end of one pipe."""
    read_fd, write_fd = os.pipe()
    try:
        return (
            PipeConnection(read_fd, None, message_limit=message_limit),
            PipeConnection(None, write_fd, message_limit=message_limit),
        )
    except BaseException:
        _close_all(read_fd, write_fd)
        raise


def open_duplex(message_limit: int | None) -> tuple[PipeConnection, PipeConnection]:
    """Two ends that both send and receive, over two pipes."""
    there = os.pipe()
    try:
        back = os.pipe()
    except BaseException:
        _close_all(*there)
        raise
    try:
        for pipe in (there, back):
            _enlarge(pipe[1], _DUPLEX_CAPACITY)
        return (
            PipeConnection(back[0], there[1], message_limit=message_limit),
            PipeConnection(there[0], back[1], message_limit=message_limit),
        )
    except BaseException:
        _close_all(*there, *back)
        raise


def packet_mode() -> bool:
    """Whether pipes of this system have a packet mode."""
    return hasattr(os, "O_DIRECT") and hasattr(os, "pipe2")


def open_channel() -> PipeChannel:
    """A pipe in packet mode; each write of up to `PIPE_PACKET` bytes is handed whole to one reader."""
    if not packet_mode():
        raise UnsupportedOperation(
            "pipes have no packet mode on this system", "use another backend for queues and channels"
        )
    read_fd, write_fd = os.pipe2(os.O_DIRECT | os.O_CLOEXEC)
    try:
        _enlarge(write_fd, _CHANNEL_CAPACITY)
        return PipeChannel(read_fd, write_fd, packet_size=PIPE_PACKET)
    except BaseException:
        _close_all(read_fd, write_fd)
        raise


def _enlarge(fd: int, capacity: int) -> None:
    # Beyond the user's share (pipe-user-pages-soft) a pipe stays as small as it is, which only costs speed.
    if hasattr(fcntl, "F_SETPIPE_SZ"):
        with contextlib.suppress(OSError):
            fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, capacity)


def _close_all(*fds: int) -> None:
    for fd in fds:
        with contextlib.suppress(OSError):
            os.close(fd)
