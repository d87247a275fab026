"""Cases: stopped processes, forks in the middle of operations, and what waiting costs."""
# ruff: noqa: D102 - the name of a case is its sentence

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from functools import partial
from queue import Empty, Full

import pytest

import ipcframe
from ipcframe.abc import Queue

from . import queue_targets
from .case import Children, Pair, budget, campaign, full
from .conditions import LATENESS_BOUND, PATIENCE, Worker, asleep, eventually, in_time, state_of, stopwatch
from .promises import promise
from .queue_api import KINDS, QueueCase, Queues
from .queue_targets import by_producer, item

__all__ = ["QueueStops"]

SHORT = 0.03


@contextlib.contextmanager
def _stopped(process: ipcframe.Process) -> Iterator[None]:
    assert process.pid is not None
    pid = process.pid
    os.kill(pid, signal.SIGSTOP)
    try:
        eventually(lambda: state_of(pid) in ("T", ""))
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


class QueueStops(QueueCase):
    """Stopped processes, forks in the middle of operations, and what waiting costs."""

    @promise("queue.stopped")
    def test_a_stopped_consumer_that_waits_holds_nobody_up(
        self, children: Children, queue: Queue, pipe: Callable[..., Pair]
    ) -> None:
        hear, tell = pipe(False)
        child = children.start(queue_targets.get_one_and_tell, queue, tell, discard=(hear,))
        assert hear.recv(timeout=PATIENCE) == "ready"
        assert child.pid is not None
        eventually(asleep(child.pid, child.pid))
        with _stopped(child):
            for obj in ("small", b"x" * 100_000):
                queue.put(obj, timeout=PATIENCE)
                assert queue.get(timeout=PATIENCE) == obj
            with stopwatch() as elapsed:
                with pytest.raises(Empty):
                    queue.get(timeout=0.05)
                in_time(elapsed(), 0.05)
            getting = Worker(queue.get)
            getting.eventually_asleep()
            queue.put("for a thread")
            assert getting.result() == "for a thread"
        queue.put("for the child")
        assert hear.recv(timeout=PATIENCE) == "for the child"
        children.finish(child)

    @full("more kinds", size=[64])
    @promise("queue.stopped")
    @pytest.mark.parametrize("maxsize", [0, 4])
    @pytest.mark.parametrize("size", [64, 100_000])
    def test_a_process_stopped_at_any_instant_prolongs_no_timeout(
        self, children: Children, queues: Queues, pipe: Callable[..., Pair], maxsize: int, size: int
    ) -> None:
        stops = budget("IPCFRAME_KILLS", 4 if children.cheap else 1)
        queue = queues("Queue", maxsize)
        for number in range(2 if maxsize else 400):  # without a bound: until the way behind is in use
            queue.put(item(6, number, 64))
        hear, tell = pipe(False)
        child = children.start(queue_targets.put_and_get_for_ever, queue, (size,), tell, discard=(hear,))
        assert hear.recv(timeout=PATIENCE) == "ready"
        number = 0
        operations: list[Callable[[], object]] = [
            lambda: queue.get(timeout=SHORT),
            lambda: queue.put(item(8, number, 64), timeout=SHORT),
            lambda: queue.put(item(8, number, 100_000), timeout=SHORT),
            lambda: queue.get(timeout=0),
            lambda: queue.put(item(8, number, 64), timeout=0),
            queue.qsize,
            queue.empty,
            queue.full,
        ]
        for _ in range(stops):
            time.sleep(self.random.random() * 0.005)  # any instant
            with _stopped(child):
                for operation in operations:
                    with stopwatch() as elapsed:
                        with contextlib.suppress(Empty, Full):
                            operation()
                        took = elapsed()
                    assert took < SHORT + LATENESS_BOUND, f"{took:.1f} s: {operations.index(operation)}"
                    number += 1
        children.kill(child)
        children.finish(child, -9)
        by_producer(queue_targets.drain(queue))  # all of it is whole
        queue.put("next")
        assert queue.get(timeout=PATIENCE) == "next"

    @full("more kinds", maxsize=[0])
    @promise("queue.fork")
    @pytest.mark.parametrize("maxsize", [0, 5])
    def test_children_started_while_threads_put_and_get_work(
        self, children: Children, queues: Queues, maxsize: int
    ) -> None:
        sizes = (64, 64, 5000)
        shared, awaited = queues("Queue", maxsize), queues("Queue")
        done: list[bool] = []

        def put(producer: int) -> int:
            number = 0
            while not done:
                with contextlib.suppress(Full):
                    shared.put(item(producer, number, sizes[number % len(sizes)]), timeout=0.01)
                    number += 1
            return number

        def get() -> list[object]:
            return list(iter(lambda: shared.get(timeout=PATIENCE), None))

        putting = [Worker(partial(put, producer)) for producer in range(2)]
        getting = [Worker(get) for _ in range(2)]
        waiting = Worker(lambda: list(iter(awaited.get, None)))
        waiting.eventually_asleep()
        started = 2 if children.cheap else 1
        for _ in range(started):
            child = children.start(queue_targets.use_after_fork, children.context, shared, awaited, 20, sizes)
            children.finish(child)
        awaited.put(None)
        assert waiting.result() == ["from a child"] * started
        done.append(True)
        counts = [worker.result() for worker in putting]
        for _ in getting:
            shared.put(None, timeout=PATIENCE)
        streams = [by_producer(worker.result()) for worker in getting]
        for producer, count in enumerate(counts):
            numbers = sorted(number for stream in streams for number in stream.get(producer, []))
            assert numbers == list(range(count)), "lost or doubled"
        from_children = sorted(number for stream in streams for number in stream.get(9, []))
        assert from_children == sorted(list(range(20)) * started)

    @full("longer waits", seconds=[0.25])
    @promise("queue.idle")
    @pytest.mark.parametrize("seconds", [0.25, 1.0])
    def test_an_idle_get_uses_no_processor_time(self, queues: Queues, seconds: float) -> None:
        self._wait_idly(queues, seconds)

    @campaign("10 s of waiting")
    @promise("queue.idle")
    def test_an_idle_get_of_ten_seconds_uses_no_processor_time(self, queues: Queues) -> None:
        self._wait_idly(queues, 10.0)

    def _wait_idly(self, queues: Queues, seconds: float) -> None:
        waiting = []
        for kind in KINDS:
            queue = queues(kind)
            queue.put("to warm up")
            queue.get(timeout=0)
            waiting.append(Worker(partial(queue_targets.processor_time, queue, seconds)))
        used = [worker.result() for worker in waiting]
        assert max(used) < max(0.01 * seconds / 10, 0.002), used
