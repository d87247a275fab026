"""The rows: each sets up the same work for the standard library and for ours."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import bench_targets as targets
from pairing import Absolute, Measure, Paired, Side
from queue_rows import queue_rows
from scale import CORES, MIB, Scale, context_of, small_dict
from value_rows import value_rows

__all__ = ["all_rows"]

TARGETS = {
    "unix": {
        "round trip, 64 bytes": 1.15,
        "one way, 64 MiB numpy array": 4.0,
        "Queue one way, small dict, 1p1c": 2.5,
        "Queue one way, small dict, 4p4c": 2.0,
    }
}
"""By backend, where they are not those of the rows themselves."""


def all_rows(scale: Scale) -> list[Paired | Absolute]:
    """Every row, in the order of the table."""
    rows: list[Paired | Absolute] = [
        Paired("round trip, small dict", partial(_objects_there_and_back, scale), 1.3),
        Paired("round trip, 64 bytes", partial(_bytes_there_and_back, scale), 1.2),
        Paired("round trip, small dict, one core", partial(_pinned, 1, _objects_there_and_back, scale), None),
        Paired("round trip, 64 bytes, one core", partial(_pinned, 1, _bytes_there_and_back, scale), None),
        Paired("round trip, small dict, a core each", partial(_apart, _objects_there_and_back, scale), None),
        Paired("round trip, 64 bytes, a core each", partial(_apart, _bytes_there_and_back, scale), None),
        Paired("2 ping-pong pairs on two cores", partial(_pinned, 2, partial(_pairs, 2), scale), None),
        Paired("4 ping-pong pairs on two cores", partial(_pinned, 2, partial(_pairs, 4), scale), None),
        Paired("one way, 8 bytes", partial(_bytes_one_way, scale, 8, scale.messages), None),
        Paired("one way, small dict", partial(_objects_one_way, scale, _dicts, scale.messages), None),
        Paired("one way, 1 MiB bytes", partial(_bytes_one_way, scale, MIB, max(scale.trips // 50, 1)), None),
        Paired(
            f"one way, {scale.large // MIB} MiB numpy array",
            partial(_objects_one_way, scale, _arrays, 1),
            None,
        ),
    ]
    rows += [
        Paired(f"process start and join, {method}", partial(_start_and_join, scale, method), 0.9)
        for method in ("fork", "spawn", "forkserver")
    ]
    rows += [
        Paired("import", partial(_import, scale, ""), 0.9),
        Paired("import and first Pipe", partial(_import, scale, "; {module}.Pipe()"), None),
        Absolute(f"CPU of a waiter idle for {scale.idle:g} s", partial(_idle, scale), "ms", 1.0),
    ]
    huge = f"{scale.huge // MIB} MiB"
    for end in ("sender", "receiver"):
        for pair in (("send_bytes", "recv_bytes"), ("send", "recv")):
            name = f"copies at the {end}, {'/'.join(pair)} of {huge} bytes"
            rows.append(Absolute(name, partial(_copies, scale, end, pair), "x", None))
    rows += [*queue_rows(scale), *value_rows(scale)]
    others = TARGETS.get(scale.backend, {})
    return [row._replace(target=others[row.name]) if row.name in others else row for row in rows]


@contextlib.contextmanager
def child(context: Any, target: Callable[..., None], *args: Any, stop: Callable[[], Any]) -> Iterator[None]:
    """A process that alone holds the connections among its arguments, told to stop in the end."""
    process = context.Process(target=target, args=args, daemon=True)
    process.start()
    for connection in args:
        connection.close()  # so that a child's failure is our EOFError
    try:
        yield
        stop()
        process.join(10)
    finally:
        process.kill()
        process.join()


@contextlib.contextmanager
def _pinned(cores: int, opened: Callable[..., Any], scale: Scale, side: Side) -> Iterator[Measure]:
    """The same on so many cores: children inherit the choice."""
    os.sched_setaffinity(0, CORES[:cores])
    try:
        with opened(scale, side) as measure:
            yield measure
    finally:
        os.sched_setaffinity(0, CORES)


@contextlib.contextmanager
def _apart(opened: Callable[..., Any], scale: Scale, side: Side) -> Iterator[Measure]:
    """The same with the child on a core of its own: left alone, the scheduler decides from row to row."""
    os.sched_setaffinity(0, CORES[-1:])
    try:
        with opened(scale, side) as measure:
            os.sched_setaffinity(0, CORES[:1])
            yield measure
    finally:
        os.sched_setaffinity(0, CORES)


@contextlib.contextmanager
def _objects_there_and_back(scale: Scale, side: Side) -> Iterator[Measure]:
    context = context_of(side, scale)
    ours, theirs = context.Pipe()
    start = 0

    def measure() -> float:
        nonlocal start
        start += scale.trips
        sent = [small_dict(number) for number in range(start, start + scale.trips)]
        got = []
        began = time.perf_counter()
        for obj in sent:
            ours.send(obj)
            got.append(ours.recv())
        took = time.perf_counter() - began
        assert got == sent
        return took / scale.trips

    with child(context, targets.echo_objects, theirs, stop=lambda: ours.send(None)):
        yield measure


@contextlib.contextmanager
def _bytes_there_and_back(scale: Scale, side: Side) -> Iterator[Measure]:
    context = context_of(side, scale)
    ours, theirs = context.Pipe()

    def measure() -> float:
        sent = [number.to_bytes(8, "little") + os.urandom(56) for number in range(scale.trips)]
        got = []
        began = time.perf_counter()
        for message in sent:
            ours.send_bytes(message)
            got.append(ours.recv_bytes())
        took = time.perf_counter() - began
        assert got == sent
        return took / scale.trips

    with child(context, targets.echo_bytes, theirs, stop=lambda: ours.send_bytes(b"")):
        yield measure


@contextlib.contextmanager
def _pairs(count: int, scale: Scale, side: Side) -> Iterator[Measure]:
    context = context_of(side, scale)
    controls: list[Any] = []
    trips = max(scale.trips // 2, 1)

    def measure() -> float:
        began = time.perf_counter()
        for control in controls:
            control.send(trips)
        right = [control.recv() for control in controls]
        took = time.perf_counter() - began
        assert right == [trips] * count
        return took / trips / count

    with contextlib.ExitStack() as stack:
        for _ in range(count):
            one, other = context.Pipe()
            control, theirs = multiprocessing.Pipe()
            stack.enter_context(child(context, targets.echo_objects, other, stop=lambda: None))
            stop = partial(control.send, 0)
            stack.enter_context(child(context, targets.ping, one, theirs, stop=stop))
            controls.append(control)
        yield measure


@contextlib.contextmanager
def _bytes_one_way(scale: Scale, size: int, count: int, side: Side) -> Iterator[Measure]:
    context = context_of(side, scale)
    theirs, ours = context.Pipe(duplex=False)
    control, their_control = multiprocessing.Pipe()
    rest = bytearray(os.urandom(size - 8))

    def measure() -> float:
        last = rest[-1] if rest else 0
        sent = [number.to_bytes(8, "little") + rest for number in range(min(count, 200_000_000 // size))]
        control.send(len(sent))
        began = time.perf_counter()
        for message in sent:
            ours.send_bytes(message)
        total = control.recv()
        took = time.perf_counter() - began
        assert total == sum(number + size for number in range(len(sent))) + last * len(sent)
        return took / len(sent)

    with child(context, targets.count_bytes, theirs, their_control, stop=lambda: control.send(0)):
        yield measure


def _dicts(scale: Scale, number: int) -> tuple[Any, int]:
    return small_dict(number), number


def _arrays(scale: Scale, number: int) -> tuple[Any, int]:
    import numpy as np

    array = np.full(scale.large // 8, number, np.int64)
    array[-1] = 5
    return array, number + 5 + array.nbytes


@contextlib.contextmanager
def _objects_one_way(
    scale: Scale, make: Callable[[Scale, int], tuple[Any, int]], count: int, side: Side
) -> Iterator[Measure]:
    context = context_of(side, scale)
    theirs, ours = context.Pipe(duplex=False)
    control, their_control = multiprocessing.Pipe()

    def measure() -> float:
        sent = [make(scale, number) for number in range(count)]
        control.send(count)
        began = time.perf_counter()
        for obj, _ in sent:
            ours.send(obj)
        total = control.recv()
        took = time.perf_counter() - began
        assert total == sum(expected for _, expected in sent)
        return took / count

    with child(context, targets.count_objects, theirs, their_control, stop=lambda: control.send(0)):
        yield measure


@contextlib.contextmanager
def _start_and_join(scale: Scale, method: str, side: Side) -> Iterator[Measure]:
    context = context_of(side, scale, method)
    count = scale.processes * (4 if method == "fork" else 1)

    def start_and_join() -> None:
        process = context.Process(target=targets.nothing)
        process.start()
        process.join()
        assert process.exitcode == 0

    def measure() -> float:
        began = time.perf_counter()
        for _ in range(count):
            start_and_join()
        return (time.perf_counter() - began) / count

    yield measure


@contextlib.contextmanager
def _import(scale: Scale, then: str, side: Side) -> Iterator[Measure]:
    module = {"reference": "multiprocessing", "ours": "ipcframe"}[side]
    program = (
        "from time import perf_counter; began = perf_counter(); "
        f"import {module}{then.format(module=module)}; print(perf_counter() - began)"
    )

    def measure() -> float:
        times = [
            float(subprocess.run([sys.executable, "-c", program], check=True, capture_output=True).stdout)
            for _ in range(scale.processes)
        ]
        return sorted(times)[len(times) // 2]

    yield measure


def _idle(scale: Scale, side: Side) -> float:
    context = context_of(side, scale)
    ours, theirs = context.Pipe()
    with child(context, targets.idle, theirs, stop=lambda: None):
        ours.send("ready?")
        ours.recv()
        time.sleep(scale.idle)
        ours.send("now")
        return float(ours.recv()) * 1e3


def _copies(scale: Scale, end: str, pair: tuple[str, str], side: Side) -> float:
    """How much the peak memory of one end grows, in sizes of the message; 1 is what must be held."""
    context = context_of(side, scale)
    theirs, ours = context.Pipe(duplex=False)
    report, their_report = multiprocessing.Pipe(duplex=False)
    send, receive = pair
    ends = {targets.send_huge: (ours, send), targets.receive_huge: (theirs, receive)}
    processes = [
        context.Process(target=target, args=(*how, scale.huge, their_report), daemon=True)
        for target, how in ends.items()
    ]
    for process in processes:
        process.start()
    grown: dict[str, int] = {}
    for _ in processes:
        assert report.poll(120), "neither end is through"
        grown.update([report.recv()])
    for process in processes:
        process.join()
    return float(grown[end]) / scale.huge
