"""What the processes of the benchmarks run; it imports little, because spawned children import it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

__all__ = [
    "count_bytes",
    "count_objects",
    "echo_bytes",
    "echo_objects",
    "echo_queue",
    "get_dicts",
    "idle",
    "idle_get",
    "lock_often",
    "meet",
    "nothing",
    "notify",
    "ping",
    "put_dicts",
    "receive_huge",
    "send_huge",
    "set_event",
    "tell_ends",
    "wait_for_condition",
    "wait_for_event",
]


def nothing() -> None:
    """A process that ends at once."""


def echo_objects(connection: Any) -> None:
    """Send back each object; None ends it."""
    while (obj := connection.recv()) is not None:
        connection.send(obj)


def echo_bytes(connection: Any) -> None:
    """Send back each message; an empty one ends it."""
    while message := connection.recv_bytes():
        connection.send_bytes(message)


def ping(connection: Any, control: Any) -> None:
    """On each number from `control` make so many round trips; answer with how many came back right."""
    while count := control.recv():
        right = 0
        for number in range(count):
            connection.send({"id": number, "name": "ping", "load": 0.5})
            right += connection.recv()["id"] == number
        control.send(right)
    connection.send(None)


def count_bytes(connection: Any, control: Any) -> None:
    """On each number from `control` receive so many messages; answer with a sum over them."""
    while count := control.recv():
        total = 0
        for _ in range(count):
            message = connection.recv_bytes()
            total += int.from_bytes(message[:8], "little") + len(message) + message[-1]
        control.send(total)


def count_objects(connection: Any, control: Any) -> None:
    """On each number from `control` receive so many objects; answer with a sum over them."""
    while count := control.recv():
        total = 0
        for _ in range(count):
            obj = connection.recv()
            total += obj["id"] if type(obj) is dict else int(obj[0] + obj[-1]) + obj.nbytes
        control.send(total)


def idle(connection: Any) -> None:
    """After a first object wait for a second, and answer with the CPU time of that wait."""
    connection.recv()
    connection.send(None)
    before = time.process_time()
    connection.recv()
    connection.send(time.process_time() - before)


def put_dicts(shared: Any, control: Any) -> None:
    """On each (count, ends) put so many small dicts and then so many ends."""
    while True:
        count, ends = control.recv()
        for number in range(count):
            shared.put(
                {
                    "id": number,
                    "name": f"item {number}",
                    "load": number / 7,
                    "tags": ["a", "b"],
                    "done": False,
                }
            )
        for _ in range(ends):
            shared.put(None)


def get_dicts(shared: Any, control: Any) -> None:
    """On each number get small dicts until so many ends came; answer with their number and sum."""
    while ends := control.recv():
        count = total = 0
        while ends:
            obj = shared.get()
            if obj is None:
                ends -= 1
            else:
                count += 1
                total += obj["id"]
        control.send((count, total))


def echo_queue(there: Any, back: Any) -> None:
    """Put into the second queue what comes by the first."""
    while True:
        back.put(there.get())


def tell_ends(there: Any, back: Any) -> None:
    """Answer each message with its first and last 8 bytes."""
    while True:
        message = there.get()
        back.put(message[:8] + message[-8:])


def lock_often(lock: Any, control: Any) -> None:
    """On each count take and release the lock so often."""
    while count := control.recv():
        for _ in range(count):
            lock.acquire()
            lock.release()
        control.send(count)


def wait_for_event(event: Any, control: Any) -> None:
    """On each word clear the event, wait for it, and tell when that was over."""
    while control.recv():
        event.clear()
        control.send("waiting")
        event.wait()
        control.send(time.monotonic())


def set_event(event: Any) -> None:
    """Wake who waits for an event."""
    event.set()


def wait_for_condition(condition: Any, control: Any) -> None:
    """On each word wait for the condition, and tell when that was over."""
    while control.recv():
        with condition:
            control.send("waiting")
            condition.wait()
            now = time.monotonic()
        control.send(now)


def notify(condition: Any) -> None:
    """Wake who waits for a condition."""
    with condition:
        condition.notify()


def meet(barrier: Any, control: Any) -> None:
    """On each count wait at the barrier so often."""
    while count := control.recv():
        for _ in range(count):
            barrier.wait()


def idle_get(there: Any, back: Any) -> None:
    """After a first object wait for a second, and answer with the CPU time of that wait."""
    there.get()
    back.put(None)
    before = time.process_time()
    there.get()
    back.put(time.process_time() - before)


def send_huge(connection: Any, method: str, size: int, report: Any) -> None:
    """Send one message of `size` bytes; report by how much the peak of memory grew."""
    message = b"x" * (size - 1) + b"y"
    before = _start_peak()
    getattr(connection, method)(message)
    report.send(("sender", _peak() - before))


def receive_huge(connection: Any, method: str, size: int, report: Any) -> None:
    """Receive it, and report the same."""
    before = _start_peak()
    message = getattr(connection, method)()
    grown = _peak() - before
    assert len(message) == size
    assert message.startswith(b"xx")
    assert message.endswith(b"xy")
    report.send(("receiver", grown))


def _start_peak() -> int:
    """Forget the peak so far; returns what is resident now, in bytes."""
    Path("/proc/self/clear_refs").write_text("5")
    return _peak()


def _peak() -> int:
    (line,) = (
        line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")
    )
    return int(line.split()[1]) * 1024
