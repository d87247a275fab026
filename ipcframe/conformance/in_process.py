"""The counter-example of a backend whose objects live in one process: they refuse to leave it."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing.reduction import ForkingPickler
from typing import Any

import ipcframe
from ipcframe.abc import Endpoint
from ipcframe.errors import UnsupportedOperation
from ipcframe.toolkit.serialisation import PICKLE

from .conditions import PATIENCE

__all__ = ["every_object", "none_can_be_handed_over", "none_can_be_used_in_a_forked_child"]

_NAME = "kept"
_QUEUES = ("Queue", "JoinableQueue", "SimpleQueue")
_LOCKS = ("Lock", "RLock", "Semaphore", "BoundedSemaphore", "Condition")
_USES: dict[str, tuple[Callable[[Any], object], ...]] = {
    "receiver": (lambda end: end.recv(timeout=0), lambda end: end.poll()),
    "sender": (lambda end: end.send(1, timeout=0),),
    "Channel": (lambda channel: channel.send(b"x", timeout=0), lambda channel: channel.receive(timeout=0)),
    **dict.fromkeys(
        _QUEUES,
        (
            lambda queue: queue.put(1, timeout=0),
            lambda queue: queue.get(timeout=0),
            lambda queue: queue.qsize(),
        ),
    ),
    **dict.fromkeys(_LOCKS, (lambda lock: lock.acquire(timeout=0), lambda lock: lock.release())),
    "Event": (lambda event: event.is_set(), lambda event: event.set(), lambda event: event.wait(0)),
    "Barrier": (lambda barrier: barrier.wait(0), lambda barrier: barrier.reset()),
}
"""What is done with each kind of object."""


@contextlib.contextmanager
def every_object(context: ipcframe.Context) -> Iterator[dict[str, Any]]:
    """One object of each kind that the backend makes, by its kind; they are closed afterwards."""
    receiver, sender = context.Pipe(False, name=_NAME)
    made: dict[str, Any] = {"receiver": receiver, "sender": sender}
    kinds = ["Event", *_LOCKS, *_QUEUES]
    if context.backend.capabilities.channel:
        kinds.append("Channel")
    for kind in kinds:
        with contextlib.suppress(UnsupportedOperation):
            made[kind] = getattr(context, kind)(name=_NAME)
    with contextlib.suppress(UnsupportedOperation):
        made["Barrier"] = context.Barrier(2, name=_NAME)
    try:
        yield made
    finally:
        for one in made.values():
            if isinstance(one, Endpoint):
                one.close()


def none_can_be_handed_over(objects: dict[str, Any]) -> None:
    """To send one to another process raises UnsupportedOperation, which says of what, and what to do."""
    ways: tuple[Callable[[Any], object], ...] = (ForkingPickler.dumps, PICKLE.dumps, pickle.dumps)
    for kind, one in objects.items():
        for send in ways:
            refused = _refusal(partial(send, one))
            assert refused is not None, f"{kind}: it can be handed over"
            assert refused.remedy, f"{kind}: it does not say what to do"
            assert not isinstance(one, Endpoint) or _NAME in str(refused), f"{kind}: of which object"


def _refusal(operation: Callable[[], object]) -> UnsupportedOperation | None:
    try:
        operation()
    except UnsupportedOperation as refused:
        return refused
    return None


def none_can_be_used_in_a_forked_child(objects: dict[str, Any]) -> None:
    """A forked child, which has copies of them, is told so, and neither uses those nor waits."""
    uses = [(kind, partial(use, one)) for kind, one in objects.items() for use in _USES[kind]]
    held = [objects[kind] for kind in _LOCKS if kind in objects]
    for free in (True, False):
        with contextlib.ExitStack() as stack:
            if not free:  # the child's one thread has the number of the one that holds them
                for lock in held:
                    stack.enter_context(lock)
            failed = _first_that_does_not_refuse([use for _, use in uses])
        assert failed is None, f"{uses[failed][0]}: a forked child used its copy, or hung"


def _first_that_does_not_refuse(uses: list[Callable[[], object]]) -> int | None:
    pid = os.fork()
    if pid == 0:
        reached = 0
        try:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(int(PATIENCE))  # it ends, come what may
            for use in uses:
                try:
                    use()
                except UnsupportedOperation:
                    reached += 1
                else:
                    break
        finally:
            os._exit(reached)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return None if status == len(uses) else max(status, 0)
