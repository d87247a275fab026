"""Kill the holder of a lock, a reader of a queue and the holder of a permit; the others go on.

    python survives_kills.py
    python survives_kills.py spawn

With the standard library's objects, each of the three steps waits for ever.
"""

from __future__ import annotations

import signal
import sys
import warnings
from collections.abc import Callable
from typing import Any

import ipcframe
from ipcframe import abc

NUMBERS = range(100)


def hold(lock: abc.Lock | abc.Semaphore, holding: abc.Event) -> None:
    """Take it, say so, and never give it back."""
    with lock:
        holding.set()
        signal.pause()


def double(numbers: abc.Queue, answers: abc.Queue) -> None:
    """Answer numbers for ever."""
    while True:
        answers.put(2 * numbers.get())


def kill_a_holder(context: ipcframe.Context, held: abc.Lock | abc.Semaphore) -> None:
    """Start a process that holds it, and kill that."""
    holding = context.Event()
    child = start(context, hold, held, holding)
    holding.wait()
    child.kill()
    child.join()


def start(context: ipcframe.Context, target: Callable[..., object], *args: Any) -> ipcframe.Process:
    """Start a process that ends with this one."""
    child = context.Process(target=target, args=args, daemon=True)
    child.start()
    return child


def main() -> None:
    """Do the three steps."""
    context = ipcframe.get_context(sys.argv[1] if sys.argv[1:] else None)

    lock = context.Lock(name="accounts")
    kill_a_holder(context, lock)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with lock:
            # What the lock guards may be half changed: look at it, and mend it, here.
            print("the lock came from a dead process:", lock.owner_died)
    print("told by:", caught[0].category.__name__)
    with lock:
        print("the next time:", lock.owner_died)

    numbers, answers = context.Queue(name="numbers"), context.Queue(name="answers")
    first = start(context, double, numbers, answers)
    numbers.put(0)
    answers.get()
    first.kill()  # it waits in get, or is about to
    first.join()
    start(context, double, numbers, answers)
    for number in NUMBERS:
        numbers.put(number)
    total = sum(answers.get(timeout=60) for _ in NUMBERS)
    print("the other reader got everything:", total == 2 * sum(NUMBERS))

    permits = context.BoundedSemaphore(1, owned=True)
    kill_a_holder(context, permits)
    print("the permit came back:", permits.acquire(timeout=60))


if __name__ == "__main__":
    main()
