"""What the children of the cases of queues run; importable in any process, without pytest."""

from __future__ import annotations

import os
import signal
import time
from array import array
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from queue import Empty
from typing import Any

import ipcframe
from ipcframe.abc import Connection, JoinableQueue, Queue

from .targets import wait_for_ever

__all__ = ["by_producer", "drain", "item", "noted", "origin"]

NOTE = 16
"""Bytes of a note: a producer and a number."""


def item(producer: int, number: int, size: int) -> bytes:
    """An object that shows its producer and number throughout; the size is a multiple of 8."""
    return (producer.to_bytes(4, "little") + number.to_bytes(4, "little")) * (size // 8)


def origin(got: Any) -> tuple[int, int]:
    """The producer and the number of an item, which must be whole."""
    assert isinstance(got, bytes), f"not an item: {type(got).__name__}"
    producer, number = int.from_bytes(got[:4], "little"), int.from_bytes(got[4:8], "little")
    if got != item(producer, number, len(got)):
        raise AssertionError(f"a torn item of {len(got)} bytes")
    return producer, number


def by_producer(items: Iterable[Any]) -> dict[int, list[int]]:
    """The numbers of each producer's items, which must be whole."""
    found: dict[int, list[int]] = defaultdict(list)
    for one in items:
        producer, number = origin(one)
        found[producer].append(number)
    return dict(found)


def drain(queue: Queue) -> list[Any]:
    """All that is in it."""
    got = []
    try:
        while True:
            got.append(queue.get(timeout=0))
    except Empty:
        return got


def noted(path: Path) -> list[tuple[int, int]]:
    """The notes in a file: pairs of a producer and a number."""
    data = path.read_bytes()
    numbers = array("Q", data[: len(data) // NOTE * NOTE])
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def _note(fd: int, producer: int, number: int) -> None:
    os.write(fd, producer.to_bytes(8, "little") + number.to_bytes(8, "little"))


def _notebook(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)


# --- producers ---


def put_items(queue: Queue, producer: int, count: int, sizes: Sequence[int]) -> None:
    """Put numbered items, of these sizes in turn."""
    for number in range(count):
        queue.put(item(producer, number, sizes[number % len(sizes)]))


def put_items_and_vanish(queue: Queue, count: int, sizes: Sequence[int], how: str) -> None:
    """Put numbered items, and end without any farewell."""
    put_items(queue, 0, count, sizes)
    if how == "exit":
        os._exit(0)
    os.kill(os.getpid(), signal.SIGKILL)


def put_and_note_for_ever(queue: Queue, producer: int, sizes: Sequence[int], path: str) -> None:
    """Put numbered items until killed, and note each that `put` returned from."""
    fd = _notebook(path)
    number = 0
    while True:
        queue.put(item(producer, number, sizes[number % len(sizes)]))
        _note(fd, producer, number)
        number += 1


def put_and_get_for_ever(queue: Queue, sizes: Sequence[int], ready: Connection) -> None:
    """Put and get items until killed."""
    ready.send("ready")
    number = 0
    while True:
        for _ in range(10):
            queue.put(item(7, number, sizes[number % len(sizes)]))
            number += 1
        for _ in range(10):
            try:
                origin(queue.get(timeout=0))
            except Empty:
                break


def put_one_and_tell(queue: Queue, back: Connection, obj: object) -> None:
    """Put an object, and say so."""
    queue.put(obj)
    back.send("put")


# --- consumers ---


def get_and_note(queue: Queue, path: str) -> None:
    """Note what comes, until None does."""
    fd = _notebook(path)
    while True:
        got = queue.get()
        if got is None:
            return
        _note(fd, *origin(got))


def get_and_tell(queue: Queue, back: Connection) -> None:
    """Get until None comes, and tell the numbers that came of each producer, in their order."""
    back.send("ready")
    found: dict[int, array[int]] = defaultdict(lambda: array("Q"))
    while True:
        got = queue.get()
        if got is None:
            back.send({producer: numbers.tolist() for producer, numbers in found.items()})
            return
        producer, number = origin(got)
        found[producer].append(number)


def get_one_and_tell(queue: Queue, back: Connection) -> None:
    """Wait for one object, and tell it."""
    back.send("ready")
    back.send(queue.get())


def get_one_and_hold(queue: Queue, back: Connection) -> None:
    """Take one object, say so, and live until killed."""
    back.send(queue.get(timeout=20))
    wait_for_ever()


def answer(requests: Queue, answers: Queue) -> None:
    """Double what comes, until None does."""
    while (got := requests.get(timeout=20)) is not None:
        answers.put(got * 2)


def use_queue_sent(end: Connection) -> None:
    """Receive a queue through a connection, put into it, and get from it."""
    with end.recv() as queue:
        queue.put("from the child")
        end.send("put")
        end.recv()
        end.send(queue.get(timeout=20))


def use_after_fork(
    context: ipcframe.Context, shared: Queue, awaited: Queue, count: int, sizes: Sequence[int]
) -> None:
    """Use a new queue, and two that the parent's threads are using."""
    with context.Queue() as own:
        own.put("new")
        assert own.get(timeout=20) == "new"
    put_items(shared, 9, count, sizes)
    shared.put(shared.get(timeout=20))
    awaited.put("from a child")


# --- joinable queues ---


def work_off(queue: JoinableQueue) -> None:
    """Get and report done until None comes, which is reported too."""
    while True:
        got = queue.get()
        queue.task_done()
        if got is None:
            return


def work_off_for_ever(queue: JoinableQueue, ready: Connection) -> None:
    """Get and report done until killed."""
    ready.send("ready")
    while True:
        queue.get()
        queue.task_done()


def join_and_tell(queue: JoinableQueue, back: Connection) -> None:
    """Wait until all is done, and say so."""
    back.send("ready")
    queue.join()
    back.send("joined")


# --- pools ---


def double(value: int) -> int:
    """A task."""
    return value * 2


def processor_time(queue: Queue, seconds: float) -> float:
    """The processor seconds that a get in vain uses, of this thread."""
    before = time.thread_time()
    try:
        queue.get(timeout=seconds)
    except Empty:
        return time.thread_time() - before
    raise AssertionError("something was in it")
