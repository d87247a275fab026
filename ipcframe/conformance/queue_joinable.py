"""Cases: queues that know what is not done yet."""
# ruff: noqa: D102 - the name of a case is its sentence

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from ipcframe.abc import JoinableQueue

from . import queue_targets, targets
from .case import Children, Pair, budget, campaign, full
from .conditions import PATIENCE, Worker, asleep, eventually, stopwatch
from .interrupts import interrupted_at
from .promises import promise
from .queue_api import QueueCase, Queues
from .queue_targets import drain, noted

__all__ = ["JoinableQueues"]

JOIN_BOUND = 0.5
"""How long all who wait in join may take to go on: far more than they need, less than a look each second."""


def _joined(queue: JoinableQueue) -> None:
    """All is done: join returns, and nothing more may be reported."""
    Worker(queue.join).result()
    with pytest.raises(ValueError, match="task_done"):
        queue.task_done()


def _reported(queue: JoinableQueue, most: int = 5) -> int:
    """How many objects can be reported done."""
    for number in range(most):
        try:
            queue.task_done()
        except ValueError:
            return number
    return most


class JoinableQueues(QueueCase):
    """Queues that know what is not done yet."""

    @pytest.fixture
    def joinable(self, queues: Queues) -> JoinableQueue:
        """A joinable queue without a bound."""
        made: JoinableQueue = queues("JoinableQueue")
        return made

    @promise("queue.joinable")
    @pytest.mark.parametrize("size", [10, 100_000])
    def test_join_waits_until_everything_is_reported_done(self, joinable: JoinableQueue, size: int) -> None:
        _joined(joinable)
        for _ in range(3):
            joinable.put(bytes(size))
        joining = [Worker(joinable.join) for _ in range(2)]
        for worker in joining:
            worker.eventually_asleep()
        for _ in range(3):
            joinable.get(timeout=PATIENCE)
        for _ in range(3):
            for worker in joining:
                worker.eventually_asleep()
                assert worker.is_alive(), "join returned before everything was done"
            joinable.task_done()
        for worker in joining:
            worker.result()
        _joined(joinable)

    @promise("queue.joinable")
    def test_all_who_wait_in_join_go_on_as_soon_as_all_is_done(self, joinable: JoinableQueue) -> None:
        for waiters in (1, 1, 64):
            joinable.put("x")
            joining = [Worker(joinable.join) for _ in range(waiters)]
            sleeping = [asleep(worker.native_id) for worker in joining if worker.native_id is not None]
            eventually(lambda sleeping=sleeping: sum(one() for one in sleeping) == len(sleeping))  # type: ignore[misc]
            joinable.get(timeout=PATIENCE)
            with stopwatch() as elapsed:
                joinable.task_done()
                for worker in joining:
                    worker.result()
                assert elapsed() < JOIN_BOUND, f"{waiters} in join went on only {elapsed():.2f} s later"

    @promise("queue.joinable")
    def test_two_gets_in_a_row_that_are_interrupted_at_any_instant_are_counted_once(
        self, joinable: JoinableQueue
    ) -> None:
        for instant in count(1):
            for number in range(3):
                joinable.put(number)
            got: list[Any] = []
            struck = [interrupted_at(instant, lambda got=got: got.append(joinable.get())) for _ in range(2)]  # type: ignore[misc]
            while len(got) < 3:
                got.append(joinable.get(timeout=PATIENCE))
            assert got == [0, 1, 2], "lost, doubled or out of order"
            reported = _reported(joinable)
            assert reported == 3, (
                f"3 objects were put, and {reported} can be reported done (instant {instant})"
            )
            Worker(joinable.join).result()
            if not any(struck):
                break

    @promise("queue.joinable")
    def test_task_done_counts_puts_and_not_gets(self, joinable: JoinableQueue) -> None:
        for _ in range(3):
            joinable.put("x")
        for _ in range(3):
            joinable.task_done()
        with pytest.raises(ValueError, match="task_done"):
            joinable.task_done()
        Worker(joinable.join).result()
        assert drain(joinable) == ["x"] * 3
        _joined(joinable)

    @promise("queue.joinable")
    def test_a_task_that_puts_another_before_it_is_done_prolongs_join(self, joinable: JoinableQueue) -> None:
        joinable.put(1)
        joining = Worker(joinable.join)
        for number in (1, 2, 3):
            assert joinable.get(timeout=PATIENCE) == number
            if number < 3:
                joinable.put(number + 1)
            joining.eventually_asleep()
            assert joining.is_alive()
            joinable.task_done()
        joining.result()

    @full("5,000 objects")
    @promise("queue.joinable")
    def test_five_thousand_puts_before_the_first_get_are_all_counted(self, joinable: JoinableQueue) -> None:
        self._put_then_work_off(joinable, 5000)

    @campaign("100,000 objects in a queue")
    @promise("queue.joinable")
    def test_a_hundred_thousand_puts_before_the_first_get_are_all_counted(
        self, joinable: JoinableQueue
    ) -> None:
        self._put_then_work_off(joinable, 100_000)

    def _put_then_work_off(self, joinable: JoinableQueue, count: int) -> None:
        for number in range(count):
            joinable.put(number)
        assert joinable.qsize() == count
        joining = Worker(joinable.join)
        for number in range(count):
            assert joinable.get(timeout=PATIENCE) == number
            assert number < count - 1 or joining.is_alive()
            joinable.task_done()
        joining.result()
        _joined(joinable)

    @promise("queue.joinable")
    def test_children_work_a_queue_off_while_the_parent_and_a_child_join(
        self, children: Children, joinable: JoinableQueue, pipe: Callable[..., Pair]
    ) -> None:
        count = 300
        workers = [children.start(queue_targets.work_off, joinable) for _ in range(2)]
        for number in range(count):
            joinable.put(bytes(number % 7 * 1000))
        hear, tell = pipe(False)
        other = children.start(queue_targets.join_and_tell, joinable, tell, discard=(hear,))
        assert hear.recv(timeout=PATIENCE) == "ready"
        Worker(joinable.join).result()
        assert joinable.empty()
        assert hear.recv(timeout=PATIENCE) == "joined"
        children.finish(other)
        for _ in workers:
            joinable.put(None)
        for child in workers:
            children.finish(child)
        _joined(joinable)

    @promise("queue.joinable")
    def test_a_consumer_killed_while_it_waits_does_not_block_join(
        self, children: Children, joinable: JoinableQueue, pipe: Callable[..., Pair]
    ) -> None:
        for _ in range(budget("IPCFRAME_KILLS", 3 if children.cheap else 1)):
            hear, tell = pipe(False)
            child = children.start(queue_targets.work_off_for_ever, joinable, tell, discard=(hear,))
            assert hear.recv(timeout=PATIENCE) == "ready"
            joinable.put("for the child")
            Worker(joinable.join).result()
            assert child.pid is not None
            eventually(asleep(child.pid, child.pid))
            children.kill(child)
            children.finish(child, -9)
            _joined(joinable)
            joinable.put("x")
            joinable.get(timeout=PATIENCE)
            joinable.task_done()
            _joined(joinable)

    @promise("queue.joinable")
    @pytest.mark.parametrize("sizes", [(64,), (64, 3000, 200_000)], ids=["small", "mixed"])
    def test_a_producer_killed_while_it_puts_does_not_block_join(
        self, children: Children, joinable: JoinableQueue, sizes: tuple[int, ...], tmp_path: Path
    ) -> None:
        for number in range(budget("IPCFRAME_KILLS", 3 if children.cheap else 1)):
            notes = tmp_path / f"notes-{number}"
            child = children.start(queue_targets.put_and_note_for_ever, joinable, number, sizes, str(notes))
            some = self.random.randrange(1, 300 if sizes == (64,) else 20)
            eventually(lambda notes=notes, some=some: notes.exists() and len(noted(notes)) >= some)  # type: ignore[misc]
            children.kill(child)
            children.finish(child, -9)
            inside = joinable.qsize()
            assert inside in (len(noted(notes)), len(noted(notes)) + 1)
            for _ in range(inside):
                joinable.get(timeout=PATIENCE)
                joinable.task_done()
            _joined(joinable)

    @promise("queue.joinable")
    def test_what_a_dead_consumer_had_taken_is_never_reported_done(
        self, children: Children, joinable: JoinableQueue, pipe: Callable[..., Pair]
    ) -> None:
        hear, tell = pipe(False)
        joinable.put("lost")
        child = children.start(queue_targets.get_one_and_hold, joinable, tell, discard=(hear,))
        assert hear.recv(timeout=PATIENCE) == "lost"
        children.kill(child)
        children.finish(child, -9)
        assert joinable.empty()
        joining = Worker(joinable.join)
        joining.eventually_asleep()
        assert joining.is_alive()
        child = children.start(targets.return_silently)  # it may have the number of the dead
        children.finish(child)
        assert joining.is_alive()
        joinable.task_done()
        joining.result()
        _joined(joinable)

    @promise("queue.joinable")
    def test_threads_that_work_a_queue_off_report_it_done_together(self, joinable: JoinableQueue) -> None:
        def work() -> int:
            count = 0
            while joinable.get(timeout=PATIENCE) is not None:
                count += 1
                joinable.task_done()
            joinable.task_done()
            return count

        workers = [Worker(work) for _ in range(4)]
        putting = [
            Worker(partial(queue_targets.put_items, joinable, which, 100, (64, 5000))) for which in range(2)
        ]
        for worker in putting:
            worker.result()
        Worker(joinable.join).result()
        for _ in workers:
            joinable.put(None)
        assert sum(worker.result() for worker in workers) == 200
        _joined(joinable)
