"""The rows about queues and primitives."""

from __future__ import annotations

import contextlib
import multiprocessing
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import bench_targets as targets
from pairing import Absolute, Measure, Paired, Side
from scale import Scale, context_of, small_dict

__all__ = ["queue_rows"]


def queue_rows(scale: Scale) -> list[Paired | Absolute]:
    """Every row about queues and primitives, in the order of the table."""
    return [
        Paired("Queue one way, small dict, 1p1c", partial(_queue_one_way, scale, "Queue", 1, 1), 2.0),
        Paired("Queue one way, small dict, 4p4c", partial(_queue_one_way, scale, "Queue", 4, 4), 1.5),
        Paired("SimpleQueue one way, small dict", partial(_queue_one_way, scale, "SimpleQueue", 1, 1), None),
        Paired(
            "JoinableQueue one way, small dict", partial(_queue_one_way, scale, "JoinableQueue", 1, 1), None
        ),
        Paired("Queue, put and nobody gets, small dict", partial(_burst, scale), None),
        Paired("Queue round trip, small dict", partial(_two_queues, scale), None),
        Paired("Queue one way, 1 MiB bytes", partial(_large, scale), None),
        Paired("Lock, acquire and release", partial(_pair, scale, "Lock"), None),
        Absolute("Lock, acquire and release", partial(_pair_in_us, scale, "Lock"), "us", 3.0),
        Absolute("RLock, acquire and release", partial(_pair_in_us, scale, "RLock"), "us", None),
        Absolute("Semaphore, acquire and release", partial(_pair_in_us, scale, "Semaphore"), "us", None),
        Paired("Lock, contended by two", partial(_contended, scale), None),
        Paired("Event, set to a sleeper that wakes", partial(_event, scale), 1.0),
        Paired("Condition, notify to a sleeper that wakes", partial(_condition, scale), None),
        Paired("Barrier of two", partial(_barrier, scale), None),
        Absolute(f"CPU of a get idle for {scale.idle:g} s", partial(_idle_get, scale), "ms", 1.0),
    ]


@contextlib.contextmanager
def _children(context: Any, jobs: list[tuple[Any, ...]]) -> Iterator[None]:
    processes = [context.Process(target=job[0], args=job[1:], daemon=True) for job in jobs]
    for process in processes:
        process.start()
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.join()


@contextlib.contextmanager
def _queue_one_way(scale: Scale, kind: str, producers: int, consumers: int, side: Side) -> Iterator[Measure]:
    context = context_of(side, scale)
    shared = getattr(context, kind)()
    starts = [multiprocessing.Pipe() for _ in range(producers)]
    ends = [multiprocessing.Pipe() for _ in range(consumers)]
    count = max(4 * scale.messages // producers, 1)
    jobs: list[tuple[Any, ...]] = [(targets.put_dicts, shared, theirs) for _, theirs in starts]
    jobs += [(targets.get_dicts, shared, theirs) for _, theirs in ends]

    def measure() -> float:
        for ours, _ in ends:
            ours.send(producers)
        began = time.perf_counter()
        for ours, _ in starts:
            ours.send((count, consumers))
        found = [ours.recv() for ours, _ in ends]
        took = time.perf_counter() - began
        assert sum(number for number, _ in found) == count * producers
        assert sum(total for _, total in found) == producers * count * (count - 1) // 2
        return took / (count * producers)

    with _children(context, jobs):
        yield measure


@contextlib.contextmanager
def _burst(scale: Scale, side: Side) -> Iterator[Measure]:
    context = context_of(side, scale)
    count = max(scale.messages, 1)

    def measure() -> float:
        shared = context.Queue()
        began = time.perf_counter()
        for number in range(count):
            shared.put(small_dict(number))
        took = time.perf_counter() - began
        for number in range(count):
            assert shared.get()["id"] == number
        shared.close()
        shared.join_thread()
        return took / count

    yield measure


@contextlib.contextmanager
def _two_queues(scale: Scale, side: Side) -> Iterator[Measure]:
    context = context_of(side, scale)
    there, back = context.Queue(), context.Queue()

    def measure() -> float:
        sent = [small_dict(number) for number in range(scale.trips)]
        got = []
        began = time.perf_counter()
        for obj in sent:
            there.put(obj)
            got.append(back.get())
        took = time.perf_counter() - began
        assert got == sent
        return took / scale.trips

    with _children(context, [(targets.echo_queue, there, back)]):
        yield measure


@contextlib.contextmanager
def _large(scale: Scale, side: Side) -> Iterator[Measure]:
    context = context_of(side, scale)
    there, back = context.Queue(), context.Queue()
    count = max(scale.trips // 50, 1)

    def measure() -> float:
        sent = [number.to_bytes(8, "little") * (2**20 // 8) for number in range(count)]
        began = time.perf_counter()
        for message in sent:
            there.put(message)
        got = [back.get() for _ in sent]
        took = time.perf_counter() - began
        assert got == [message[:8] + message[-8:] for message in sent]
        return took / count

    with _children(context, [(targets.tell_ends, there, back)]):
        yield measure


@contextlib.contextmanager
def _pair(scale: Scale, kind: str, side: Side) -> Iterator[Measure]:
    lock = getattr(context_of(side, scale), kind)()
    count = scale.messages

    def measure() -> float:
        acquire, release = lock.acquire, lock.release
        began = time.perf_counter()
        for _ in range(count):
            acquire()
            release()
        return (time.perf_counter() - began) / count

    yield measure


def _pair_in_us(scale: Scale, kind: str, side: Side) -> float:
    with _pair(scale, kind, side) as measure:
        return min(measure() for _ in range(5)) * 1e6


@contextlib.contextmanager
def _contended(scale: Scale, side: Side) -> Iterator[Measure]:
    context = context_of(side, scale)
    lock = context.Lock()
    count = scale.messages
    controls = [multiprocessing.Pipe() for _ in range(2)]

    def measure() -> float:
        began = time.perf_counter()
        for control, _ in controls:
            control.send(count)
        for control, _ in controls:
            assert control.recv() == count
        return (time.perf_counter() - began) / count / 2

    with _children(context, [(targets.lock_often, lock, theirs) for _, theirs in controls]):
        yield measure


@contextlib.contextmanager
def _event(scale: Scale, side: Side) -> Iterator[Measure]:
    context = context_of(side, scale)
    yield from _woken(scale, context, context.Event(), targets.wait_for_event, targets.set_event)


@contextlib.contextmanager
def _condition(scale: Scale, side: Side) -> Iterator[Measure]:
    context = context_of(side, scale)
    yield from _woken(scale, context, context.Condition(), targets.wait_for_condition, targets.notify)


def _woken(scale: Scale, context: Any, what: Any, wait: Any, wake: Any) -> Iterator[Measure]:
    control, theirs = multiprocessing.Pipe()
    count = max(scale.trips // 20, 1)

    def measure() -> float:
        times = []
        for _ in range(count):
            control.send("wait")
            control.recv()
            time.sleep(0.001)  # it sleeps by now; the clock runs from the wake-up on
            began = time.monotonic()
            wake(what)
            times.append(control.recv() - began)
        return float(sorted(times)[len(times) // 2])

    with _children(context, [(wait, what, theirs)]):
        yield measure


@contextlib.contextmanager
def _barrier(scale: Scale, side: Side) -> Iterator[Measure]:
    context = context_of(side, scale)
    barrier = context.Barrier(2)
    control, theirs = multiprocessing.Pipe()
    count = max(scale.trips // 4, 1)

    def measure() -> float:
        control.send(count)
        began = time.perf_counter()
        for _ in range(count):
            barrier.wait()
        return (time.perf_counter() - began) / count

    with _children(context, [(targets.meet, barrier, theirs)]):
        yield measure


def _idle_get(scale: Scale, side: Side) -> float:
    context = context_of(side, scale)
    there, back = context.Queue(), context.Queue()
    with _children(context, [(targets.idle_get, there, back)]):
        there.put("ready?")
        back.get()
        time.sleep(scale.idle)
        there.put("now")
        return float(back.get()) * 1e3
