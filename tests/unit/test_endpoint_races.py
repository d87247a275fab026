"""What two threads, or a handler and the line that it interrupts, do to one endpoint."""

from __future__ import annotations

import contextlib
import gc
import select
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from interrupting import interrupted

import ipcframe
from ipcframe.conformance.conditions import open_descriptors
from ipcframe.deadline import NEVER
from ipcframe.errors import ClosedError, EndOfStream, MessageTooLarge, TimedOut
from ipcframe.toolkit import doorbell

GATE = threading.Event()
REBUILT: list[str] = []


def pair() -> tuple[Any, Any]:
    return ipcframe.get_context("fork", backend="pipe").Pipe()


def rebuild_slowly(mark: str) -> str:
    REBUILT.append(mark)
    GATE.wait(10)
    return mark


class Slow:
    def __reduce__(self) -> Any:
        return rebuild_slowly, ("slow",)


def interrupt_once() -> str:
    if not REBUILT:
        REBUILT.append("interrupted")
        raise KeyboardInterrupt
    return "rebuilt"


class Interrupting:
    def __reduce__(self) -> Any:
        return interrupt_once, ()


@pytest.fixture
def hasty() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.fixture(autouse=True)
def fresh() -> None:
    GATE.clear()
    REBUILT.clear()


def test_an_empty_message_that_is_held_is_seen_by_poll_and_wait() -> None:
    ours, theirs = pair()
    theirs.send_bytes(b"")
    assert ours._peek(NEVER, None) == b""
    assert ours.poll()
    assert ipcframe.connection.wait([ours], 0) == [ours]
    assert ours.recv_bytes() == b""
    assert not ours.poll()


def test_an_object_is_rebuilt_by_one_receiver_alone() -> None:
    ours, theirs = pair()
    theirs.send(Slow())
    theirs.send("second")
    got: list[Any] = []
    threads = [threading.Thread(target=lambda: got.append(ours.recv(timeout=10))) for _ in range(2)]
    for thread in threads:
        thread.start()
    until = time.monotonic() + 10
    while "second" not in got and time.monotonic() < until:
        time.sleep(0.001)
    GATE.set()
    for thread in threads:
        thread.join()
    assert sorted(got) == ["second", "slow"]
    assert REBUILT == ["slow"]


def test_an_interrupt_while_an_object_is_rebuilt_gives_the_message_back_at_once() -> None:
    ours, theirs = pair()
    threading.Timer(0.01, theirs.send, [Interrupting()]).start()  # so that the receiver has to wait
    with pytest.raises(KeyboardInterrupt):
        ours.recv(timeout=10)
    began = time.monotonic()
    assert ours.poll()
    assert ours.recv(timeout=10) == "rebuilt"
    assert time.monotonic() - began < 2


def test_receivers_find_the_connection_closed_and_nothing_else(hasty: None) -> None:
    outcomes: Counter[str] = Counter()

    def receive(end: Any) -> None:
        try:
            while True:
                with contextlib.suppress(TimedOut):
                    end.recv_bytes(timeout=0)
        except (ClosedError, EndOfStream):
            outcomes["closed"] += 1
        except BaseException as error:
            outcomes[repr(error)] += 1

    for _ in range(60):
        ours, _theirs = pair()
        threads = [threading.Thread(target=receive, args=(ours,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        ours.close()
        for thread in threads:
            thread.join(10)
    assert outcomes == Counter(closed=180)


def test_a_refusal_that_comes_too_late_breaks_nothing() -> None:
    ours, theirs = pair()
    theirs.send_bytes(bytes(100))
    ours._peek(NEVER, None)
    step = ours._intake._step
    assert ours.recv_bytes() == bytes(100)  # by a handler, say
    ours._intake._refuse(step, 100, 10)
    theirs.send_bytes(b"next")
    assert ours.recv_bytes() == b"next"


def test_a_refused_message_breaks_the_end_also_when_it_is_here_already() -> None:
    ours, theirs = pair()
    theirs.send_bytes(bytes(100))
    ours._peek(NEVER, None)
    with pytest.raises(MessageTooLarge):
        ours.recv_bytes(10)
    with pytest.raises(ipcframe.BrokenConnection):
        ours.recv_bytes()


def test_the_message_limit_holds_for_small_messages_too(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "limit.toml").write_text("[backends.pipe]\nmessage_limit = 100\n")
    monkeypatch.setenv("IPCFRAME_CONFIG", str(tmp_path / "limit.toml"))
    ours, _theirs = pair()
    ours.send_bytes(bytes(100))
    with pytest.raises(MessageTooLarge, match="101 bytes is above the limit of 100"):
        ours.send_bytes(bytes(101))


def test_two_who_first_ask_for_a_queues_descriptor_get_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    queue: Any = ipcframe.get_context("fork", backend="pipe").SimpleQueue()
    reader = queue._reader
    others: list[int] = []
    original = select.epoll

    def slow_epoll() -> Any:
        monkeypatch.undo()
        epoll = original()
        others.append(reader.fileno())  # as another thread does meanwhile
        return epoll

    monkeypatch.setattr(select, "epoll", slow_epoll)
    assert [reader.fileno()] == others
    queue.put("something")
    assert select.select(others, [], [], 10) == (others, [], [])


def test_ringing_anew_is_interrupted_anywhere_and_leaves_no_socket() -> None:
    before = open_descriptors()
    step = 1
    while interrupted(step, lambda: doorbell._ring_anew(1)):
        gc.collect()  # a socket that was not closed would be told of, and warnings are errors
        step += 1
    assert step > 3
    assert open_descriptors() == before
