"""The endpoints of the backend "sock"; children unpickle them from here."""

from __future__ import annotations

from socket import AF_UNIX, SO_SNDBUF, SOCK_SEQPACKET, SOCK_STREAM, SOL_SOCKET, socketpair

from ipcframe.toolkit import packets, stream

PACKET_SIZE = 64 * 1024
"""Largest packet of a channel, in bytes; several fit into `_CHANNEL_BUFFER`."""
_CHANNEL_BUFFER = 1024 * 1024
_CHANNEL_PACKETS = 4096
"""More packets than fit: the kernel counts some 768 bytes for each, and twice the buffer in all."""


class SockConnection(stream.StreamConnection):
    """A connection over one end of a stream socket pair."""


class SockChannel(packets.PacketChannel):
    """A channel over both ends of a packet socket pair."""


def open_pair(duplex: bool, buffer: int) -> tuple[stream.StreamConnection, stream.StreamConnection]:
    """Two connected ends; not duplex, the first only receives and the second only sends.

    Each end is one descriptor, and a socket notices by itself that its peer is gone, so one way differs
    from two only in what the ends are asked to do. What is closed here is what no end owns yet.
    """
    first, second = socketpair(AF_UNIX, SOCK_STREAM)
    with first, second:
        for sock in (first, second):
            sock.setsockopt(SOL_SOCKET, SO_SNDBUF, buffer)
        if duplex:
            return _two_way(first.detach()), _two_way(second.detach())
        receiving = SockConnection(first.detach(), None)
        return receiving, SockConnection(None, second.detach())


def _two_way(fd: int) -> stream.StreamConnection:
    return SockConnection(fd, fd)


def open_channel() -> packets.PacketChannel:
    """A pair that keeps the borders of packets: what is written to one end is read from the other."""
    reading, writing = socketpair(AF_UNIX, SOCK_SEQPACKET)
    with reading, writing:
        writing.setsockopt(SOL_SOCKET, SO_SNDBUF, _CHANNEL_BUFFER)
        return SockChannel(
            reading.detach(),
            writing.detach(),
            packet_size=PACKET_SIZE,
            capacity=_CHANNEL_PACKETS,
        )
