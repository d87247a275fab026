"""A semaphore on an eventfd beside the derived one: ``python tests/bench/semaphores.py``.

What decision 23 rests on. The eventfd one is as small as one can be that loses nothing to a signal handler:
what is read lands in a deque within one call of C.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import statistics
import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ipcframe
from ipcframe.toolkit.waiting import POLLIN, Patience

__all__ = ["EventfdSemaphore", "main"]

REPEATS = 9
TIMES = 20_000
HANDED = 4_000
MANY = 1_000
OPEN = Path("/proc/self/fd")


class EventfdSemaphore:
    """The permits are the count of an eventfd, one descriptor for each semaphore."""

    def __init__(self, value: int) -> None:
        self.fd = os.eventfd(value, os.EFD_SEMAPHORE | os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._landed: deque[bytes] = deque()
        self._patience = Patience()

    def acquire(self) -> bool:
        landed, fd = self._landed, self.fd
        while True:
            try:
                landed.extend(map(os.read, (fd,), (8,)))
            except BlockingIOError:
                self._patience.wait(((fd, POLLIN),), ipcframe.deadline.NEVER)
            else:
                landed.clear()
                return True

    def release(self) -> None:
        os.eventfd_write(self.fd, 1)

    def __del__(self) -> None:
        os.close(self.fd)


def alone(make: Callable[[int], Any], times: int) -> float:
    """Take a permit that is there and give it back; microseconds for both."""
    semaphore = make(1)
    acquire, release = semaphore.acquire, semaphore.release
    began = time.perf_counter()
    for _ in range(times):
        acquire()
        release()
    return (time.perf_counter() - began) / times * 1e6


def _give_back(there: Any, back: Any, times: int) -> None:
    for _ in range(times):
        there.acquire()
        back.release()


def handed_over(make: Callable[[int], Any], times: int) -> float:
    """A permit from one process to another that waits for it, and back; microseconds for one way."""
    there, back = make(0), make(0)
    other = multiprocessing.get_context("fork").Process(target=_give_back, args=(there, back, times))
    other.start()
    there.release()
    back.acquire()
    began = time.perf_counter()
    for _ in range(times - 1):
        there.release()
        back.acquire()
    took = time.perf_counter() - began
    other.join()
    return took / (times - 1) / 2 * 1e6


def _fight(semaphore: Any, started: Any, times: int) -> None:
    started.wait()
    for _ in range(times):
        semaphore.acquire()
        semaphore.release()


def fought_over(make: Callable[[int], Any], times: int) -> float:
    """Two processes that take and give back one permit all the time; microseconds for one pair of calls."""
    context = multiprocessing.get_context("fork")
    semaphore, started = make(1), context.Barrier(2)
    other = context.Process(target=_fight, args=(semaphore, started, times))
    other.start()
    started.wait()
    began = time.perf_counter()
    for _ in range(times):
        semaphore.acquire()
        semaphore.release()
    other.join()
    return (time.perf_counter() - began) / times / 2 * 1e6


def descriptors(make: Callable[[int], Any]) -> int | str:
    """How many descriptors a thousand of them take, under a limit of 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    before = len(list(OPEN.iterdir()))
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
    kept = []
    try:
        kept = [make(1) for _ in range(MANY)]
        return len(list(OPEN.iterdir())) - before
    except OSError as error:
        return str(error)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        del kept


def main() -> int:
    repeats, scale = (1, 100) if "--smoke" in sys.argv else (REPEATS, 1)
    context = ipcframe.get_context("fork", backend="pipe")
    makers: dict[str, Callable[[int], Any]] = {
        "eventfd": EventfdSemaphore,
        "derived": context.Semaphore,
        "multiprocessing": multiprocessing.get_context("fork").Semaphore,
    }
    rows: dict[str, tuple[Callable[[Callable[[int], Any], int], float], int]] = {
        "acquire and release, nobody else": (alone, TIMES // scale),
        "handed to a waiter in another process": (handed_over, HANDED // scale),
        "acquire and release, two processes": (fought_over, HANDED // scale),
    }
    for row, (measure, times) in rows.items():
        found: dict[str, list[float]] = {name: [] for name in makers}
        for _ in range(repeats):
            for name, make in makers.items():
                found[name].append(measure(make, times))
        shown = ", ".join(f"{name} {statistics.median(values):.2f} us" for name, values in found.items())
        print(f"{row}: {shown}", flush=True)
    shown = ", ".join(f"{name} {descriptors(make)}" for name, make in list(makers.items())[:2])
    print(f"descriptors of {MANY}: {shown}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
