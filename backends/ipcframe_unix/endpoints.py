"""The endpoints of the unix backend; handles unpickle from here, without loading the plugin machinery."""

from __future__ import annotations

import fcntl
import sys
import termios
from socket import AF_UNIX, SO_SNDBUF, SOCK_SEQPACKET, SOCK_STREAM, SOL_SOCKET, SocketType, socketpair

from ipcframe.toolkit.packets import PacketChannel
from ipcframe.toolkit.rights import RightsConnection

__all__ = [
    "UNIX_PACKET",
    "UnixChannel",
    "UnixConnection",
    "open_channel",
    "open_duplex",
    "open_one_way",
]

UNIX_PACKET = 64 * 1024
"""Largest packet of a channel, in bytes."""
_CHANNEL_BUFFER = 96 * 1024
_NOT_FOR_PACKETS = 32
"""So much of the buffer the largest packet leaves, in bytes."""
_NO_BYTES = bytes(4)  # an int, for the answer


class UnixConnection(RightsConnection):
    """A connection over one end of a stream socket pair, which passes descriptors and shared memory."""


class UnixChannel(PacketChannel):
    """A channel over both ends of a packet socket pair."""


def open_one_way(message_limit: int | None) -> tuple[UnixConnection, UnixConnection]:
    """A receiving and a sending end of one socket pair."""
    first, second = socketpair(AF_UNIX, SOCK_STREAM)
    with first, second:
        receiving = UnixConnection(first.detach(), None, message_limit=message_limit)
        sending = UnixConnection(None, second.detach(), message_limit=message_limit)
        return receiving, sending


def open_duplex(message_limit: int | None) -> tuple[UnixConnection, UnixConnection]:
    """Two ends that both send and receive, of one socket pair."""
    first, second = socketpair(AF_UNIX, SOCK_STREAM)
    with first, second:
        here = _both_ways(first.detach(), message_limit)
        return here, _both_ways(second.detach(), message_limit)


def _both_ways(fd: int, message_limit: int | None) -> UnixConnection:
    return UnixConnection(fd, fd, message_limit=message_limit)


def open_channel() -> UnixChannel:
    """A pair that keeps the borders of packets: what is written to one end is read from the other."""
    reading, writing = socketpair(AF_UNIX, SOCK_SEQPACKET)
    with reading, writing:
        writing.setsockopt(SOL_SOCKET, SO_SNDBUF, _CHANNEL_BUFFER)
        room = writing.getsockopt(SOL_SOCKET, SO_SNDBUF)  # the double, or less: net.core.wmem_max is a limit
        capacity = 2 * room // _charge(reading, writing)  # of senders who look at once each finds room
        size = min(UNIX_PACKET, room - _NOT_FOR_PACKETS)
        return UnixChannel(reading.detach(), writing.detach(), packet_size=size, capacity=capacity)


def _charge(reading: SocketType, writing: SocketType) -> int:
    """What the kernel counts for the smallest packet; it takes another while the sum is below the room."""
    writing.send(b"\0")
    charged = int.from_bytes(fcntl.ioctl(writing, termios.TIOCOUTQ, _NO_BYTES), sys.byteorder)
    reading.recv(1)
    return charged
