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
    "idle",
    "nothing",
    "ping",
    "receive_huge",
    "send_huge",
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
