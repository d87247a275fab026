"""What the children of the cases of primitives run; importable in any process, without pytest."""

from __future__ import annotations

import contextlib
import gc
import os
import resource
import signal
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from threading import BrokenBarrierError
from typing import Any

import ipcframe
from ipcframe.abc import Connection
from ipcframe.errors import OwnerDiedWarning

from .conditions import open_descriptors

__all__ = ["USES", "obey"]

WORD = 8
"""The bytes of a number in a file."""


def obey(control: Connection, objects: tuple[Any, ...]) -> None:
    """Call methods of the objects as told, and tell what they return or raise."""
    warnings.simplefilter("ignore", OwnerDiedWarning)
    known = list(objects)
    while True:
        at, method, args, kwargs = control.recv()
        if method == "exit":
            return
        if method == "_exit":
            os._exit(0)
        if at < 0:
            known += args
            continue
        control.send("begun")
        try:
            found = getattr(known[at], method)
            outcome = found(*args, **kwargs) if callable(found) else found
        except BaseException as error:  # noqa: BLE001 - the case looks at it
            control.send((True, error))
        else:
            control.send((False, outcome))


def count_up(locks: tuple[Any, ...], path: str, rounds: int) -> None:
    """Add 1 to a number in a file under each lock, so many times."""
    fd = os.open(path, os.O_RDWR)
    try:
        for _ in range(rounds):
            for at, lock in enumerate(locks):
                with lock:
                    number = int.from_bytes(os.pread(fd, WORD, at * WORD), "little")
                    os.sched_yield()
                    os.pwrite(fd, (number + 1).to_bytes(WORD, "little"), at * WORD)
    finally:
        os.close(fd)


def take_and_give(objects: tuple[Any, ...], rounds: int) -> None:
    """Acquire and release, so many times."""
    for _ in range(rounds):
        for obj in objects:
            obj.acquire()
            obj.release()


def meet(barrier: Any, rounds: int, back: Connection) -> None:
    """Wait at the barrier, so many times, and tell the numbers."""
    back.send([barrier.wait(20) for _ in range(rounds)])


# --- for ever ---


def _use_acquirable(obj: Any) -> None:
    obj.acquire()
    obj.release()


def _use_condition(condition: Any) -> None:
    with condition:
        condition.notify()
        condition.wait(0.001)


def _use_event(event: Any) -> None:
    event.set()
    event.wait(0.001)
    event.clear()


def _use_barrier(barrier: Any) -> None:
    try:
        barrier.wait(0.3)
    except BrokenBarrierError:
        barrier.reset()


USES: dict[str, Callable[[Any], None]] = {
    "Lock": _use_acquirable,
    "RLock": _use_acquirable,
    "Semaphore": _use_acquirable,
    "BoundedSemaphore, owned": _use_acquirable,
    "Condition": _use_condition,
    "Event": _use_event,
    "Barrier": _use_barrier,
}
"""What a process may do with a primitive again and again."""


def use_for_ever(kind: str, obj: Any, ready: Connection) -> None:
    """Use it until killed."""
    warnings.simplefilter("ignore", OwnerDiedWarning)
    use = USES[kind]
    use(obj)
    ready.send("ready")
    while True:
        use(obj)


def use_until_struck(kind: str, obj: Any, seconds: float) -> None:
    """Use it until a signal that nobody handles ends this process, after so many seconds of use."""
    warnings.simplefilter("ignore", OwnerDiedWarning)
    use = USES[kind]
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    while True:
        use(obj)


def park_in_threads(waits: list[tuple[Any, str]], back: Connection) -> None:
    """Wait for each of these in a thread of its own, for ever; tell the threads."""

    def wait(obj: Any, method: str) -> None:
        if method == "wait" and hasattr(obj, "notify_all"):
            obj.acquire()
        getattr(obj, method)()

    threads = [threading.Thread(target=wait, args=one, daemon=True) for one in waits]
    for thread in threads:
        thread.start()
    back.send([thread.native_id for thread in threads])
    while True:
        time.sleep(60)


# --- many ---


def start_with_many(context: ipcframe.Context, count: int, limit: int, back: Connection) -> None:
    """Start a child with many events as its arguments, in a process that may have few descriptors."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    events = [context.Event() for _ in range(count)]
    child = context.Process(target=set_each, args=(events,))
    child.start()
    answers = [event.wait(20) for event in events]
    child.join()
    back.send((all(answers), child.exitcode))


def set_each(events: list[Any]) -> None:
    """Set them."""
    for event in events:
        event.set()


# --- leftovers ---


def lose_a_holder(context: ipcframe.Context, folder: str, stderr: str, back: Connection) -> None:
    """Use every primitive with a child that is killed, twice; tell which descriptors and threads are left."""
    warnings.simplefilter("ignore", OwnerDiedWarning)
    tempfile.tempdir = folder
    fd = os.open(stderr, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    os.dup2(fd, 2)
    os.close(fd)
    left = []
    for _ in range(3):
        _lose_one(context)
        gc.collect()
        left.append(open_descriptors())
    # The segment that the next objects come from is another one now and then.
    back.send((len(left[2]) - len(left[0]), threading.active_count()))


def _lose_one(context: ipcframe.Context) -> None:
    locks = context.Lock(), context.RLock(), context.Condition(), context.BoundedSemaphore(1, owned=True)
    barrier, event = context.Barrier(3), context.Event()
    child = context.Process(target=hold_and_wait, args=(locks, barrier, event))
    child.start()
    event.wait()
    while barrier.n_waiting == 0:
        time.sleep(0.001)
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    for lock in locks:
        lock.acquire()
        lock.release()
    with contextlib.suppress(BrokenBarrierError):
        barrier.wait()
    child.join()
    child.close()


def hold_and_wait(locks: tuple[Any, ...], barrier: Any, event: Any) -> None:
    """Hold all locks, and wait at the barrier."""
    for lock in locks:
        lock.acquire()
    event.set()
    barrier.wait()
