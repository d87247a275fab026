"""Notes on what kind of descriptor this process moves marked bytes; a `sitecustomize` imports it first.

``MOVED_BYTES`` names the file of the notes, and ``MOVED_MARKERS`` what to look for. Each note is a line: who
(parent or child), which way, the kind of descriptor, and the marker.
"""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable, Sequence
from typing import Any

MARKERS = [marker.encode() for marker in os.environ["MOVED_MARKERS"].split(",")]
NOTES = os.open(os.environ["MOVED_BYTES"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
PARENT = int(os.environ.setdefault("MOVED_PARENT", str(os.getpid())))
KINDS = {stat.S_IFIFO: "fifo", stat.S_IFSOCK: "socket"}

_write = os.write


def note(way: str, fd: int, moved: bytes) -> None:
    for marker in MARKERS:
        if marker in moved:
            who = "parent" if os.getpid() == PARENT else "child"
            kind = KINDS.get(stat.S_IFMT(os.fstat(fd).st_mode), "something else")
            _write(NOTES, f"{who} {way} {kind} {marker.decode()}\n".encode())


def watch(name: str, way: str, moved: Callable[[Any, Any], bytes]) -> None:
    original: Callable[[int, Any], Any] = getattr(os, name)

    def watched(fd: int, data: Any) -> Any:
        done = original(fd, data)
        note(way, fd, moved(data, done))
        return done

    setattr(os, name, watched)


watch("read", "read", lambda size, done: bytes(done))
watch("readv", "read", lambda buffers, done: b"".join(map(bytes, buffers))[:done])
watch("write", "wrote", lambda data, done: bytes(data)[:done])
watch("writev", "wrote", lambda buffers, done: b"".join(map(bytes, buffers))[:done])


class WatchedSocket(socket.SocketType):
    """What the sockets of connections are made from, as long as it is here before they are."""

    def recv(self, size: int, flags: int = 0) -> bytes:
        done = super().recv(size, flags)
        note("read", self.fileno(), done)
        return done

    def recv_into(self, buffer: Any, size: int = 0, flags: int = 0) -> int:
        done = super().recv_into(buffer, size, flags)
        note("read", self.fileno(), bytes(buffer)[:done])
        return done

    def send(self, data: Any, flags: int = 0) -> int:
        done = super().send(data, flags)
        note("wrote", self.fileno(), bytes(data)[:done])
        return done

    def sendmsg(self, buffers: Any, ancillary: Any = (), flags: int = 0, address: Any = None) -> int:
        parts: Sequence[Any] = list(buffers)
        done = super().sendmsg(parts, ancillary, flags)
        note("wrote", self.fileno(), b"".join(map(bytes, parts))[:done])
        return done


socket.SocketType = WatchedSocket
