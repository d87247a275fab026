"""`_semlock`: what programs reach for inside of multiprocessing's primitives."""

from __future__ import annotations

import threading
from multiprocessing import process
from typing import Any

__all__ = ["SemLock", "owner_name"]


class SemLock:
    """The part of `_multiprocessing.SemLock` that clients use, answered by the primitive it belongs to."""

    def __init__(self, primitive: Any, kind: int, maxvalue: int) -> None:
        self._primitive = primitive
        self.kind = kind
        self.maxvalue = maxvalue
        self.name = None
        self.handle = 0

    def acquire(self, block: bool = True, timeout: float | None = None) -> bool:
        """The primitive's own."""
        return bool(self._primitive.acquire(block, timeout))

    def release(self) -> None:
        """The primitive's own."""
        self._primitive.release()

    def _is_mine(self) -> bool:
        return bool(self._primitive._is_mine())

    def _count(self) -> int:
        return int(self._primitive._depth())

    def _get_value(self) -> int:
        return int(self._primitive._value())

    def _is_zero(self) -> bool:
        return int(self._primitive._value()) == 0


def owner_name(primitive: Any) -> str:
    """Who holds it, in the words of multiprocessing's reprs."""
    if primitive._is_mine():
        name = process.current_process().name
        if threading.current_thread().name != "MainThread":
            name += "|" + threading.current_thread().name
        return name
    if primitive._value():
        return "None"
    return "SomeOtherThread" if primitive._depth() > 0 else "SomeOtherProcess"
