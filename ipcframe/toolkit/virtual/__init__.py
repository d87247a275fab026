"""Queues and primitives derived from the few things that a backend supplies.

`Queue`, `JoinableQueue` and `SimpleQueue` from its channel; `Lock`, `RLock`, `Semaphore`, `BoundedSemaphore`,
`Condition`, `Event` and `Barrier` from owned locks, counters and lines, its own or the toolkit's.

The classes take the arguments of `multiprocessing`'s, and ``ctx=``: a context of ours, or a backend.
"""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["KINDS", "derive"]

KINDS = {
    "queue": ("queue", "Queue"),
    "joinable_queue": ("joinable", "JoinableQueue"),
    "simple_queue": ("simple", "SimpleQueue"),
    "lock": ("lock", "Lock"),
    "rlock": ("lock", "RLock"),
    "semaphore": ("semaphore", "Semaphore"),
    "bounded_semaphore": ("semaphore", "BoundedSemaphore"),
    "condition": ("condition", "Condition"),
    "event": ("event", "Event"),
    "barrier": ("barrier", "Barrier"),
}
"""What can be derived, by its kind: the module and the class."""


def derive(kind: str, *args: Any, ctx: Any) -> Any:
    """Make one; raises UnsupportedOperation where the backend or the machine has not what it needs."""
    module, name = KINDS[kind]
    return getattr(importlib.import_module(f"{__name__}.{module}"), name)(*args, ctx=ctx)
