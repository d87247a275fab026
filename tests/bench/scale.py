"""How much work a measurement is, and the same work for either side."""

from __future__ import annotations

import multiprocessing
import os
from typing import Any, NamedTuple

from pairing import Side

import ipcframe

__all__ = ["CORES", "MIB", "Scale", "context_of", "small_dict"]

MIB = 2**20
CORES = sorted(os.sched_getaffinity(0))
"""What this process may use; asked before any row narrows it."""


class Scale(NamedTuple):
    """How much work a measurement is."""

    trips: int = 2000
    messages: int = 5000
    large: int = 64 * MIB
    huge: int = 256 * MIB
    idle: float = 10.0
    processes: int = 5
    backend: str = "pipe"

    @classmethod
    def smoke(cls, backend: str = "pipe") -> Scale:
        """As little as shows that the rows work."""
        return cls(20, 50, MIB, MIB, 0.1, 1, backend)


def context_of(side: Side, scale: Scale, method: str = "fork") -> Any:
    """The context of a side."""
    if side == "reference":
        return multiprocessing.get_context(method)
    return ipcframe.get_context(method, backend=scale.backend)


def small_dict(number: int) -> dict[str, Any]:
    """A small dict, another one for each number."""
    return {"id": number, "name": f"item {number}", "load": number / 7, "tags": ["a", "b"], "done": False}
