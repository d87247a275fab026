"""Cases: an exception out of a signal handler, at every instant of a channel's operations."""
# ruff: noqa: D102 - the name of a case is its sentence

from __future__ import annotations

from functools import partial

import pytest

from ipcframe.abc import Channel

from . import targets
from .case import Case, budget
from .conditions import PATIENCE, Worker
from .connection_interrupts import INTERRUPTS
from .interrupts import Striker
from .promises import promise

__all__ = ["ChannelInterrupts"]

END = b"the end"


class ChannelInterrupts(Case):
    """An exception out of a signal handler, at every instant of a channel's operations."""

    @promise("channel.interrupts")
    @pytest.mark.parametrize("size", [64, 4096])
    def test_an_interrupted_receive_loses_no_packet(self, channel: Channel, size: int) -> None:
        size = min(size, channel.packet_size // 8 * 8)
        goal = budget("IPCFRAME_INTERRUPTS", INTERRUPTS)
        done: list[bool] = []

        def feed() -> int:
            number = 0
            while not done:
                channel.send(targets.pattern(number, size))
                number += 1
            channel.send(END)
            return number

        got: list[bytes] = []
        feeding = Worker(feed)
        with Striker(self.random).armed() as striker:
            while striker.struck < goal:
                striker.strike(lambda: got.append(channel.receive()))
        done.append(True)
        while not got or got[-1] != END:
            got.append(channel.receive(timeout=PATIENCE))
        numbers = [int.from_bytes(packet[:8], "little") for packet in got[:-1]]
        assert numbers == list(range(feeding.result())), "lost, doubled or out of order"
        assert all(packet == targets.pattern(n, size) for n, packet in enumerate(got[:-1])), "a torn packet"

    @promise("channel.interrupts")
    def test_an_interrupted_send_puts_a_packet_in_or_none(self, channel: Channel) -> None:
        goal = budget("IPCFRAME_INTERRUPTS", INTERRUPTS)
        receiving = Worker(lambda: list(iter(lambda: channel.receive(timeout=PATIENCE), END)))
        returned: list[bytes] = []
        number = 0
        with Striker(self.random).armed() as striker:
            while (striker.struck < goal or not returned) and receiving.is_alive():
                packet = targets.pattern(number, 64)
                if not striker.strike(partial(channel.send, packet)):
                    returned.append(packet)
                number += 1
        channel.send(END)
        received = [int.from_bytes(packet[:8], "little") for packet in receiving.result()]
        assert received == sorted(set(received)), "out of order, or twice"
        lost = {int.from_bytes(packet[:8], "little") for packet in returned} - set(received)
        assert not lost, "packets were lost whose send had returned"
