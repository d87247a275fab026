"""Queue: objects from any process to any process; the API of `multiprocessing.Queue`."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from .endpoint import Endpoint

__all__ = ["JoinableQueue", "Queue"]


class Queue(Endpoint):
    """Many producers, many consumers; each object goes to exactly one consumer.

    Objects of one producer keep their order. What `put` returned from is delivered, also when its
    producer dies at once. `qsize`, `empty` and `full` agree with each other and with completed puts.
    """

    @abstractmethod
    def put(self, obj: object, block: bool = True, timeout: float | None = None) -> None:
        """Serialise `obj` in the caller and put it into the queue.

        Blocks: with a maxsize, while the queue is full; without one, never.
        Threads: any number at once, signal handlers included.
        Buffers: the object may change when this returns.
        Raises: what pickling raises; ``queue.Full``; `MessageTooLarge`; `ClosedError`.
        Interrupted: the object is in the queue, whole, or it is not.
        Peer death: makes no difference: nobody in particular is awaited.
        After fork: works in the child, whatever the parent's threads were doing.
        """

    @abstractmethod
    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """Take the next object out of the queue.

        Blocks: while the queue is empty, holding nothing that another consumer needs.
        Threads: any number at once, signal handlers included.
        Buffers: the object is the caller's.
        Raises: ``queue.Empty``; what unpickling raises, and the queue goes on; `ClosedError`.
        Interrupted: an object that was being taken comes with the next call in this process.
        Peer death: a consumer that is killed takes along at most the object it was taking.
        After fork: works in the child; an object that the parent was taking stays the parent's.
        """

    def put_nowait(self, obj: object) -> None:
        """`put` without waiting."""
        self.put(obj, False)

    def get_nowait(self) -> Any:
        """`get` without waiting."""
        return self.get(False)

    @abstractmethod
    def qsize(self) -> int:
        """The number of objects in the queue.

        Blocks: never.
        Threads: any number at once.
        Buffers: none.
        Raises: `ClosedError`.
        Interrupted: changes nothing.
        Peer death: what a dead consumer had taken is not counted.
        After fork: the same in every process.
        """

    def empty(self) -> bool:
        """Whether there is nothing to get: never true after a put that nobody has taken."""
        return self.qsize() == 0

    @abstractmethod
    def full(self) -> bool:
        """Whether a put would have to wait.

        Blocks: never.
        Threads: any number at once.
        Buffers: none.
        Raises: `ClosedError`.
        Interrupted: changes nothing.
        Peer death: what a dead consumer had taken makes room.
        After fork: the same in every process.
        """

    @abstractmethod
    def join_thread(self) -> None:
        """Wait until what this process put is safe from its end; at once where `put` already is.

        Blocks: as long as that takes.
        Threads: any number at once.
        Buffers: none.
        Raises: AssertionError before `close`, as `multiprocessing` does.
        Interrupted: may be called again.
        Peer death: makes no difference.
        After fork: concerns the calling process.
        """

    @abstractmethod
    def cancel_join_thread(self) -> None:
        """Do not wait at exit for what this process put.

        Blocks: never.
        Threads: any number at once.
        Buffers: none.
        Raises: nothing.
        Interrupted: may be called again.
        Peer death: makes no difference.
        After fork: concerns the calling process.
        """


class JoinableQueue(Queue):
    """A queue that counts what was put and not yet reported done."""

    @abstractmethod
    def task_done(self) -> None:
        """Report that an object which was got has been dealt with.

        Blocks: never.
        Threads: any number at once.
        Buffers: none.
        Raises: ValueError when called more often than there were puts.
        Interrupted: it is counted, or it is not.
        Peer death: what a dead consumer did not report stays unreported.
        After fork: any process that holds the queue may report.
        """

    @abstractmethod
    def join(self) -> None:
        """Wait until every object that was put has been reported done.

        Blocks: until then.
        Threads: any number at once.
        Buffers: none.
        Raises: `ClosedError`.
        Interrupted: may be called again.
        Peer death: an object that a dead consumer had taken is never reported done.
        After fork: any process that holds the queue may wait.
        """
