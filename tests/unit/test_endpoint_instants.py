"""What happens to an endpoint between two lines of an operation on it, at each of them in turn."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from collections.abc import Callable, Iterator
from itertools import count
from types import FrameType
from typing import Any

import pytest

import ipcframe
from ipcframe.errors import ClosedError, EndOfStream, TimedOut

PACKET = b"a packet of this test"
FOREIGN = b"what nobody may take"


def at_line(number: int, meanwhile: Callable[[], object], operation: Callable[[], object]) -> bool:
    """Do this meanwhile, before the nth line of the toolkit; False when the operation was through before."""
    left = number

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal left
        if f"{os.sep}toolkit{os.sep}" not in frame.f_code.co_filename:
            return None
        if event == "line":
            left -= 1
            if left == 0:
                sys.settrace(None)
                meanwhile()
        return trace if left > 0 else None

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        operation()
    finally:
        sys.settrace(before)
    return left <= 0


def at_call(number: int, handler: Callable[[], object], operation: Callable[[], object]) -> bool:
    """The same at the nth point of the toolkit at which a signal handler may run."""
    left = number

    def profile(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal left
        if event in ("call", "c_return") and f"{os.sep}toolkit{os.sep}" in frame.f_code.co_filename:
            left -= 1
            if left == 0:
                sys.setprofile(None)
                handler()

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        operation()
    finally:
        sys.setprofile(before)
    return left <= 0


def channel() -> Any:
    return ipcframe.get_context("fork", backend="pipe").Channel()


def pair() -> tuple[Any, Any]:
    return ipcframe.get_context("fork", backend="pipe").Pipe()


def taken(channel: Any) -> list[bytes]:
    found = []
    with contextlib.suppress(TimedOut):
        while True:
            found.append(channel.receive(timeout=0))
    return found


def test_a_receiver_that_another_was_faster_than_waits_for_the_next_packet() -> None:
    for line in count(1):
        with channel() as shared:
            shared.send(b"first")
            got: list[bytes] = []

            def be_faster(shared: Any = shared, got: list[bytes] = got) -> None:
                got.extend(taken(shared))
                shared.send(b"second")

            def receive(shared: Any = shared, got: list[bytes] = got) -> None:
                got.append(shared.receive(timeout=10))

            try:
                reached = at_line(line, be_faster, receive)
            except TimedOut:
                pytest.fail(f"it gave up before its timeout was over (line {line})")
            if not reached:
                break
            assert sorted(got + taken(shared)) == [b"first", b"second"]
    assert line > 5


@contextlib.contextmanager
def a_strangers_descriptors() -> Iterator[socket.socket]:
    """The other end of what descriptors 0 and 1 are meanwhile, to be written to and to be read.

    No fixture: pytest redirects descriptor 1 anew when a test begins.
    """
    saved = [os.dup(fd) for fd in (0, 1)]
    ours, theirs = socket.socketpair()
    try:
        for fd in (0, 1):
            os.dup2(theirs.fileno(), fd)
        ours.setblocking(False)
        ours.send(FOREIGN)
        yield ours
    finally:
        for fd in (0, 1):
            os.dup2(saved[fd], fd)
            os.close(saved[fd])
        ours.close()
        theirs.close()


CONNECTION: dict[str, Callable[[Any], object]] = {
    "send": lambda end: end.send_bytes(PACKET, timeout=0),
    "send, large": lambda end: end.send_bytes(PACKET * 10_000, timeout=0),
    "recv": lambda end: end.recv_bytes(timeout=0),
    "poll": lambda end: end.poll(),
}
CHANNEL: dict[str, Callable[[Any], object]] = {
    "send": lambda shared: shared.send(PACKET, timeout=0),
    "receive": lambda shared: shared.receive(timeout=0),
}


@pytest.mark.parametrize("how", CONNECTION)
def test_a_connection_that_is_closed_within_an_operation_reaches_no_other_descriptor(
    how: str,
) -> None:
    for point in count(1):
        end, other = pair()
        with end, other, a_strangers_descriptors() as stranger:
            other.send_bytes(PACKET)
            if not _closed_at(point, end, CONNECTION[how], stranger):
                break
    assert point > 3


@pytest.mark.parametrize("how", CHANNEL)
def test_a_channel_that_is_closed_within_an_operation_reaches_no_other_descriptor(
    how: str,
) -> None:
    for point in count(1):
        with channel() as shared, a_strangers_descriptors() as stranger:
            shared.send(PACKET)
            if not _closed_at(point, shared, CHANNEL[how], stranger):
                break
    assert point > 3


def _closed_at(point: int, end: Any, operation: Callable[[Any], object], stranger: socket.socket) -> bool:
    """Close the end at this point of the operation; descriptors 0 and 1 must not feel it."""
    got: list[object] = []
    reached = True
    with contextlib.suppress(ClosedError, EndOfStream, TimedOut):
        reached = at_call(point, end.close, lambda: got.append(operation(end)))
    written = b""
    with contextlib.suppress(BlockingIOError):
        written = stranger.recv(1000)
    assert not written, f"it has written to another's descriptor (point {point})"
    assert FOREIGN not in got, f"it has read from another's descriptor (point {point})"
    with socket.socket(fileno=os.dup(0)) as left:
        assert left.recv(1000, socket.MSG_PEEK) == FOREIGN, f"it has taken what is another's (point {point})"
    return reached
