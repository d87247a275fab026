"""The queues: belts of pickles. The toolkit derives queues from channels with descriptors only."""

from __future__ import annotations

import operator
import queue
from typing import Any, NoReturn

from ipcframe import abc
from ipcframe.abc import Notify, silent
from ipcframe.deadline import NEVER, NOW, Deadline, deadline_after
from ipcframe.errors import UnsupportedOperation
from ipcframe.toolkit.serialisation import PICKLE
from ipcframe.toolkit.virtual.ends import Ends

from .belt import Belt, Item
from .resident import ResidentEndpoint
from .waiters import Waiters

__all__ = ["JoinableQueue", "Queue", "SimpleQueue"]

_UNBOUNDED = float("inf")


class Queue(ResidentEndpoint, Ends, abc.Queue):
    """A queue within the process; see `ipcframe.abc.Queue`."""

    notify: Notify = staticmethod(silent)

    def __init__(self, maxsize: int = 0) -> None:
        self._most: float = _UNBOUNDED
        if maxsize > 0:
            self._most = operator.index(maxsize)
        self._serializer: abc.Serializer = PICKLE
        self._belt = Belt()
        self._putters = Waiters()
        self._getters = Waiters()

    def put(self, obj: object, block: bool = True, timeout: float | None = None) -> None:
        """Put an object into the queue; see `ipcframe.abc.Queue.put`."""
        self._check_open()
        deadline = _deadline_of(block, timeout)
        message = b"".join(self._serializer.dumps(obj))
        item = Item(message, len(message))

        def attempt() -> bool:
            self._check_open()
            return self._belt.append(item, self._most, _UNBOUNDED)

        if not self._putters.wait(attempt, deadline, wakes=self._getters):
            raise queue.Full

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """Take an object out of the queue; see `ipcframe.abc.Queue.get`."""
        self._check_open()
        item: Item | None = None
        try:
            item = self._take(_deadline_of(block, timeout))
            if item is None:
                raise queue.Empty
            return self._serializer.loads(item.value)
        except Exception:
            raise  # of unpickling: that object is gone, and the next one comes
        except BaseException:
            self._give_back(item)
            raise

    def _take(self, deadline: Deadline) -> Item | None:
        taken: Item | None = None

        def attempt() -> bool:
            nonlocal taken
            self._check_open()
            taken = self._belt.take()
            return taken is not None

        try:
            self._getters.wait(attempt, deadline, wakes=self._putters)
            return taken
        except BaseException:
            self._give_back(taken)
            raise

    def _give_back(self, item: Item | None) -> None:
        if item is not None:
            self._belt.give_back(item)
            self._getters.wake()

    def _poll(self, deadline: Deadline) -> bool:
        def attempt() -> bool:
            self._check_open()
            return self._belt.first is not None

        return self._getters.wait(attempt, deadline)

    def qsize(self) -> int:
        """The number of objects in it."""
        self._check_open()
        return self._belt.count

    def full(self) -> bool:
        """Whether a put would have to wait."""
        return self.qsize() >= self._most

    def join_thread(self) -> None:
        """Nothing to wait for: there is no thread."""
        if self._closed_by is None:
            raise AssertionError(f"{self!r} is not closed")

    def cancel_join_thread(self) -> None:
        """Nothing is waited for at exit."""

    def _close(self) -> None:
        self._putters.wake()
        self._getters.wake()

    def _describe(self) -> str:
        return f"{self._belt.count} in it"

    @property
    def _interests(self) -> NoReturn:
        """What `Ends` has the descriptor of `_reader` from."""
        raise UnsupportedOperation(
            f"{self!r} has no descriptor: the backend 'loopback' declares fileno=False",
            "wait by get, in a thread",
        )


class SimpleQueue(Queue):
    """A queue without a bound."""


class JoinableQueue(Queue, abc.JoinableQueue):
    """A queue that counts what was put and not yet reported done; see `ipcframe.abc.JoinableQueue`."""

    def __init__(self, maxsize: int = 0) -> None:
        super().__init__(maxsize)
        self._done = 0
        self._joining = Waiters()

    def task_done(self) -> None:
        """Report one object done; ValueError beyond those that were put."""
        self._check_open()
        if self._done == self._belt.appended:
            raise ValueError("task_done() called too many times")
        self._done += 1
        self._joining.wake()

    def join(self) -> None:
        """Wait until every object that was put has been reported done."""

        def attempt() -> bool:
            self._check_open()
            return self._done == self._belt.appended

        self._joining.wait(attempt, NEVER)

    def _close(self) -> None:
        super()._close()
        self._joining.wake()


def _deadline_of(block: bool, timeout: float | None) -> Deadline:
    deadline = NEVER if timeout is None else deadline_after(timeout)
    return deadline if block else NOW
