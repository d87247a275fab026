"""Leases, as they are received: see `blocks` for what they are, and for the rules B3 to B5."""

from __future__ import annotations

import fcntl
import mmap
import os
import stat
import sys
from typing import Any

from .blocks import is_refusal, mark_taken, spare_descriptors
from .intake import room

__all__ = ["fault", "message"]

# From Python 3.13 on a mapping keeps no descriptor.
_WITHOUT_DESCRIPTOR: dict[str, Any] = {"trackfd": False} if sys.version_info >= (3, 13) else {}


def fault(lease: int, size: int) -> str | None:
    """What forbids to map a message of so many bytes; None when all is as it should be."""
    status = os.fstat(lease)
    try:
        seals = fcntl.fcntl(lease, fcntl.F_GET_SEALS)
    except OSError:
        return "that is no file in memory"
    if not stat.S_ISREG(status.st_mode) or fcntl.fcntl(lease, fcntl.F_GETFL) & os.O_ACCMODE == os.O_WRONLY:
        return "that cannot be read"
    if not seals & fcntl.F_SEAL_SHRINK:
        return "whose memory could be taken away again: it is not sealed against shrinking"
    if status.st_size < size:
        return f"with {status.st_size} bytes for a message of {size}"
    return None


def message(lease: int, size: int) -> memoryview:
    """The message; the lease may be closed when this returns. The view is writable and nobody else's.

    It is a copy where the system allows no mapping more, or where mappings would use up more than half of the
    descriptors of this process. Raises MemoryError.
    """
    if _WITHOUT_DESCRIPTOR or spare_descriptors(lease):
        try:
            return _mapped(lease, size)
        except OSError as error:
            if not is_refusal(error):
                raise
    return _copied(lease, size)


def _mapped(lease: int, size: int) -> memoryview:
    mapping = mmap.mmap(lease, size, flags=mmap.MAP_PRIVATE, **_WITHOUT_DESCRIPTOR)  # B5
    mark_taken(lease)
    return memoryview(mapping)


def _copied(lease: int, size: int) -> memoryview:
    whole = room(size)
    done = 0
    while done < size:
        done += os.preadv(lease, [whole[done:]], done)  # it cannot have become shorter
    return whole
