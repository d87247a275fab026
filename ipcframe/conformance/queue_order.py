"""Cases: every object once, whole, in order; and where it lies meanwhile."""
# ruff: noqa: D102 - the name of a case is its sentence

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from queue import Full
from typing import Any

import pytest

import ipcframe
from ipcframe.abc import Connection, Queue
from ipcframe.errors import MessageTooLarge, QueueLimitReached

from . import queue_targets
from .case import Children, Pair, budget, full
from .conditions import PATIENCE, Worker, own_memory, same_bytes
from .promises import promise
from .queue_api import QueueCase, Queues, of_each_kind
from .queue_targets import by_producer, drain, item, put_items

__all__ = ["QueueOrder"]

MIXED = (64, 64, 3000, 8, 64, 5000, 64, 100_000, 64)
LIMIT = 2**20


class QueueOrder(QueueCase):
    """Every object once, whole, in order; and where it lies meanwhile."""

    # --- order ---

    @full("more kinds", kind=["Queue"])
    @promise("queue.once")
    @of_each_kind
    def test_a_burst_of_five_thousand_arrives_in_order_and_once(self, queues: Queues, kind: str) -> None:
        queue = queues(kind)
        for _ in range(2):
            for number in range(5000):
                queue.put(number)
            assert drain(queue) == list(range(5000)), "lost, doubled or out of order"

    @full("more kinds", kind=["Queue"])
    @promise("queue.once")
    @of_each_kind
    def test_small_and_large_objects_keep_their_order(self, queues: Queues, kind: str) -> None:
        queue = queues(kind)
        sizes = [self.random.choice([8, 64, 2000, 3800, 3900, 4096, 65_536, 300_000]) for _ in range(900)]
        expected, got = 0, []
        for number, size in enumerate(sizes):
            queue.put(item(0, number, size // 8 * 8))
            if self.random.random() < (0.2 if number < 600 else 0.9):
                got.append(queue.get(timeout=0))
        for numbers in by_producer(got + drain(queue)).values():
            assert numbers == list(range(len(sizes))), "lost, doubled or out of order"
            expected += 1
        assert expected == 1

    @full("more sizes", size=[0, 4096, 2**20])
    @promise("queue.once")
    @pytest.mark.parametrize("size", [0, 1, 3000, 4096, 65_535, 65_537, 2**20, 5 * 2**20 + 3])
    def test_an_object_of_any_size_arrives_whole(self, queue: Queue, size: int) -> None:
        self._put_and_get(queue, size)

    @full("64 MiB in one object")
    @promise("queue.once")
    def test_an_object_of_64_mib_arrives_whole(self, queue: Queue) -> None:
        self._put_and_get(queue, 64 * 2**20)

    def _put_and_get(self, queue: Queue, size: int) -> None:
        sent = self.random.randbytes(size)
        for _ in range(2):
            queue.put(sent)
            queue.put("behind it")
            same_bytes(queue.get(timeout=PATIENCE), sent)
            assert queue.get(timeout=PATIENCE) == "behind it"

    @full("more sizes", shape=[(100, 100)])
    @promise("queue.once")
    @pytest.mark.parametrize("shape", [(3,), (100, 100), (1000, 300)], ids=str)
    def test_numpy_arrays_go_through_a_queue_equal_and_writable(
        self, queue: Queue, shape: tuple[int, ...]
    ) -> None:
        numpy = pytest.importorskip("numpy")
        sent = numpy.arange(numpy.prod(shape), dtype="float64").reshape(shape)
        for number in range(3):
            queue.put([number, sent, sent.T])
        kept = []
        for number in range(3):
            which, *arrays = queue.get(timeout=PATIENCE)
            assert which == number
            for ours, theirs in zip((sent, sent.T), arrays, strict=True):
                assert numpy.array_equal(ours, theirs)
                numpy.add(theirs, number, out=theirs)  # each lies on memory of its own
            kept.append(arrays)
        for number, arrays in enumerate(kept):
            assert numpy.array_equal(arrays[0], sent + number)

    @full("more kinds", kind=["Queue"], sizes=[MIXED])
    @promise("queue.once")
    @of_each_kind
    @pytest.mark.parametrize("sizes", [(64,), MIXED], ids=["small", "mixed"])
    def test_four_threads_each_way_put_and_get_everything_once(
        self, queues: Queues, kind: str, sizes: Sequence[int]
    ) -> None:
        queue = queues(kind)
        count = 200
        getting = [Worker(lambda: list(iter(lambda: queue.get(timeout=PATIENCE), None))) for _ in range(4)]
        putting = [Worker(partial(put_items, queue, producer, count, sizes)) for producer in range(4)]
        for worker in putting:
            worker.result()
        for _ in getting:
            queue.put(None)
        self._check([by_producer(worker.result()) for worker in getting], 4, count)

    @promise("queue.once")
    def test_four_processes_each_way_put_and_get_everything_once(
        self, children: Children, queue: Queue, pipe: Callable[..., Pair]
    ) -> None:
        each = budget("IPCFRAME_SOAK", 1200 if children.cheap else 400) // 4
        told: list[Connection] = []
        getting = []
        for _ in range(4):
            hear, tell = pipe(False)
            getting.append(children.start(queue_targets.get_and_tell, queue, tell, discard=(hear, *told)))
            tell.close()
            told.append(hear)
        putting = [
            children.start(put_items, queue, producer, each, MIXED[: 3 * producer or 1])
            for producer in range(4)
        ]
        for child in putting:
            child.join()
            children.finish(child)
        for _ in getting:
            queue.put(None)
        for hear in told:
            assert hear.recv(timeout=PATIENCE) == "ready"
        self._check([hear.recv() for hear in told], 4, each)
        for child in getting:
            children.finish(child)

    def _check(self, streams: list[dict[int, list[int]]], producers: int, count: int) -> None:
        together: dict[int, list[int]] = {producer: [] for producer in range(producers)}
        for stream in streams:
            for producer, numbers in stream.items():
                assert numbers == sorted(numbers), "out of order for one producer"
                together[producer] += numbers
        for numbers in together.values():
            assert sorted(numbers) == list(range(count)), "lost or doubled"

    # --- handing over ---

    @promise("queue.handoff")
    @pytest.mark.parametrize("kind", ["SimpleQueue", "JoinableQueue"])
    def test_two_queues_carry_a_conversation_with_a_child(
        self, children: Children, queues: Queues, kind: str
    ) -> None:
        requests, answers = queues(kind), queues(kind)
        requests.put("before the start ")
        child = children.start(queue_targets.answer, requests, answers)
        assert answers.get(timeout=PATIENCE) == "before the start " * 2
        for obj in (1, "text", b"x" * 3000, b"y" * 500_000):
            requests.put(obj)
            assert answers.get(timeout=PATIENCE) == obj * 2
        assert requests.empty()
        requests.put(None)
        children.finish(child)

    @promise("queue.handoff")
    def test_a_queue_goes_through_a_connection_to_a_running_process(
        self, children: Children, queues: Queues, pipe: Callable[..., Pair]
    ) -> None:
        ours, theirs = pipe()
        child = children.start(queue_targets.use_queue_sent, theirs, discard=(ours,))
        theirs.close()
        queue = queues()
        ours.send(queue)
        assert ours.recv(timeout=PATIENCE) == "put"
        assert queue.qsize() == 1
        assert queue.get(timeout=PATIENCE) == "from the child"
        queue.put("from the parent")
        ours.send("go on")
        assert ours.recv(timeout=PATIENCE) == "from the parent"
        children.finish(child)

    @promise("queue.counts")
    def test_what_another_process_has_put_is_counted(
        self, children: Children, queue: Queue, pipe: Callable[..., Pair]
    ) -> None:
        for number, obj in enumerate(["small", b"x" * 100_000]):
            hear, tell = pipe(False)
            child = children.start(queue_targets.put_one_and_tell, queue, tell, obj, discard=(hear,))
            tell.close()
            assert hear.recv(timeout=PATIENCE) == "put"
            assert not queue.empty()
            assert queue.qsize() == number + 1
            children.finish(child)
        assert queue.get(timeout=0) == "small"
        assert queue.get(timeout=0) == b"x" * 100_000
        assert queue.empty()

    # --- memory ---

    @full("200 MB")
    @promise("queue.memory")
    def test_two_hundred_mb_that_nobody_gets_are_not_in_the_producers_memory(
        self, processes: None, queue: Queue
    ) -> None:
        count, size = 200, 1_000_000
        obj = self.random.randbytes(size)
        queue.put(obj)
        queue.get(timeout=PATIENCE)
        memory, held = own_memory(), _held()
        for _ in range(count):
            queue.put(obj)
        assert own_memory() - memory < 20 * size
        growth = _held() - held
        for _ in range(count):
            same_bytes(queue.get(timeout=PATIENCE), obj)
        if growth > count * size // 2:  # else it lies where the system does not tell
            assert _held() - held < 10 * size, "what was got was not given back"

    @promise("queue.memory")
    def test_small_objects_are_given_back_too(self, queue: Queue) -> None:
        held = _held()
        growths = []
        for _ in range(3):
            for number in range(3000):
                queue.put(item(0, number, 3000))
            growths.append(_held() - held)
            assert by_producer(drain(queue)) == {0: list(range(3000))}
        assert growths[-1] < 2 * 9_000_000
        assert _held() - held < 4_000_000

    @pytest.fixture
    def limited(
        self, context: ipcframe.Context, queue: Queue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[Queue | None]:
        """A queue of a backend that is configured to hold `LIMIT` bytes in each; None where it cannot be."""
        if "queue_limit" not in context.backend.configured:
            self._absent("queue_limit")
            yield None
            return
        path = tmp_path / "limited.toml"
        path.write_text(f"[backends.{context.spec.backend.name}]\nqueue_limit = {LIMIT}\n")
        monkeypatch.setenv("IPCFRAME_CONFIG", str(path))
        with ipcframe.get_context(context.get_start_method(), backend=self.backend).Queue() as made:
            yield made

    @promise("queue.memory")
    @pytest.mark.parametrize("size", [3000, 100_000])
    def test_a_put_beyond_the_limit_is_refused_until_there_is_room(
        self, limited: Queue | None, size: int
    ) -> None:
        if limited is None:
            return
        put = 0
        refused: QueueLimitReached | None = None
        while refused is None and put < 10_000:
            try:
                limited.put(item(0, put, size // 8 * 8))
                put += 1
            except QueueLimitReached as error:
                refused = error
        assert isinstance(refused, Full)
        assert "queue_limit" in str(refused)
        assert LIMIT // 2 < put * size < 4 * LIMIT
        assert limited.qsize() == put
        got = [limited.get(timeout=0) for _ in range(put // 2 + 1)]
        limited.put(item(0, put, size // 8 * 8))
        assert by_producer(got + drain(limited)) == {0: list(range(put + 1))}

    @promise("queue.memory")
    def test_one_object_that_is_larger_than_the_limit_is_refused_for_good(
        self, limited: Queue | None
    ) -> None:
        if limited is None:
            return
        with pytest.raises(MessageTooLarge, match="queue_limit"):
            limited.put(bytes(LIMIT + 1))
        assert limited.empty()
        for _ in range(20):  # nothing of what was refused is still counted
            limited.put(bytes(LIMIT // 2))
            assert len(limited.get(timeout=0)) == LIMIT // 2


def _held() -> int:
    """The bytes of the files without a name that this process has open, as far as the system tells."""
    files: dict[Any, int] = {}
    for fd in os.listdir("/proc/self/fd") if Path("/proc/self/fd").exists() else []:  # noqa: PTH208
        try:
            found = os.fstat(int(fd))
        except OSError:
            continue
        if stat.S_ISREG(found.st_mode) and not found.st_nlink:
            files[found.st_dev, found.st_ino] = found.st_blocks * 512
    return sum(files.values())
