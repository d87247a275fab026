"""Cases: channels."""
# ruff: noqa: D102 - the name of a case is its sentence

from __future__ import annotations

import contextlib
import math
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from select import POLLIN, poll

import pytest

import ipcframe
from ipcframe.abc import Channel, Connection
from ipcframe.errors import ClosedError, MessageTooLarge, TimedOut, UnsupportedOperation

from . import targets
from .case import Case, Children, Pair, budget, full
from .conditions import LATENESS_BOUND, PATIENCE, Worker, always_faster, arrived, clog, in_time, stopwatch
from .connection_waits import CLOSE_BOUND
from .promises import promise

__all__ = ["Channels"]


def _drain(channel: Channel) -> list[bytes]:
    got = []
    try:
        while True:
            got.append(channel.receive(timeout=0))
    except TimedOut:
        return got


def _by_sender(packets: list[bytes]) -> dict[int, list[int]]:
    """The numbers of each sender's packets, which must be whole."""
    found = defaultdict(list)
    for packet in packets:
        sender, number = int.from_bytes(packet[:4], "little"), int.from_bytes(packet[4:8], "little")
        assert packet == targets.packet(sender, number, len(packet)), "a torn packet"
        found[sender].append(number)
    return dict(found)


class Channels(Case):
    """Channels: packets from any process to any process."""

    @promise("channel.once")
    def test_packets_arrive_in_order_and_once(self, channel: Channel) -> None:
        for number in range(10):
            channel.send(b"%d" % number)
        assert [channel.receive(timeout=PATIENCE) for _ in range(10)] == [b"%d" % n for n in range(10)]
        assert _drain(channel) == []

    @promise("channel.sizes")
    def test_packets_of_every_size_up_to_the_largest_pass(
        self, context: ipcframe.Context, channel: Channel
    ) -> None:
        largest = channel.packet_size
        declared = context.backend.capabilities.packet_size
        assert largest == declared, f"packet_size is {largest}, and the backend declares {declared}"
        assert largest > 0
        sizes = sorted({1, 2, 7, 8, 100, largest // 2, largest - 1, largest} - {0})
        for size in [size for size in sizes if size <= largest]:
            packet = self.random.randbytes(size)
            channel.send(packet)
            assert channel.receive(timeout=PATIENCE) == packet, f"a packet of {size} bytes arrives as another"

    @promise("channel.sizes")
    def test_an_empty_and_a_too_large_packet_are_refused(self, channel: Channel) -> None:
        with pytest.raises(ValueError, match="empty"):
            channel.send(b"")
        with pytest.raises(MessageTooLarge):
            channel.send(bytes(channel.packet_size + 1))
        assert _drain(channel) == []
        channel.send(b"next")
        assert channel.receive(timeout=PATIENCE) == b"next"

    @full("more timeouts", timeout=[0.05])
    @promise("channel.timeouts")
    @pytest.mark.parametrize("timeout", [0, -1, 0.05])
    def test_an_empty_channel_keeps_the_timeout(self, channel: Channel, timeout: float) -> None:
        with stopwatch() as elapsed:
            with pytest.raises(TimedOut):
                channel.receive(timeout=timeout)
            in_time(elapsed(), timeout)
        channel.send(b"x")
        assert channel.receive(timeout=timeout) == b"x"

    @full("more timeouts", timeout=[0.05])
    @promise("channel.timeouts")
    @pytest.mark.parametrize("timeout", [0, -1, 0.05])
    def test_a_full_channel_keeps_the_timeout(self, channel: Channel, timeout: float) -> None:
        sent = clog(channel, (64, 8))
        with stopwatch() as elapsed:
            with pytest.raises(TimedOut):
                channel.send(b"x" * 8, timeout=timeout)
            in_time(elapsed(), timeout)
        got = _drain(channel)
        assert [int.from_bytes(packet[:8], "little") for packet in got] == sent, "what timed out is not in"

    @promise("channel.timeouts")
    @pytest.mark.parametrize("how", ["receive", "send"])
    def test_competitors_that_are_always_faster_do_not_prolong_the_timeout(
        self, channel: Channel, how: str
    ) -> None:
        packet = b"x" * 8

        def take() -> None:
            with contextlib.suppress(TimedOut):
                channel.receive(timeout=0)

        def fill() -> None:
            with contextlib.suppress(TimedOut):
                while True:
                    channel.send(packet, timeout=0)

        operation: Callable[[], object]
        if how == "receive":
            operation = partial(channel.receive, timeout=0.05)
            competitors = always_faster(partial(channel.send, packet), take, 0.05 + 2 * LATENESS_BOUND)
        else:
            clog(channel, (64, 8))
            operation = partial(channel.send, packet, timeout=0.05)
            competitors = always_faster(take, fill, 0.05 + 2 * LATENESS_BOUND)
        with stopwatch() as elapsed:
            with competitors, pytest.raises(TimedOut):
                operation()
            in_time(elapsed(), 0.05)

    @promise("channel.timeouts")
    def test_a_timeout_that_is_no_number_is_refused(self, channel: Channel) -> None:
        channel.send(b"x")
        for operation in (channel.receive, lambda timeout: channel.send(b"y", timeout=timeout)):
            with pytest.raises(ValueError, match=r"(?i)nan"):
                operation(timeout=math.nan)
            with pytest.raises(TypeError):
                operation(timeout="1")  # type: ignore[arg-type]
        assert _drain(channel) == [b"x"]

    @promise("channel.once")
    def test_waiting_senders_and_receivers_go_on(self, channel: Channel) -> None:
        receiving = Worker(channel.receive)
        receiving.eventually_asleep()
        channel.send(b"now")
        assert receiving.result() == b"now"
        sent = clog(channel, (64, 8))
        sending = Worker(lambda: channel.send(b"the last"))
        sending.eventually_asleep()
        assert sending.is_alive(), "a full channel took another packet"
        got = list(iter(lambda: channel.receive(timeout=PATIENCE), b"the last"))
        arrived(got, sent)
        sending.result()

    @promise("channel.close")
    def test_a_closed_channel_refuses_and_says_who_closed_it(self, channel: Channel) -> None:
        channel.send(b"never received")
        channel.close()
        channel.close()
        assert channel.closed
        for operation in (lambda: channel.send(b"x"), channel.receive, channel.fileno):
            with pytest.raises(ClosedError, match=r"channel\.py"):
                operation()

    @promise("channel.close")
    def test_closing_a_channel_ends_what_other_threads_wait_for(
        self, context: ipcframe.Context, channel: Channel
    ) -> None:
        with context.Channel() as full:
            clog(full, (64, 8))
            waiting = [(channel, Worker(channel.receive)), (full, Worker(lambda: full.send(b"x" * 8)))]
            for waited, waits in waiting:
                waits.eventually_asleep()
                assert waits.is_alive()
                waited.close()
            for _, waits in waiting:
                assert isinstance(waits.end(CLOSE_BOUND), ClosedError)

    @promise("channel.fileno")
    def test_the_descriptor_is_readable_while_a_packet_can_be_taken(
        self, context: ipcframe.Context, channel: Channel
    ) -> None:
        if self.declared_absent(context, "fileno"):
            with pytest.raises(UnsupportedOperation):
                channel.fileno()
            return
        poller = poll()
        poller.register(channel.fileno(), POLLIN)
        assert not poller.poll(0)
        channel.send(b"1")
        channel.send(b"2")
        for _ in range(2):
            assert poller.poll(PATIENCE * 1000)
            channel.receive(timeout=PATIENCE)
        assert not poller.poll(0)

    @promise("channel.once")
    def test_four_threads_each_way_lose_and_double_nothing(self, channel: Channel) -> None:
        count = 300

        def receive_all() -> list[bytes]:
            return list(iter(lambda: channel.receive(timeout=PATIENCE), b"stop"))

        receivers = [Worker(receive_all) for _ in range(4)]
        senders = [Worker(partial(targets.send_packets, channel, which, count, 64)) for which in range(4)]
        for worker in senders:
            worker.result()
        for _ in receivers:
            channel.send(b"stop")
        self._check_streams([worker.result() for worker in receivers], 4, count)

    @promise("channel.handoff")
    def test_processes_send_and_receive_and_nothing_is_lost_or_doubled(
        self, children: Children, channel: Channel, pipe: Callable[..., Pair]
    ) -> None:
        count = 300
        told: list[Connection] = []
        receivers, senders = [], []
        for _ in range(2):
            hear, tell = pipe(False)
            receivers.append(children.start(targets.receive_packets, channel, tell, discard=(hear, *told)))
            tell.close()
            told.append(hear)
            assert hear.recv(timeout=PATIENCE) == "ready"
        for which in range(2):
            senders.append(children.start(targets.send_packets, channel, which, count, 64))
        for child in senders:
            children.finish(child)
        for _ in receivers:
            channel.send(b"stop", timeout=PATIENCE)
        self._check_streams([hear.recv(timeout=PATIENCE) for hear in told], 2, count)
        for child in receivers:
            children.finish(child)

    def _check_streams(self, streams: list[list[bytes]], senders: int, count: int) -> None:
        together: dict[int, list[int]] = defaultdict(list)
        for stream in streams:
            for sender, numbers in _by_sender(stream).items():
                assert numbers == sorted(numbers), "out of order for one sender"
                together[sender] += numbers
        assert {sender: sorted(numbers) for sender, numbers in together.items()} == {
            sender: list(range(count)) for sender in range(senders)
        }, "lost or doubled"

    @promise("channel.killed")
    def test_a_killed_receiver_takes_along_at_most_one_packet(
        self, children: Children, channel: Channel, pipe: Callable[..., Pair]
    ) -> None:
        kills = budget("IPCFRAME_KILLS", 8 if children.cheap else 2)
        for _ in range(kills):
            hear, tell = pipe(False)
            child = children.start(targets.receive_packets_for_ever, channel, tell, discard=(hear,))
            tell.close()
            assert hear.recv(timeout=PATIENCE) == "ready"
            for number in range(self.random.randrange(20, 200)):
                channel.send(targets.packet(0, number, 64), timeout=PATIENCE)
            children.kill(child)
            children.finish(child, -9)
            _by_sender(_drain(channel))
            sent = [targets.packet(0, number, 64) for number in range(10)]
            for packet in sent:
                channel.send(packet, timeout=PATIENCE)
            assert _drain(channel) == sent, "a dead receiver still takes packets"

    @promise("channel.killed")
    def test_a_killed_senders_packets_are_whole_and_in_order(
        self, children: Children, channel: Channel
    ) -> None:
        kills = budget("IPCFRAME_KILLS", 8 if children.cheap else 2)
        for _ in range(kills):
            child = children.start(targets.send_packets_for_ever, channel, 1, channel.packet_size // 8 * 8)
            got = [channel.receive(timeout=PATIENCE) for _ in range(self.random.randrange(1, 100))]
            children.kill(child)
            children.finish(child, -9)
            numbers = _by_sender(got + _drain(channel))[1]
            assert numbers == list(range(len(numbers)))
