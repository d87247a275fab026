"""Channels of the unix backend: how many packets fit, by the kernel's own account."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
from unix_targets import crowd

import ipcframe
from ipcframe.abc import Channel
from ipcframe.errors import TimedOut

RACERS = 6
SIZES = (0, 100, 4_000, 5_000, 30_000, 100, 64_900, 70_000)


@pytest.fixture
def context() -> ipcframe.Context:
    return ipcframe.get_context("fork", backend="unix")


@pytest.fixture
def channel(context: ipcframe.Context) -> Iterator[Channel]:
    with context.Channel() as channel:
        yield channel


def fill(channel: Channel, packet: bytes) -> int:
    """How many fit."""
    count = 0
    with contextlib.suppress(TimedOut):
        while True:
            channel.send(packet, timeout=0)
            count += 1
    return count


def sizes(channel: Channel) -> list[int]:
    """Around each power of two, where the kernel takes its memory from another place, and all the small."""
    powers = [2**power + more for power in range(17) for more in (-321, -320, -1, 0, 1)]
    return sorted({size for size in (*powers, *range(1, 300)) if 1 <= size <= channel.packet_size})


def test_never_more_packets_fit_than_the_capacity_says(channel: Channel) -> None:
    most = 0
    for size in sizes(channel):
        count = fill(channel, bytes(size))
        assert channel.backlog() == count * size
        most = max(most, count)
        assert 1 <= count <= channel.capacity // 2, "half of it is for senders who race"
        for _ in range(count):
            channel.receive(timeout=0)
    assert most >= 0.4 * channel.capacity, "a bound that is far off pads packets in vain"


def test_several_of_the_largest_packets_fit(channel: Channel) -> None:
    assert fill(channel, bytes(channel.packet_size)) > 1


def test_senders_who_find_the_last_room_at_once_stay_below_the_capacity(
    context: ipcframe.Context, channel: Channel
) -> None:
    pairs = [context.Pipe() for _ in range(RACERS)]
    racers = [context.Process(target=crowd, args=(channel, theirs), daemon=True) for _, theirs in pairs]
    for racer in racers:
        racer.start()
    for _ in range(10):
        for ours, _ in pairs:
            ours.send("go")
        for ours, _ in pairs:
            ours.recv(timeout=30)
        count = channel.backlog()
        assert 0 < count <= channel.capacity
        assert [channel.receive(timeout=0) for _ in range(count)] == [b"x"] * count
    for ours, _ in pairs:
        ours.send(None)
    for racer in racers:
        racer.join(30)
        assert racer.exitcode == 0


@pytest.mark.parametrize("maxsize", [0, 500])
def test_a_queue_keeps_order_and_size_whatever_way_its_objects_go(
    context: ipcframe.Context, maxsize: int
) -> None:
    # By packet, by record, by extent: the channel is full in between, and sizes are mixed.
    sent = [bytes([number % 251]) * (SIZES[number % len(SIZES)] + number) for number in range(400)]
    with contextlib.closing(context.Queue(maxsize)) as queue:
        for _ in range(2):
            for number, message in enumerate(sent):
                assert queue.qsize() == number
                queue.put(message)
            for number, message in enumerate(sent):
                assert queue.qsize() == 400 - number
                assert queue.get() == message
            assert queue.empty()


@pytest.mark.parametrize("maxsize", [0, 3])
def test_an_object_that_fits_a_packet_needs_no_file(context: ipcframe.Context, maxsize: int) -> None:
    with contextlib.closing(context.Queue(maxsize)) as queue:
        for size in (100, 5_000, 20_000, 60_000):
            queue.put(bytes(size))
            assert queue._channel.backlog() > size  # type: ignore[attr-defined]
            assert queue._spill.count() == 0  # type: ignore[attr-defined]
            assert queue.get() == bytes(size)
