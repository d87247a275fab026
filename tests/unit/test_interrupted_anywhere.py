"""An exception out of a handler at each single instant of an operation; the kit strikes at random ones."""

from __future__ import annotations

import itertools
import threading
from typing import Any

import pytest

import ipcframe
from ipcframe.conformance.conditions import PATIENCE, Worker, asleep, eventually
from ipcframe.conformance.interrupts import interrupted_at
from ipcframe.deadline import NOW


@pytest.fixture
def context() -> ipcframe.Context:
    return ipcframe.get_context("fork", backend="pipe")


def test_a_notification_passes_from_who_is_interrupted_to_the_next_in_line(context: ipcframe.Context) -> None:
    condition: Any = context.Condition()
    first_sleeps = asleep(threading.get_native_id())

    def wait() -> bool:
        with condition:
            return bool(condition.wait(PATIENCE))

    def notify() -> Worker:
        eventually(first_sleeps)
        second = Worker(wait)
        second.eventually_asleep()
        with condition:
            condition.notify()
        return second

    for instant in itertools.count(1):
        notifying = Worker(notify)
        woken: list[bool] = []
        with condition:
            struck = interrupted_at(
                instant,
                lambda woken=woken: woken.append(condition.wait(PATIENCE)),  # type: ignore[misc]
            )
        second = notifying.result()
        if woken:
            with condition:
                condition.notify()
        assert second.result(), f"the notification is lost (instant {instant})"
        if not struck:
            break


def test_an_interrupted_party_leaves_the_barrier_to_others(context: ipcframe.Context) -> None:
    for instant in itertools.count(1):
        barrier = context.Barrier(1)
        struck = interrupted_at(instant, barrier.wait)
        Worker(barrier.reset).result()
        assert Worker(barrier.wait).result() == 0
        if not struck:
            break


def test_what_several_interrupted_gets_have_left_comes_in_its_order(context: ipcframe.Context) -> None:
    queue: Any = context.Queue()
    for number in range(3):
        queue.put(number)
        packet = queue._channel._receive(NOW)
        queue.landed = (*queue.landed, (packet, None))
    assert [queue.get(timeout=0) for _ in range(3)] == [0, 1, 2]
