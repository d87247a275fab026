"""Notes on what kind of descriptor this process moves marked bytes; a `sitecustomize` imports it first.

``MOVED_BYTES`` names the file of the notes, and ``MOVED_MARKERS`` what to look for. Each note is a line: who
(parent or child), which way, the kind of descriptor, and the marker.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
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
