"""What the cases of primitives share: how each is made, and who holds it or waits for it meanwhile."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from threading import BrokenBarrierError
from typing import Any

import ipcframe

from . import sync_targets
from .case import Children
from .conditions import PATIENCE, Worker, asleep, eventually, state_of

__all__ = [
    "ACQUIRABLE",
    "WAITS",
    "Remote",
    "children_in_turn",
    "held",
    "in_vain",
    "nobody_holds",
    "when_asleep",
]

ACQUIRABLE: dict[str, Callable[[ipcframe.Context], Any]] = {
    "Lock": lambda context: context.Lock(),
    "RLock": lambda context: context.RLock(),
    "Semaphore": lambda context: context.Semaphore(),
    "BoundedSemaphore": lambda context: context.BoundedSemaphore(),
    "BoundedSemaphore, owned": lambda context: context.BoundedSemaphore(1, owned=True),
    "Condition": lambda context: context.Condition(),
    "Condition of a Lock": lambda context: context.Condition(context.Lock()),
}
"""What can be acquired, once."""

WAITS = (*ACQUIRABLE, "Event.wait", "Condition.wait", "Condition.wait_for", "Barrier.wait")
"""What can be waited for; see `in_vain`."""


class Remote:
    """A child that calls the methods of the objects which it was given, one at a time."""

    def __init__(self, children: Children, *objects: Any) -> None:
        self._children = children
        self._objects = list(objects)
        self._control, theirs = children.context.Pipe()
        self.process = children.start(sync_targets.obey, theirs, objects, discard=(self._control,))
        theirs.close()
        assert self.process.pid is not None
        self.pid: int = self.process.pid

    def begin(self, obj: Any, method: str, *args: Any, **kwargs: Any) -> None:
        """Have it call the method; it is about to when this returns."""
        at = next(at for at, one in enumerate(self._objects) if one is obj)
        self._control.send((at, method, args, kwargs))
        assert self._control.recv(timeout=PATIENCE) == "begun"

    def answer(self, within: float = PATIENCE) -> Any:
        """Wait for what the method returns, or raise what it raised."""
        raised, outcome = self._control.recv(timeout=within)
        if raised:
            raise outcome
        return outcome

    def answered(self) -> bool:
        """Whether the method has returned."""
        return self._control.poll(0)

    def call(self, obj: Any, method: str, *args: Any, **kwargs: Any) -> Any:
        """Have it call the method, and wait for the outcome; also for an attribute."""
        self.begin(obj, method, *args, **kwargs)
        return self.answer()

    def park(self, obj: Any, method: str, *args: Any, **kwargs: Any) -> None:
        """Have it call the method, and wait until it sleeps there."""
        self.begin(obj, method, *args, **kwargs)
        self.parked()

    def parked(self) -> None:
        """Wait until it sleeps in the method that it was told to call."""
        eventually(asleep(self.pid, self.pid))
        assert not self.answered(), "it does not wait"

    def give(self, *objects: Any) -> None:
        """Hand more objects to it, through a connection."""
        for obj in objects:
            self._control.send((-1, "", (obj,), {}))
            self._objects.append(obj)

    def stop(self) -> None:
        """SIGSTOP; it has stopped when this returns."""
        os.kill(self.pid, signal.SIGSTOP)
        eventually(lambda: state_of(self.pid) in ("", "T"))

    def resume(self) -> None:
        """SIGCONT."""
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL, without waiting."""
        self._children.kill(self.process)

    def bury(self, exitcode: int = -signal.SIGKILL) -> None:
        """Wait for the end of the process that was killed."""
        self._children.finish(self.process, exitcode)

    def end(self, at_once: bool = False) -> None:
        """Have it end normally, or by `os._exit`, and wait for that."""
        self._control.send((-1, "_exit" if at_once else "exit", (), {}))
        self._children.finish(self.process)


@contextlib.contextmanager
def held(obj: Any) -> Iterator[None]:
    """Another thread of this process holds it."""
    taken, enough = threading.Event(), threading.Event()

    def hold() -> None:
        with obj:
            taken.set()
            assert enough.wait(PATIENCE)

    holding = Worker(hold)
    assert taken.wait(PATIENCE), holding.error
    try:
        yield
    finally:
        enough.set()
        holding.result()


@contextlib.contextmanager
def in_vain(context: ipcframe.Context, kind: str) -> Iterator[Callable[[float | None], Any]]:
    """Gives a function that waits, for a time, for one of `WAITS` that does not come; it returns False."""
    if kind in ACQUIRABLE:
        obj = ACQUIRABLE[kind](context)
        with held(obj):
            yield lambda timeout: obj.acquire(timeout=timeout)
    elif kind == "Event.wait":
        yield context.Event().wait
    elif kind == "Barrier.wait":
        barrier = context.Barrier(2)

        def wait(timeout: float | None) -> bool:
            try:
                barrier.wait(timeout)
            except BrokenBarrierError:
                barrier.reset()
                return False
            return True

        yield wait
    else:
        condition = context.Condition()
        with condition:
            if kind == "Condition.wait":
                yield condition.wait
            else:
                yield lambda timeout: condition.wait_for(lambda: False, timeout)


def when_asleep(action: Callable[[], Any]) -> Worker:
    """A thread that does this as soon as the calling thread sleeps."""
    sleeping = asleep(threading.get_native_id())

    def act() -> Any:
        eventually(sleeping)
        return action()

    return Worker(act)


def children_in_turn(children: Children, most: int) -> int:
    """How many children a case of the quick set may have one after the other, `most` if they cost nothing."""
    if children.context.start_method.capabilities.inherits_memory:
        return most
    return max(most // 8, 2) if children.cheap else max(most // 16, 1)


def nobody_holds(obj: Any) -> bool:
    """Whether it is free, as its representation tells."""
    text = repr(obj)
    return "(value=1" in text or "owner=None" in text or "(None, 0)" in text
