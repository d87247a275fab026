"""Packets in processes of one thread; where there are several, as in the kit's, they move under a lock."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from typing import Any

import pytest
from packet_targets import END, receive_struck, send_struck

import ipcframe
from ipcframe.abc import Channel
from ipcframe.conformance.tiers import budget
from ipcframe.errors import ClosedError
from ipcframe.toolkit.packets import PacketChannel

on_each = pytest.mark.parametrize("backend", ["pipe", "unix"])
of_each = pytest.mark.parametrize("kind", ["Channel", "Queue"])


@pytest.fixture
def carrier(backend: str, kind: str) -> Iterator[Any]:
    with contextlib.closing(getattr(ipcframe.get_context("spawn", backend=backend), kind)()) as carrier:
        yield carrier


def started(target: Any, carrier: Any, backend: str) -> tuple[ipcframe.Connection, Any]:
    ctx = ipcframe.get_context("spawn", backend=backend)
    ours, theirs = ctx.Pipe()
    seed = random.randrange(2**32)
    goal = budget("IPCFRAME_INTERRUPTS", 3000)
    child = ctx.Process(target=target, args=(carrier, theirs, goal, seed), daemon=True)
    child.start()
    theirs.close()
    return ours, child


@on_each
@of_each
def test_an_interrupted_receive_loses_nothing(carrier: Any, backend: str, kind: str) -> None:
    ours, child = started(receive_struck, carrier, backend)
    number = 0
    while not ours.poll():
        for _ in range(10):
            put(carrier, number)
            number += 1
    assert ours.recv() == "struck"
    put(carrier, END)
    threads, got = ours.recv(timeout=30)
    assert threads == 1
    assert got == list(range(number)), "lost, doubled or out of order"
    child.join(30)
    assert child.exitcode == 0


@on_each
@of_each
def test_an_interrupted_send_puts_in_all_or_nothing(carrier: Any, backend: str, kind: str) -> None:
    ours, child = started(send_struck, carrier, backend)
    got = list(iter(lambda: take(carrier), END))
    threads, returned = ours.recv(timeout=30)
    assert threads == 1
    assert got == sorted(set(got)), "out of order, or twice"
    assert set(returned) <= set(got), "lost, though the call had returned"
    child.join(30)
    assert child.exitcode == 0


def put(carrier: Any, number: int) -> None:
    if isinstance(carrier, Channel):
        carrier.send(number.to_bytes(8, "little", signed=True), timeout=30)
    else:
        carrier.put(number)


def take(carrier: Any) -> int:
    if isinstance(carrier, Channel):
        return int.from_bytes(carrier.receive(timeout=30), "little", signed=True)
    return int(carrier.get(timeout=30))


@on_each
def test_a_channel_that_is_closed_reads_no_descriptor_that_takes_its_number(backend: str) -> None:
    with ipcframe.get_context("fork", backend=backend).Channel() as channel:
        assert isinstance(channel, PacketChannel)
        reads = channel._reads
        channel.close()
        with pytest.raises(ClosedError):
            channel.receive(timeout=0)
        assert channel._reads is not reads
        with pytest.raises(OSError, match="Bad file descriptor"):
            next(channel._reads)
