"""Cases: what is killed while it uses a queue, and what that may cost."""
# ruff: noqa: D102 - the name of a case is its sentence

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from queue import Full

import pytest

from ipcframe.abc import Queue

from . import queue_targets
from .case import Children, Pair, budget, full
from .conditions import PATIENCE, Worker, asleep, eventually
from .promises import promise
from .queue_api import QueueCase, Queues
from .queue_targets import by_producer, drain, item, noted

__all__ = ["QueueDeaths"]

MEGABYTE = 1_000_000
of_each_size = pytest.mark.parametrize(
    "sizes", [(64,), (MEGABYTE,), (64, 64, 3000, 100_000)], ids=["small", "large", "mixed"]
)


class QueueDeaths(QueueCase):
    """What is killed while it uses a queue, and what that may cost."""

    @full("more kinds", kind=["Queue"])
    @promise("queue.killed")
    @pytest.mark.parametrize("kind", ["Queue", "JoinableQueue"])
    def test_a_consumer_killed_while_it_waits_holds_nobody_up(
        self, children: Children, queues: Queues, kind: str, pipe: Callable[..., Pair]
    ) -> None:
        queue = queues(kind)
        hear, tell = pipe(False)
        waiting = []
        for _ in range(2):  # one after the other: the first would have what only one can have
            child = children.start(queue_targets.get_one_and_tell, queue, tell, discard=(hear,))
            assert hear.recv(timeout=PATIENCE) == "ready"
            assert child.pid is not None
            eventually(asleep(child.pid, child.pid))
            waiting.append(child)
        children.kill(waiting[0])
        children.finish(waiting[0], -9)
        queue.put("for the other")
        assert hear.recv(timeout=PATIENCE) == "for the other"
        children.finish(waiting[1])
        for number in range(1000):
            queue.put(number, timeout=PATIENCE)
        assert [queue.get(timeout=PATIENCE) for _ in range(1000)] == list(range(1000))

    @full("more kinds", maxsize=[0])
    @promise("queue.killed")
    @pytest.mark.parametrize(
        ("kind", "maxsize", "sizes"),
        [("Queue", 0, (64, 64, 3000, 100_000)), ("Queue", 3, (64, 100_000)), ("JoinableQueue", 0, (64,))],
        ids=["unbounded", "bounded", "joinable"],
    )
    def test_consumers_killed_in_a_busy_queue_take_along_only_what_they_had_taken(
        self,
        children: Children,
        queues: Queues,
        kind: str,
        maxsize: int,
        sizes: Sequence[int],
        tmp_path: Path,
    ) -> None:
        queue = queues(kind, maxsize)
        kills = budget("IPCFRAME_KILLS", 3 if children.cheap else 1)
        notes = [tmp_path / f"notes-{number}" for number in range(kills + 1)]
        done: list[bool] = []

        def feed() -> int:
            number = 0
            while not done:
                if queue.qsize() < 400:  # more than a channel holds, so that the way behind it is used
                    queue.put(item(0, number, sizes[number % len(sizes)]), timeout=PATIENCE)
                    number += 1
                else:
                    time.sleep(0.0005)
            return number

        feeding = Worker(feed)
        survivor = children.start(queue_targets.get_and_note, queue, str(notes[0]))
        for path in notes[1:]:
            child = children.start(queue_targets.get_and_note, queue, str(path))
            some = self.random.randrange(1, 100) * queue_targets.NOTE
            eventually(lambda path=path, some=some: path.exists() and path.stat().st_size > some)  # type: ignore[misc]
            children.kill(child)
            children.finish(child, -9)
        eventually(notes[0].exists)
        before = notes[0].stat().st_size
        eventually(lambda: notes[0].stat().st_size > before)  # the survivor goes on
        done.append(True)
        put = feeding.result()
        queue.put(None, timeout=PATIENCE)
        children.finish(survivor)
        got = [[number for _, number in noted(path)] for path in notes]
        for numbers in got:
            assert numbers == sorted(numbers), "out of order for one consumer"
        together = [number for numbers in got for number in numbers]
        assert len(together) == len(set(together)), "got twice"
        lost = set(range(put)) - set(together)
        assert len(lost) <= kills, f"{kills} killed consumers took {len(lost)} objects along"
        assert queue.qsize() == 0

    @full("more kinds", how=["exit"])
    @promise("queue.delivered")
    @pytest.mark.parametrize(
        ("how", "sizes"), [("kill", (64,)), ("exit", (64, 3000, 50_000))], ids=["small-kill", "mixed-exit"]
    )
    def test_everything_arrives_whose_put_returned_before_its_producer_vanished(
        self, children: Children, queue: Queue, how: str, sizes: Sequence[int]
    ) -> None:
        count = 10_000 if len(sizes) == 1 else 1500
        child = children.start(queue_targets.put_items_and_vanish, queue, count, sizes, how)
        children.finish(child, 0 if how == "exit" else -9)
        assert queue.qsize() == count
        assert by_producer(drain(queue)) == {0: list(range(count))}, "lost, doubled or out of order"
        queue.put("next")
        assert queue.get(timeout=0) == "next"

    @promise("queue.delivered")
    @of_each_size
    def test_a_producer_killed_at_any_instant_leaves_its_objects_whole_and_in_order(
        self, children: Children, queue: Queue, sizes: Sequence[int], tmp_path: Path
    ) -> None:
        kills = budget("IPCFRAME_KILLS", 3 if children.cheap else 1)
        for number in range(kills):
            notes = tmp_path / f"notes-{number}"
            child = children.start(queue_targets.put_and_note_for_ever, queue, number, sizes, str(notes))
            some = self.random.randrange(1, 20)
            got = [queue.get(timeout=PATIENCE) for _ in range(some)]
            children.kill(child)
            children.finish(child, -9)
            got += drain(queue)
            arrived = by_producer(got)[number]
            assert arrived == list(range(len(arrived))), "lost, doubled or out of order"
            assert len(arrived) in (len(noted(notes)), len(noted(notes)) + 1)
            assert queue.empty()
            queue.put("next")
            assert queue.get(timeout=0) == "next"

    @promise("queue.delivered")
    def test_a_producer_ends_before_anybody_gets_what_it_put(self, children: Children, queue: Queue) -> None:
        child = children.start(queue_targets.put_items, queue, 0, 1, (MEGABYTE,))
        children.finish(child)
        assert by_producer([queue.get(timeout=0)]) == {0: [0]}

    @promise("queue.maxsize")
    def test_several_producers_never_exceed_the_maxsize(self, children: Children, queues: Queues) -> None:
        maxsize, each = 5, 50
        queue = queues("Queue", maxsize)
        producers = [
            children.start(queue_targets.put_items, queue, which, each, (64, 64, 5000)) for which in range(3)
        ]
        got = []
        eventually(queue.full)
        for _ in range(each * len(producers)):
            assert queue.qsize() <= maxsize
            got.append(queue.get(timeout=PATIENCE))
            assert queue.qsize() <= maxsize
        for child in producers:
            children.finish(child)
        assert by_producer(got) == {which: list(range(each)) for which in range(len(producers))}
        assert queue.empty()

    @promise("queue.maxsize")
    def test_what_a_killed_consumer_had_taken_makes_room(
        self, children: Children, queues: Queues, pipe: Callable[..., Pair]
    ) -> None:
        queue = queues("Queue", 2)
        for number in range(2):
            queue.put(number)
        with pytest.raises(Full):
            queue.put_nowait("no room")
        putting = Worker(partial(queue.put, 2))
        putting.eventually_asleep()
        hear, tell = pipe(False)
        child = children.start(queue_targets.get_one_and_hold, queue, tell, discard=(hear,))
        assert hear.recv(timeout=PATIENCE) == 0
        children.kill(child)
        children.finish(child, -9)
        putting.result()
        assert queue.full()
        assert drain(queue) == [1, 2]

    @promise("queue.maxsize")
    def test_a_producer_killed_while_it_waits_for_room_leaves_no_trace(
        self, children: Children, queues: Queues, tmp_path: Path
    ) -> None:
        queue = queues("Queue", 2)
        notes = tmp_path / "notes"
        child = children.start(queue_targets.put_and_note_for_ever, queue, 0, (64, 100_000), str(notes))
        assert child.pid is not None
        eventually(lambda: notes.exists() and len(noted(notes)) == 2)
        eventually(asleep(child.pid, child.pid))
        children.kill(child)
        children.finish(child, -9)
        assert by_producer(drain(queue)) == {0: [0, 1]}
        for number in range(20):
            queue.put(number, timeout=0)
            assert queue.get(timeout=0) == number
