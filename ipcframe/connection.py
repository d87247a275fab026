"""`wait`: several connections, processes' sentinels, sockets and descriptors at once."""

from __future__ import annotations

from collections.abc import Iterable
from multiprocessing import connection as _standard
from typing import Any

from .abc import Connection

__all__ = ["Connection", "wait"]

_wait = _standard.wait


def wait(object_list: Iterable[Any], timeout: float | None = None) -> list[Any]:
    """The objects of the list that are ready, waiting up to `timeout` seconds for the first.

    A connection is ready when `recv` would find a message or the end of the stream. Other objects are
    whatever `multiprocessing.connection.wait` takes.
    """
    objects = list(object_list)
    ready = [obj for obj in objects if isinstance(obj, Connection) and obj._holds_message()]
    if not ready:
        return _wait(objects, timeout)
    rest = [obj for obj in objects if not any(obj is held for held in ready)]
    also = _wait(rest, 0)
    return [obj for obj in objects if any(obj is one for one in (*ready, *also))]
