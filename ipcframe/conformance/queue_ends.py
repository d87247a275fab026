"""Cases: what programs reach for inside of multiprocessing's queues, and what queues leave behind."""
# ruff: noqa: D102 - the name of a case is its sentence

from __future__ import annotations

import contextlib
import gc
import multiprocessing.connection
import select
import threading
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import pytest

import ipcframe
import ipcframe.connection
from ipcframe.errors import UnsupportedOperation

from . import queue_targets
from .case import Children, full
from .conditions import PATIENCE, Worker, open_descriptors
from .leftovers import CYCLES
from .promises import promise
from .queue_api import QueueCase, Queues, of_each_kind

__all__ = ["QueueEnds"]

SEGMENT = 2
"""So many descriptors one more piece of shared memory may hold, which the next queues share."""


class QueueEnds(QueueCase):
    """What programs reach for inside of multiprocessing's queues, and what queues leave behind."""

    @promise("queue.ends")
    @of_each_kind
    def test_the_reader_is_readable_exactly_while_there_is_something_to_get(
        self, context: ipcframe.Context, queues: Queues, kind: str
    ) -> None:
        queue = queues(kind)
        reader: Any = queue._reader
        if self._has_no_descriptor(context, reader):
            return
        poller = select.poll()
        poller.register(reader.fileno(), select.POLLIN)

        def readable() -> bool:
            found = bool(poller.poll(0))
            assert bool(multiprocessing.connection.wait([reader], 0)) is found
            assert bool(ipcframe.connection.wait([reader], 0)) is found
            assert bool(select.select([reader.fileno()], [], [], 0)[0]) is found
            assert reader.poll() is found
            return bool(found)

        assert not readable()
        for count, obj in [(1, "small"), (3, "small"), (2, bytes(100_000)), (400, "small")]:
            for _ in range(count):
                queue.put(obj)
                assert readable() or count > 3
            for _ in range(count):
                assert readable()
                assert queue.get(timeout=0) == obj
            assert not readable()

    @promise("queue.ends")
    @of_each_kind
    def test_who_waits_for_the_reader_wakes_when_something_is_put(
        self, context: ipcframe.Context, queues: Queues, kind: str
    ) -> None:
        queue = queues(kind)
        if self._has_no_descriptor(context, queue._reader):
            return
        for obj in ("small", bytes(100_000)):
            waiting = Worker(lambda: multiprocessing.connection.wait([queue._reader], PATIENCE))
            waiting.eventually_asleep()
            queue.put(obj)
            assert waiting.result() == [queue._reader]
            assert queue._reader.recv() == obj

    def _has_no_descriptor(self, context: ipcframe.Context, reader: Any) -> bool:
        if not self.declared_absent(context, "fileno"):
            return False
        with pytest.raises(UnsupportedOperation):
            reader.fileno()
        return True

    @promise("queue.ends")
    @of_each_kind
    def test_both_ends_carry_objects_and_closing_both_closes_the_queue(
        self, queues: Queues, kind: str
    ) -> None:
        queue = queues(kind)
        with queue._wlock:
            queue._writer.send("x")
        with queue._rlock:
            assert queue._reader.recv() == "x"
        queue._writer.close()
        queue._reader.close()
        assert queue.closed

    @promise("queue.ends")
    def test_a_pool_of_processes_reports_a_task_that_cannot_be_pickled_and_does_the_next(
        self, children: Children, queues: Queues, capfd: pytest.CaptureFixture[str]
    ) -> None:
        with ProcessPoolExecutor(1, mp_context=children.context) as pool:
            failing = pool.submit(lambda: 1)
            with pytest.raises(Exception, match="pickle"):
                failing.result(PATIENCE)
            assert pool.submit(queue_targets.double, 4).result(PATIENCE) == 8
            assert list(pool.map(queue_targets.double, range(50))) == [2 * value for value in range(50)]

    # --- leftovers ---

    @full("more kinds", kind=["Queue"], close=[True])
    @promise("leftovers.none")
    @of_each_kind
    @pytest.mark.parametrize("close", [True, False], ids=["closed", "dropped"])
    def test_two_hundred_queues_leave_no_descriptor(
        self, context: ipcframe.Context, queues: Queues, kind: str, close: bool
    ) -> None:
        queues(kind)  # they are there; and it lives on, with whatever it may share with those made next
        for _ in range(CYCLES):
            self._use(context, kind, close)
        gc.collect()
        before, threads = len(open_descriptors()), threading.active_count()
        for _ in range(CYCLES):
            self._use(context, kind, close)
        gc.collect()
        assert len(open_descriptors()) - before <= SEGMENT
        assert threading.active_count() == threads

    def _use(self, context: ipcframe.Context, kind: str, close: bool) -> None:
        made = getattr(context, kind)()
        for obj in ("small", bytes(100_000), "never got"):
            made.put(obj)
        for _ in range(2):
            made.get(timeout=PATIENCE)
        if context.backend.capabilities.fileno:
            made._reader.fileno()
        if close:
            made.close()

    @promise("leftovers.none")
    def test_a_queue_that_was_handed_over_leaves_no_descriptor(
        self, children: Children, queues: Queues
    ) -> None:
        queues()  # they are there

        def hand_over() -> None:
            requests, answers = children.context.Queue(), children.context.JoinableQueue()
            child = children.start(queue_targets.answer, requests, answers)
            requests.put("x")
            assert answers.get(timeout=PATIENCE) == "xx"
            answers.task_done()
            requests.put(None)
            children.finish(child)
            requests.close()
            answers.close()

        for _ in range(CYCLES):  # as above
            self._use(children.context, "Queue", True)
        hand_over()
        gc.collect()
        before, threads = len(open_descriptors()), threading.active_count()
        for _ in range(2):
            hand_over()
        gc.collect()
        assert len(open_descriptors()) - before <= SEGMENT
        assert threading.active_count() == threads

    @promise("leftovers.none")
    def test_waits_in_vain_leave_no_descriptor(self, queues: Queues) -> None:
        full, empty = queues("Queue", 1), queues("JoinableQueue")
        full.put(1)

        def wait() -> None:
            with contextlib.suppress(Exception):
                full.put(2, timeout=0.001)
            with contextlib.suppress(Exception):
                empty.get(timeout=0.001)

        wait()
        before = open_descriptors()
        for _ in range(20):
            wait()
        assert open_descriptors() == before
