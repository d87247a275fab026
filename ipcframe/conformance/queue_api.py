"""Cases: the operations of queues, their arguments, and what they raise."""
# ruff: noqa: D102 - the name of a case is its sentence

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Callable, Iterator
from functools import partial
from queue import Empty, Full
from typing import Any

import pytest

import ipcframe
from ipcframe.abc import JoinableQueue, Queue
from ipcframe.errors import ClosedError, UnsupportedOperation

from .case import Case, full
from .conditions import LATENESS_BOUND, PATIENCE, Worker, always_faster, in_time, stopwatch
from .connection_objects import FailsToLoad, Refuses
from .connection_waits import CLOSE_BOUND
from .promises import promise

__all__ = ["KINDS", "QueueApi", "QueueCase", "Queues", "of_each_kind"]

Queues = Callable[..., Any]
"""Makes queues that are closed when the case is over: the name of a method of the context, its arguments."""
KINDS = ("Queue", "JoinableQueue", "SimpleQueue")
of_each_kind = pytest.mark.parametrize("kind", KINDS)
bounded_kinds = pytest.mark.parametrize("kind", ["Queue", "JoinableQueue"])


class QueueCase(Case):
    """What the cases of queues stand on."""

    @pytest.fixture
    def queues(self, context: ipcframe.Context) -> Iterator[Queues]:
        """Makes queues; their cases are not there where what they need is declared absent."""
        with contextlib.ExitStack() as stack:

            def make(kind: str = "Queue", *args: Any, **options: Any) -> Any:
                made = getattr(context, kind)(*args, **options)
                stack.callback(made.close)
                return made

            declared = context.backend.capabilities
            for absent in ("channel", "fileno"):
                if not getattr(declared, absent):
                    try:
                        make()  # a backend may have queues of its own all the same
                    except UnsupportedOperation:
                        self._absent(absent)
                        pytest.skip(f"declared absent: {absent}")
            yield make

    @pytest.fixture
    def queue(self, queues: Queues) -> Queue:
        """A queue without a bound."""
        made: Queue = queues("Queue")
        return made


class QueueApi(QueueCase):
    """The operations of queues, their arguments, and what they raise."""

    # --- full and empty ---

    @full("more kinds", kind=["Queue"], timeout=[0, 0.05])
    @promise("queue.timeouts")
    @of_each_kind
    @pytest.mark.parametrize("timeout", [0, 0.0, -1, -0.5, 0.05])
    def test_an_empty_queue_keeps_the_timeout(self, queues: Queues, kind: str, timeout: float) -> None:
        queue = queues(kind)
        with stopwatch() as elapsed:
            with pytest.raises(Empty):
                queue.get(timeout=timeout)
            in_time(elapsed(), timeout)
        queue.put("after")
        assert queue.get(timeout=timeout) == "after"

    @full("more kinds", kind=["Queue"], timeout=[0, 0.05])
    @promise("queue.timeouts")
    @bounded_kinds
    @pytest.mark.parametrize("timeout", [0, 0.0, -1, -0.5, 0.05])
    def test_a_full_queue_keeps_the_timeout(self, queues: Queues, kind: str, timeout: float) -> None:
        queue = queues(kind, 2)
        for obj in ("first", b"x" * 100_000):
            queue.put(obj, timeout=timeout)
        for obj in ("small", b"y" * 100_000):
            with stopwatch() as elapsed:
                with pytest.raises(Full):
                    queue.put(obj, timeout=timeout)
                in_time(elapsed(), timeout)
        assert queue.get(timeout=0) == "first"
        assert queue.get(timeout=0) == b"x" * 100_000
        with pytest.raises(Empty):
            queue.get(timeout=0)

    @promise("queue.timeouts")
    @bounded_kinds
    def test_without_blocking_full_and_empty_are_raised_at_once(self, queues: Queues, kind: str) -> None:
        queue = queues(kind, 1)
        with stopwatch() as elapsed:
            for get in (queue.get_nowait, partial(queue.get, False), partial(queue.get, False, 30)):
                with pytest.raises(Empty):
                    get()
            queue.put_nowait(1)
            for put in (queue.put_nowait, lambda obj: queue.put(obj, False),
                        lambda obj: queue.put(obj, False, 30)):  # fmt: skip
                with pytest.raises(Full):
                    put(2)
            assert queue.get_nowait() == 1
            queue.put(3, False)
            assert queue.get(block=False) == 3
            assert elapsed() < LATENESS_BOUND

    @promise("queue.timeouts")
    @bounded_kinds
    def test_a_queue_refuses_a_timeout_that_is_no_number(self, queues: Queues, kind: str) -> None:
        queue = queues(kind, 1)
        queue.put("kept")
        operations: tuple[Callable[..., Any], ...] = (queue.get, partial(queue.put, "never put"))
        for operation in operations:
            with pytest.raises(ValueError, match=r"(?i)nan"):
                operation(timeout=math.nan)
            for timeout in ("1", [1], 1j):
                with pytest.raises(TypeError):
                    operation(timeout=timeout)
        assert queue.qsize() == 1
        assert queue.get(timeout=math.inf) == "kept"

    @full("more kinds", kind=["Queue"])
    @promise("queue.timeouts")
    @of_each_kind
    def test_consumers_that_are_always_faster_do_not_prolong_a_gets_timeout(
        self, queues: Queues, kind: str
    ) -> None:
        queue = queues(kind)

        def snatch() -> None:
            with contextlib.suppress(Empty):
                queue.get(False)

        with stopwatch() as elapsed:
            with (
                always_faster(partial(queue.put, 1), snatch, 0.05 + 2 * LATENESS_BOUND),
                pytest.raises(Empty),
            ):
                queue.get(timeout=0.05)
            in_time(elapsed(), 0.05)

    @promise("queue.once")
    @of_each_kind
    def test_a_waiting_get_goes_on_when_something_is_put(self, queues: Queues, kind: str) -> None:
        queue = queues(kind)
        for obj in ("small", b"x" * 100_000):
            getting = Worker(queue.get)
            getting.eventually_asleep()
            assert getting.is_alive()
            queue.put(obj)
            assert getting.result() == obj

    @promise("queue.maxsize")
    @bounded_kinds
    def test_a_waiting_put_goes_on_when_something_is_taken(self, queues: Queues, kind: str) -> None:
        queue = queues(kind, 1)
        queue.put(0)
        for number in range(1, 6):
            putting = Worker(partial(queue.put, number))
            putting.eventually_asleep()
            assert putting.is_alive(), "a full queue took another object"
            assert queue.get(timeout=PATIENCE) == number - 1
            putting.result()

    # --- maxsize ---

    @full("more kinds", kind=["Queue"])
    @promise("queue.maxsize")
    @bounded_kinds
    def test_no_maxsize_or_one_below_zero_sets_no_bound(self, queues: Queues, kind: str) -> None:
        for args in ((), (0,), (-1,), (-(10**6),)):
            queue = queues(kind, *args)
            for number in range(1000):
                queue.put(number, timeout=0)
            assert not queue.full()
            assert [queue.get(timeout=0) for _ in range(1000)] == list(range(1000))

    @promise("queue.maxsize")
    @bounded_kinds
    @pytest.mark.parametrize("maxsize", ["3", None, 2.5, [1]], ids=str)
    def test_a_maxsize_that_is_no_integer_is_refused(
        self, queues: Queues, kind: str, maxsize: object
    ) -> None:
        with pytest.raises(TypeError):
            queues(kind, maxsize)

    # --- counts ---

    @promise("queue.counts")
    @of_each_kind
    def test_after_a_put_the_queue_is_never_empty(self, queues: Queues, kind: str) -> None:
        queue = queues(kind)
        sizes = (0, 100, 4000, 70_000)
        assert queue.empty()
        for number in range(200):
            queue.put(bytes(sizes[number % len(sizes)]))
            assert not queue.empty()
            queue.get(timeout=0)
            assert queue.empty()

    @full("more kinds", kind=["Queue"], sizes=[(1, 3000, 5000, 100, 50_000, 3900)])
    @promise("queue.counts")
    @of_each_kind
    @pytest.mark.parametrize("sizes", [(1,), (10_000,), (1, 3000, 5000, 100, 50_000, 3900)], ids=str)
    def test_qsize_and_full_are_exact(self, queues: Queues, kind: str, sizes: tuple[int, ...]) -> None:
        count = 600
        queue = queues(kind) if kind == "SimpleQueue" else queues(kind, count)
        for number in range(count):
            assert queue.qsize() == number, "qsize miscounts"
            assert not queue.full()
            queue.put(bytes(sizes[number % len(sizes)]))
        assert queue.full() is (kind != "SimpleQueue")
        for number in range(count, 0, -1):
            assert queue.qsize() == number, "qsize miscounts"
            queue.get(timeout=0)
        assert (queue.qsize(), queue.empty(), queue.full()) == (0, True, False)

    # --- objects ---

    @promise("queue.unpicklable")
    @of_each_kind
    def test_what_cannot_be_pickled_raises_in_put(self, queues: Queues, kind: str) -> None:
        queue = queues(kind)
        for obj in (lambda: 1, {"a": [1, threading.Lock()]}, [Refuses(KeyError("mine")), bytes(100_000)]):
            with pytest.raises(Exception, match=r"pickle|mine") as refused:
                queue.put(obj)
            assert any("message" in note for note in refused.value.__notes__), "no path to it"
            assert queue.empty()
            queue.put("next")
            assert queue.get(timeout=0) == "next"
        for error in (KeyboardInterrupt(), MemoryError()):
            with pytest.raises(type(error)):
                queue.put([1, Refuses(error)])
            assert queue.empty()

    @full("more kinds", size=[100_000])
    @promise("queue.unloadable")
    @of_each_kind
    @pytest.mark.parametrize("size", [0, 100_000])
    def test_what_cannot_be_unpickled_raises_in_that_get_and_the_queue_goes_on(
        self, queues: Queues, kind: str, size: int
    ) -> None:
        queue = queues(kind)
        errors = [ValueError("a"), Empty("b"), MemoryError("d"), OSError("e"), Full("f")]
        for error in errors:
            queue.put([bytes(size), FailsToLoad(error)])
        queue.put("next")
        for error in errors:
            with pytest.raises(type(error), match=str(error)):
                queue.get(timeout=PATIENCE)
        assert queue.get(timeout=PATIENCE) == "next"
        assert queue.empty()
        if isinstance(queue, JoinableQueue):
            for _ in range(len(errors) + 1):
                queue.task_done()
            Worker(queue.join).result()

    # --- closing ---

    @promise("queue.close")
    @of_each_kind
    def test_a_closed_queue_refuses_and_says_who_closed_it(self, queues: Queues, kind: str) -> None:
        queue = queues(kind)
        queue.put("never got")
        queue.close()
        queue.close()
        assert queue.closed
        operations = [partial(queue.put, 1), queue.get, queue.get_nowait, partial(queue.put_nowait, 1)]
        operations += [queue.qsize, queue.empty, queue.full]
        if isinstance(queue, JoinableQueue):
            operations += [queue.join, queue.task_done]
        for operation in operations:
            with pytest.raises(ClosedError, match=r"queue_api\.py") as refused:
                operation()
            assert isinstance(refused.value, ValueError), "what multiprocessing raises there"

    @full("more kinds", kind=["Queue"])
    @promise("queue.close")
    @bounded_kinds
    def test_closing_a_queue_ends_what_other_threads_wait_for(self, queues: Queues, kind: str) -> None:
        empty, full = queues(kind), queues(kind, 1)
        full.put(1)
        waiting = [(empty, Worker(empty.get)), (full, Worker(partial(full.put, 2)))]
        if kind == "JoinableQueue":
            unfinished = queues(kind)
            unfinished.put(1)
            waiting.append((unfinished, Worker(unfinished.join)))
        for waited, waits in waiting:
            waits.eventually_asleep()
            assert waits.is_alive()
            waited.close()
        for _, waits in waiting:
            assert isinstance(waits.end(CLOSE_BOUND), ClosedError)

    @promise("queue.close")
    @of_each_kind
    def test_the_thread_that_is_not_there_is_joined_after_close_only(self, queues: Queues, kind: str) -> None:
        queue = queues(kind)
        queue.put(b"x" * 1_000_000)
        with pytest.raises(AssertionError):
            queue.join_thread()
        queue.cancel_join_thread()
        queue.close()
        queue.join_thread()
        queue.cancel_join_thread()

    @promise("queue.repr")
    @of_each_kind
    def test_a_repr_shows_what_the_queue_is_and_takes_nothing(self, queues: Queues, kind: str) -> None:
        queue = queues(kind, name="jobs")
        assert queue.name == "jobs"
        assert queues(kind).name is None
        queue.put("kept")
        for word in (kind, "jobs"):
            assert word in repr(queue)
        assert queue.get(timeout=0) == "kept"
        queue.close()
        assert "closed" in repr(queue)
        assert "jobs" in repr(queue)
