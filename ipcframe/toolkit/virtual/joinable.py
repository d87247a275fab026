"""JoinableQueue: a queue that knows how much of what was put is not done yet.

That is what is in the queue, which is read from the kernel, plus what is open in the queue's ledger: what
was taken, or is just being taken, and not reported done. So a producer that is killed falsifies nothing.
"""

from __future__ import annotations

from typing import Any

from ... import abc
from ...abc import Buffer, Called
from ...deadline import NOW, deadline_after
from ..ledger import Ledger
from . import parts
from .putting import deadline_of
from .queue import Nothing, Queue

__all__ = ["JoinableQueue"]

_LOOK_AGAIN = 1.0
"""A consumer may be killed just when the last object is done."""


class JoinableQueue(Queue, abc.JoinableQueue):
    """A queue with `task_done` and `join`; see `ipcframe.abc.JoinableQueue`."""

    def __init__(self, maxsize: int = 0, *, ctx: Any) -> None:
        """Make one on the backend of `ctx`; raises as `Queue` does."""
        self._ledger = Ledger.create()
        self._joining = parts.line(ctx)
        super().__init__(maxsize, ctx=ctx)

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """Take an object out of the queue; see `ipcframe.abc.Queue.get`."""
        self._check_open()
        deadline = deadline_of(block, timeout)
        ledger = self._ledger
        message: Buffer | None = None
        begun = counted = False
        # Where what is taken is not counted yet, or not used yet, no call may follow outside of this.
        try:
            while message is None:
                begun = ledger.begin(deadline)
                if begun:
                    message = self._take(NOW)
                    if message is None:
                        ledger.end()
                        begun = False
                        self._wake_if_done()
                        # Who only waits is taking nothing.
                if message is None and (deadline.expired or not self._poll(deadline)):
                    raise Nothing
            self._make_room_known()
            counted = self._count_taken()
            ledger.end()
            begun = False
            return self._serializer.loads(message)
        except Exception:
            self._check_open()
            raise
        except BaseException:
            if message is not None:
                self.landed = ((message, None), *self.landed)
                self._counted += counted
            self._count_landed()
            raise
        finally:
            if begun:
                ledger.end()

    def _count_taken(self) -> bool:
        if self._counted:
            self._counted -= 1
        else:
            self._ledger.count()
        return True

    def _count_landed(self) -> None:
        """What an interrupted get leaves for the next one in this process is in the queue no more."""
        message = self._take(NOW)
        if message is not None:
            self.landed = ((message, None), *self.landed)
        landed = len(self.landed)
        while self._counted < landed:
            self._ledger.count()
            self._counted += 1

    def task_done(self) -> None:
        """Report one object done; see `ipcframe.abc.JoinableQueue.task_done`."""
        self._check_open()
        if not self._ledger.done(self._size):
            raise ValueError("task_done() called too many times")
        self._wake_if_done()

    def join(self) -> None:
        """Wait until everything is done; see `ipcframe.abc.JoinableQueue.join`."""
        while self._unfinished():
            turn = self._joining.enter()
            try:
                while self._unfinished() and turn.wait(deadline_after(_LOOK_AGAIN)) is not Called.CALLED:
                    self._check_open()
            finally:
                turn.leave()

    def _unfinished(self) -> int:
        self._check_open()
        inside = self._size()
        return inside + self._ledger.open()

    def _wake_if_done(self) -> None:
        if self._joining.length() and not self._unfinished():
            self._joining.call(2**31)

    def __reduce__(self) -> tuple[Any, ...]:
        _, (kind, state) = super().__reduce__()
        return _rebuild_joinable, (kind, state, (self._ledger, self._joining))


def _rebuild_joinable(kind: type[JoinableQueue], state: Any, counting: Any) -> JoinableQueue:
    made = kind.__new__(kind)
    made._ledger, made._joining = counting
    made._attach(*state)
    return made
