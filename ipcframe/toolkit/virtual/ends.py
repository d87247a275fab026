"""What clients of multiprocessing's queues reach for inside of them: `_reader`, `_writer` and their locks.

`concurrent.futures` waits for `_reader` together with sentinels; `multiprocessing.pool` receives from it and
sends to `_writer`. Either end of a queue is the queue; closing both closes it.
"""

from __future__ import annotations

import select
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ...deadline import deadline_after

if TYPE_CHECKING:
    from .queue import Queue

__all__ = ["Ends"]


class Ends:
    """A queue's two ends, as multiprocessing's queues have them."""

    @cached_property
    def _reader(self) -> Reader:
        return Reader(self)  # type: ignore[arg-type]

    @cached_property
    def _writer(self) -> Writer:
        return Writer(self)  # type: ignore[arg-type]

    @cached_property
    def _rlock(self) -> NoLock:
        return NoLock()

    @cached_property
    def _wlock(self) -> NoLock:
        return NoLock()


class _End:
    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether this end, or the whole queue, was closed in this process."""
        return self._closed or self._queue.closed

    def close(self) -> None:
        """Give the end up; with the other one, the queue."""
        self._closed = True
        if self._queue._reader._closed and self._queue._writer._closed:
            self._queue.close()


class Reader(_End):
    """The end to receive from."""

    _epoll: select.epoll | None = None

    def recv(self) -> Any:
        """`Queue.get`."""
        return self._queue.get()

    def poll(self, timeout: float | None = 0.0) -> bool:
        """Whether there is something to receive within `timeout` seconds."""
        return self._queue._poll(deadline_after(timeout))

    def fileno(self) -> int:
        """A descriptor that is readable while there is something to receive."""
        self._queue._check_open()
        epoll = self._epoll
        if epoll is None:
            made = select.epoll()
            for fd, event in self._queue._interests:
                made.register(fd, event)
            # Another thread may have been faster, and wait on its one: that stays.
            epoll = vars(self).setdefault("_epoll", made)
        return epoll.fileno()


class Writer(_End):
    """The end to send to."""

    def send(self, obj: object) -> None:
        """`Queue.put`."""
        self._queue.put(obj)


class NoLock:
    """What stands where multiprocessing has a lock: no reader holds another one up."""

    def acquire(self, block: bool = True, timeout: float | None = None) -> bool:
        """Nothing to wait for."""
        return True

    def release(self) -> None:
        """Nothing to give back."""

    def __enter__(self) -> bool:
        return True

    def __exit__(self, *exception: object) -> None:
        return None
