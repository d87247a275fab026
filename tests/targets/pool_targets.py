"""What the workers of pools do; as a program, a pool for somebody to press Ctrl-C on."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from typing import Any

import ipcframe
from ipcframe.pool import Pool


class UndaemonicPool(Pool):
    """A pool whose workers may have children, as programs make it."""

    @staticmethod
    def Process(ctx: Any, *args: Any, **kwds: Any) -> Any:  # noqa: N802
        process = ctx.Process(*args, **kwds)
        process.__class__ = type("Undaemonic", (type(process),), {"daemon": property(_false, _ignore)})
        return process


def _false(self: Any) -> bool:
    return False


def _ignore(self: Any, value: object) -> None:
    return None


def get_pid(_: object) -> int:
    """Whoever does this."""
    time.sleep(0.01)
    return os.getpid()


def _sleep(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def raise_unpicklable(_: object) -> None:
    """Raise what cannot be carried over."""
    error = ValueError("with a lock")
    error.lock = threading.Lock()  # type: ignore[attr-defined]
    raise error


def kill_worker(number: int) -> int:
    """Be killed, but for the first time only if the number is odd."""
    if number % 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def get_mask(_: object) -> list[int]:
    """The signals that are blocked."""
    return sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ()))


def start_child(_: object) -> int:
    """Start a process from a worker; its exit code."""
    child = multiprocessing.Process(target=int)
    child.start()
    child.join()
    assert child.exitcode is not None
    return child.exitcode


def map_until_interrupted(method: str) -> None:
    """As a program: map what takes long, for somebody to press Ctrl-C."""
    pool = Pool(2, context=ipcframe.get_context(method, backend="pipe"))
    while len(set(pool.map(get_pid, range(8), 1))) < 2:
        pass
    print("ready", flush=True)
    pool.map(_sleep, [60.0] * 8, 1)


def be_a_pools_parent(ctx: Any, kind: str, back: Any) -> None:
    """Start a pool that is idle, or busy, or whose processes are no daemons, and wait to be killed."""
    made: Any = (UndaemonicPool if kind == "undaemonic" else Pool)(2, context=ctx)
    made.map(int, range(8), 1)
    if kind == "busy":
        made.map_async(_sleep, [60.0] * 4, 1)
    back.send([worker.pid for worker in made._pool])
    wait_for_ever()


def wait_for_ever() -> None:
    """Live until killed."""
    while True:
        time.sleep(60)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    map_until_interrupted(sys.argv[1])
