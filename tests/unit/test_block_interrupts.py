"""Large messages and handles under threads, nested sends and interrupts at every point."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from block_ends import FREE, Ends, array, numbers, sending_and_receiving, states
from interrupting import interrupted

from ipcframe.conformance.conditions import PATIENCE, Worker
from ipcframe.toolkit import blocks
from ipcframe.toolkit.blocks import LEAST


@pytest.fixture
def pair() -> Iterator[Ends]:
    """A sending and a receiving end; both leave nothing."""
    with sending_and_receiving() as ends:
        yield ends


def test_threads_that_send_on_one_end_do_not_mix(pair: Ends) -> None:
    sender, receiver = pair

    def send(first: int) -> None:
        for number in range(first, first + 20):
            sender.send(array(number))

    workers = [Worker(lambda first=first: send(first)) for first in (0, 100, 200, 300)]  # type: ignore[misc]
    found = []
    kept: list[Any] = []
    for _ in range(80):
        got = receiver.recv(timeout=PATIENCE)
        assert (got == got[0]).all()
        found.append(int(got[0]))
        kept = [*kept[-5:], got]
    for worker in workers:
        worker.result()
    assert sorted(found) == [first + number for first in (0, 100, 200, 300) for number in range(20)]


def test_a_handler_may_send_within_a_send(pair: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    sender, receiver = pair
    write = blocks._Block.write
    nested: list[int] = []

    def nesting(block: Any, parts: Any, size: int) -> None:
        write(block, parts, size)
        if not nested:
            nested.append(1)
            sender.send(array(5))

    sender.send(array(1))
    receiver.recv()
    with monkeypatch.context() as patched:
        patched.setattr(blocks._Block, "write", nesting)
        sender.send(array(6))
    got = [receiver.recv() for _ in range(2)]
    assert sorted(int(one[0]) for one in got) == [5, 6]
    for one in got:
        assert (one == one[0]).all()
    del one


def test_a_receive_interrupted_anywhere_is_done_again(pair: Ends) -> None:
    sender, receiver = pair
    message = bytes(range(256)) * (LEAST // 256)
    before = None
    step, struck = 1, True
    while struck:
        sender.send_bytes(message)
        got: list[bytes] = []
        struck = interrupted(step, lambda got=got: got.append(receiver.recv_bytes()))  # type: ignore[misc]
        assert (got or [receiver.recv_bytes()])[0] == message
        assert states(sender) == [FREE]
        before = before or numbers()
        assert numbers() == before
        step += 1
    assert step > 20


def test_a_send_interrupted_anywhere_is_done_or_leaves_nothing(pair: Ends) -> None:
    sender, receiver = pair
    message = bytes(range(256)) * (LEAST // 256)
    sender.send_bytes(message)
    receiver.recv_bytes()
    before = numbers()
    step, struck, done = 1, True, 0
    while struck:
        struck = interrupted(step, lambda: sender.send_bytes(message))
        sender.send_bytes(b"next")
        received = [receiver.recv_bytes()]
        while received[-1] != b"next":
            received.append(receiver.recv_bytes())
        assert received in ([message, b"next"], [b"next"])
        assert len(received) == 2 or struck
        done += len(received) == 2
        assert set(states(sender)) <= {FREE}
        if not states(sender):  # the block was lost with the interrupt
            sender.send_bytes(message)
            receiver.recv_bytes()
        assert numbers() == before
        step += 1
    assert step > 20
    assert done > 5


def test_a_handle_interrupted_anywhere_on_its_way_is_neither_lost_nor_leaked(pair: Ends) -> None:
    sender, receiver = pair
    fd = os.eventfd(0)
    before = numbers()
    step, struck, either = 1, True, 0
    while struck:
        struck = interrupted(step, lambda: sender.send_handle(fd))
        sender.send_handle(fd)
        count = 0
        while receiver.poll():
            os.close(receiver.recv_handle())
            count += 1
        assert count in (1, 2)
        either += count
        assert numbers() == before
        step += 1
    assert either > step, "none arrived"
    step, struck = 1, True
    while struck:
        sender.send_handle(fd)
        got: list[int] = []
        struck = interrupted(step, lambda got=got: got.append(receiver.recv_handle()))  # type: ignore[misc]
        os.close(got[0] if got else receiver.recv_handle())
        assert numbers() == before
        step += 1
    os.close(fd)
    assert step > 20
