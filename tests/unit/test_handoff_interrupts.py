"""Handles that are interrupted on their way, at every point at which a signal handler may run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from interrupting import interrupted

import ipcframe
from ipcframe.conformance.conditions import PATIENCE, eventually, open_descriptors
from ipcframe.toolkit import arrival, sharer
from ipcframe.toolkit.serialisation import PICKLE


def context() -> ipcframe.Context:
    return ipcframe.get_context("fork", backend="pipe")


pytestmark = pytest.mark.usefixtures("nothing_in_flight")


MAKES: dict[str, Callable[[], tuple[Any, Callable[[Any], object]]]] = {}


def making(function: Callable[[], tuple[Any, Callable[[Any], object]]]) -> None:
    MAKES[function.__name__] = function


@making
def an_end() -> tuple[Any, Callable[[Any], object]]:
    kept, end = context().Pipe()

    def check(arrived: Any) -> None:
        with kept, end, arrived:
            kept.send("there")
            assert arrived.recv(timeout=PATIENCE) == "there"

    return end, check


@making
def a_queue() -> tuple[Any, Callable[[Any], object]]:
    queue = context().Queue()

    def check(arrived: Any) -> None:
        with queue, arrived:
            queue.put(1)
            assert arrived.get(timeout=PATIENCE) == 1

    return queue, check


@making
def an_event() -> tuple[Any, Callable[[Any], object]]:
    event = context().Event()

    def check(arrived: Any) -> None:
        arrived.set()
        assert event.is_set()

    return event, check


@pytest.mark.parametrize("make", MAKES)
@pytest.mark.parametrize("carrier", ["Pipe", "Queue"])
def test_a_receive_interrupted_anywhere_is_done_again(make: str, carrier: str) -> None:
    source: Any
    to: Any
    if carrier == "Pipe":
        source, to = context().Pipe(False)
        give, take = to.send, source.recv
    else:
        source = to = context().Queue()
        give, take = to.put, source.get
    with source, to:
        step = 1
        struck = True
        while struck:
            obj, check = MAKES[make]()
            give(obj)
            got: list[Any] = []
            struck = interrupted(step, lambda got=got: got.append(take(timeout=PATIENCE)))  # type: ignore[misc]
            assert struck or got
            check(got[0] if got else take(timeout=PATIENCE))
            eventually(lambda: not sharer._flights)
            assert arrival._arrivals == {}
            step += 1
        assert step > 20


@pytest.mark.parametrize("make", MAKES)
def test_a_dump_interrupted_anywhere_leaves_nothing_in_flight(make: str) -> None:
    obj, check = MAKES[make]()
    PICKLE.discard(PICKLE.dumps(obj))
    before = open_descriptors()
    step = 1
    struck = True
    got: list[Any] = []
    while struck:
        struck = interrupted(step, lambda: got.append(PICKLE.dumps(obj)))
        assert struck or got
        for parts in got:
            PICKLE.discard(parts)
        got.clear()
        assert sharer._flights == {}
        assert sharer._duplicates == set()
        step += 1
    assert step > 10
    assert open_descriptors() == before
    check(PICKLE.loads(b"".join(PICKLE.dumps(obj))))
