"""Cases: exceptions out of signal handlers, and handlers that use the queue, at every instant."""
# ruff: noqa: D102 - the name of a case is its sentence

from __future__ import annotations

import contextlib
import itertools
import signal
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from queue import Empty, Full
from types import FrameType
from typing import Any, NamedTuple

import pytest

from .case import budget, full
from .conditions import LATENESS_BOUND, PATIENCE, Worker, asleep, eventually, stopwatch
from .connection_interrupts import INTERRUPTS, LARGE
from .interrupts import Striker, interrupted_at
from .promises import promise
from .queue_api import QueueCase, Queues
from .queue_targets import item, origin

__all__ = ["QueueInterrupts"]


class Way(NamedTuple):
    """How objects go through the queue: their size, its maxsize, and how many are in it most of the time."""

    size: int
    maxsize: int
    backlog: int


WAYS = {
    "small": Way(64, 0, 20),
    "behind a full channel": Way(64, 0, 600),
    "large": Way(LARGE, 0, 3),
    "bounded": Way(64, 2, 2),
    "bounded, large": Way(LARGE, 2, 2),
}
of_each_kind = pytest.mark.parametrize("kind", ["Queue", "JoinableQueue"])
each_way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


def _goal(way: Way) -> int:
    wanted = budget("IPCFRAME_INTERRUPTS", INTERRUPTS // 2)
    return max(wanted // 8, 1) if way.size == LARGE else wanted


def _number(got: Any) -> int:
    return origin(got)[1]


@contextlib.contextmanager
def _every(seconds: float, handler: Callable[[], None]) -> Iterator[None]:
    """Call the handler this often, in the main thread, whatever that is doing but the handler itself."""
    inside = False

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal inside
        if not inside:
            inside = True
            handler()
            inside = False

    before = signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, seconds, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        time.sleep(0.02)  # one may be under way
        signal.signal(signal.SIGALRM, before)


class QueueInterrupts(QueueCase):
    """Exceptions out of signal handlers, and handlers that use the queue, at every instant."""

    @full("more kinds", kind=["Queue"])
    @promise("queue.interrupts")
    @of_each_kind
    @each_way
    def test_an_interrupted_get_loses_no_object(self, queues: Queues, kind: str, way: Way) -> None:
        queue = queues(kind, way.maxsize)
        goal = _goal(way)
        done: list[bool] = []

        def feed() -> int:
            number = 0
            while not done:
                if queue.qsize() < way.backlog or way.maxsize:
                    queue.put(item(0, number, way.size), timeout=PATIENCE)
                    number += 1
                else:
                    time.sleep(0.0001)
            queue.put(None, timeout=PATIENCE)
            return number

        got: list[Any] = []
        expected = 0

        def check() -> None:
            nonlocal expected
            for obj in got:
                assert _number(obj) == expected, "lost, doubled or out of order"
                expected += 1
            got.clear()

        feeding = Worker(feed)
        with Striker(self.random).armed() as striker:
            while striker.struck < goal:
                striker.strike(lambda: got.append(queue.get()))
                check()
        done.append(True)
        while (obj := queue.get(timeout=PATIENCE)) is not None:
            got.append(obj)
        check()
        assert expected == feeding.result(), "objects were lost"
        assert queue.qsize() == 0
        if kind == "JoinableQueue":
            for _ in range(expected + 1):
                queue.task_done()
            Worker(queue.join).result()
            with pytest.raises(ValueError, match="task_done"):
                queue.task_done()

    @full("more kinds", kind=["Queue"])
    @promise("queue.interrupts")
    @of_each_kind
    @each_way
    def test_an_interrupted_put_puts_its_object_in_whole_or_not_at_all(
        self, queues: Queues, kind: str, way: Way
    ) -> None:
        queue = queues(kind, way.maxsize)
        goal = _goal(way)
        done: list[bool] = []

        def receive() -> list[int]:
            found: list[int] = []
            while True:
                if not done and queue.qsize() < way.backlog and not way.maxsize:
                    time.sleep(0.0001)
                    continue
                obj = queue.get(timeout=PATIENCE)
                if obj is None:
                    return found
                found.append(_number(obj))

        receiving = Worker(receive)
        returned: list[int] = []
        number = 0
        with Striker(self.random).armed() as striker:
            while (striker.struck < goal or not returned) and receiving.is_alive():
                if not striker.strike(partial(queue.put, item(0, number, way.size))):
                    returned.append(number)
                number += 1
        done.append(True)
        queue.put(None, timeout=PATIENCE)
        received = receiving.result()
        assert received == sorted(set(received)), "out of order, or twice"
        lost = set(returned) - set(received)
        assert not lost, f"lost {len(lost)} objects whose put had returned"
        assert queue.qsize() == 0
        if kind == "JoinableQueue":
            for _ in range(len(received) + 1):
                queue.task_done()
            Worker(queue.join).result()

    @promise("queue.interrupts")
    def test_what_an_interrupted_get_has_left_is_there_at_once(self, queues: Queues) -> None:
        queue = queues("Queue")
        waits = asleep(threading.get_native_id())

        def feed() -> None:
            eventually(waits)  # a get that has slept expects to do so again
            queue.put("x")

        for instant in itertools.count(1):
            feeding = Worker(feed)
            got: list[object] = []
            struck = interrupted_at(instant, lambda got=got: got.append(queue.get()))  # type: ignore[misc]
            feeding.result()
            if not got:
                with stopwatch() as elapsed:
                    got.append(queue.get(timeout=PATIENCE))
                    assert elapsed() < LATENESS_BOUND, f"it was waited for (instant {instant})"
            assert got == ["x"]
            if not struck:
                break

    @full("more kinds", kind=["Queue"], way=[WAYS["small"], WAYS["bounded, large"]])
    @promise("queue.nesting")
    @of_each_kind
    @each_way
    def test_a_handler_puts_into_and_gets_from_the_queue_in_use(
        self, queues: Queues, kind: str, way: Way
    ) -> None:
        queue = queues(kind, way.maxsize)
        goal = max(_goal(way) // 5, 8)
        nested, put, seen = 0, 0, []

        def handler() -> None:
            nonlocal nested, put
            with contextlib.suppress(Full):
                queue.put(item(1, put, way.size), timeout=0)
                put += 1
            if nested % 2:
                with contextlib.suppress(Empty):
                    seen.append(origin(queue.get(timeout=0)))
            nested += 1

        number = 0
        with _every(0.0007, handler):
            while nested < goal:
                for _ in range(1 if way.maxsize else 3):
                    with contextlib.suppress(Full):
                        queue.put(item(0, number, way.size), timeout=0)
                        number += 1
                with contextlib.suppress(Empty):
                    seen.append(origin(queue.get(timeout=0)))
                if queue.qsize() > way.backlog:
                    with contextlib.suppress(Empty):
                        while True:
                            seen.append(origin(queue.get(timeout=0)))
        with contextlib.suppress(Empty):
            while True:
                seen.append(origin(queue.get(timeout=0)))
        for producer, count in ((0, number), (1, put)):
            numbers = sorted(found for which, found in seen if which == producer)
            assert numbers == list(range(count)), "lost or doubled"
        assert put

    @full("more kinds", kind=["Queue"])
    @promise("queue.nesting")
    @of_each_kind
    def test_a_handler_feeds_the_get_that_waits(self, queues: Queues, kind: str) -> None:
        queue = queues(kind)
        put = 0

        def handler() -> None:
            nonlocal put
            queue.put(put)
            put += 1

        with _every(0.002, handler):
            got = [queue.get(timeout=PATIENCE) for _ in range(50)]
        assert got == list(range(50))

    @full("more kinds", kind=["Queue"])
    @promise("queue.nesting")
    @of_each_kind
    def test_a_handler_makes_room_for_the_put_that_waits(self, queues: Queues, kind: str) -> None:
        queue = queues(kind, 1)
        got: list[int] = []

        def handler() -> None:
            with contextlib.suppress(Empty):
                got.append(queue.get(timeout=0))

        with _every(0.002, handler):
            for number in range(50):
                queue.put(number, timeout=PATIENCE)
        with contextlib.suppress(Empty):
            while True:
                got.append(queue.get(timeout=0))
        assert got == list(range(50))
