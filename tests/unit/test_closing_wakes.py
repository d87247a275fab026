"""Closing an endpoint wakes the threads that are parked on it, and nothing else needs to."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn

import pytest

import ipcframe
from ipcframe.conformance.conditions import PATIENCE, Worker, open_descriptors
from ipcframe.errors import ClosedError
from ipcframe.toolkit import doorbell, waiting

BOUND = waiting._LOOK_AGAIN / 2
"""Less than a parked thread takes to look by itself, and much more than to be woken."""


@pytest.fixture
def context() -> ipcframe.Context:
    return ipcframe.get_context("fork")


def _parked(operation: Callable[[], Any]) -> Worker:
    worker = Worker(operation)
    worker.eventually_asleep()
    return worker


def test_a_parked_receive_ends_at_once_and_others_wait_on(context: ipcframe.Context) -> None:
    (end, _far), (other, other_far) = context.Pipe(), context.Pipe()
    waits, waits_on = _parked(end.recv), _parked(other.recv)
    end.close()
    assert isinstance(waits.end(BOUND), ClosedError)
    other_far.send("later")
    assert waits_on.result() == "later"


def test_the_get_and_the_put_of_a_queue_end_at_once(context: ipcframe.Context) -> None:
    empty, full = context.Queue(), context.Queue(1)
    full.put(1)
    for queue, waits in ((empty, _parked(empty.get)), (full, _parked(partial(full.put, 2)))):
        queue.close()
        assert isinstance(waits.end(BOUND), ClosedError)


def test_a_handler_that_closes_ends_the_wait_of_its_own_thread(context: ipcframe.Context) -> None:
    end, far = context.Pipe()
    before = signal.signal(signal.SIGALRM, lambda number, frame: end.close())
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        begun = time.monotonic()
        with pytest.raises(ClosedError):
            end.recv()
        assert time.monotonic() - begun < BOUND
    finally:
        signal.signal(signal.SIGALRM, before)
        far.close()


def test_waits_and_closings_leave_no_descriptor(context: ipcframe.Context) -> None:
    before = open_descriptors()
    waiting_end, far = context.Pipe()
    waits = _parked(waiting_end.recv)
    for _ in range(200):
        end, _far = context.Pipe()
        end.close()
        _far.close()
    far.send("at last")
    assert waits.result() == "at last"
    waiting_end.close()
    far.close()
    assert not open_descriptors() - before


def test_a_forked_child_rings_nobody_of_its_parent(context: ipcframe.Context) -> None:
    end, far = context.Pipe()
    waits = _parked(end.recv)
    assert waiting._parked
    child = context.Process(target=_knows_of_nobody)
    child.start()
    child.join(PATIENCE)
    assert child.exitcode == 0
    far.send(None)
    waits.result()


def _knows_of_nobody() -> None:
    assert not waiting._parked


def test_where_there_is_no_descriptor_left_a_parked_thread_looks_by_itself(
    context: ipcframe.Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none() -> NoReturn:
        raise OSError

    monkeypatch.setattr(waiting, "_LOOK_AGAIN", 0.02)
    monkeypatch.setattr(doorbell, "_new_socket", none)
    doorbell._spares.close()
    end, _far = context.Pipe()
    waits = _parked(end.recv)
    end.close()
    assert isinstance(waits.end(PATIENCE), ClosedError)
