"""What this backend keeps beyond the kit's promises: who waits is served in the order of coming."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

import ipcframe
from ipcframe.conformance.conditions import Worker

CONTEXT = ipcframe.get_context(backend="loopback")


def parked(work: Callable[[], Any]) -> Worker:
    """A thread that has done as much of it as it can."""
    worker = Worker(work)
    worker.eventually_asleep()
    return worker


def test_objects_go_to_those_who_wait_in_the_order_of_coming() -> None:
    for _ in range(20):
        jobs = CONTEXT.Queue()
        waiting = [parked(jobs.get) for _ in range(4)]
        for number in range(4):
            jobs.put(number)
        assert [one.result() for one in waiting] == [0, 1, 2, 3]


@pytest.mark.parametrize("kind", ["Lock", "Semaphore"])
def test_locks_and_permits_do_so_too(kind: str) -> None:
    for _ in range(20):
        shared, order = getattr(CONTEXT, kind)(), list[int]()

        def take(number: int, shared: Any = shared, order: list[int] = order) -> None:
            with shared:
                order.append(number)

        with shared:
            waiting = [parked(partial(take, number)) for number in range(4)]
        for one in waiting:
            one.result()
        assert order == [0, 1, 2, 3]
