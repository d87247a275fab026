"""SimpleQueue: a queue without a bound, and without what that needs."""

from __future__ import annotations

from typing import Any

from .queue import Queue

__all__ = ["SimpleQueue"]


class SimpleQueue(Queue):
    """A queue with `put`, `get` and `empty`; see `multiprocessing.SimpleQueue`."""

    def __init__(self, *, ctx: Any) -> None:
        """Make one on the backend of `ctx`; raises as `Queue` does."""
        super().__init__(ctx=ctx)
