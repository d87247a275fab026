"""Handles in flight when a process forks: the child has none of them, and sends its own."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

import pytest

import ipcframe
from ipcframe.conformance.conditions import PATIENCE, Worker, open_descriptors
from ipcframe.errors import HandleLost
from ipcframe.toolkit import sharer
from ipcframe.toolkit.serialisation import PICKLE


def context() -> ipcframe.Context:
    return ipcframe.get_context("fork", backend="pipe")


pytestmark = pytest.mark.usefixtures("nothing_in_flight")


def message_of(obj: object) -> bytes:
    return b"".join(PICKLE.dumps(obj))


def in_a_child(work: Callable[[], object]) -> None:
    """Do this in a forked child, which must come through."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
            os._exit(0)
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_a_forked_child_has_nothing_in_flight_and_a_sharer_of_its_own(ends: tuple[Any, Any]) -> None:
    kept, end = ends
    opened = open_descriptors()
    message = message_of([end, context().Event()])
    in_flight = len(open_descriptors() - opened)
    theirs = sharer._address()

    def work() -> None:
        assert sharer._flights == {}
        assert sharer._duplicates == set()
        assert len(open_descriptors()) <= len(opened) + 1, "copies of what its parent has in flight"
        with PICKLE.loads(message_of(end)) as own:
            own.send("from the child")
        assert sharer._address() != theirs

    assert in_flight >= 1
    in_a_child(work)
    assert kept.recv(timeout=PATIENCE) == "from the child"
    arrived, event = PICKLE.loads(message)
    event.set()
    with arrived:
        kept.send("there")
        assert arrived.recv(timeout=PATIENCE) == "there"


def test_a_child_forked_while_a_sharer_is_started_sends_handles(ends: tuple[Any, Any]) -> None:
    taken, enough = threading.Event(), threading.Event()

    def hold() -> None:
        with sharer._lock:
            taken.set()
            assert enough.wait(PATIENCE)

    holding = Worker(hold)
    assert taken.wait(PATIENCE)
    in_a_child(lambda: PICKLE.loads(message_of(ends[1])).close())
    enough.set()
    holding.result()


def test_a_forked_child_does_not_seem_to_be_the_sharer_of_its_dead_parent() -> None:
    (source, to), (hear, tell) = context().Pipe(False), os.pipe()
    pid = os.fork()
    if pid == 0:
        to.send(context().Pipe()[0])
        if os.fork() == 0:
            os.close(tell)
            os.read(hear, 1)
        os._exit(0)
    os.waitpid(pid, 0)
    with source, to, pytest.raises(HandleLost, match="has ended"):
        source.recv(timeout=PATIENCE)
    os.close(tell)
    os.close(hear)
