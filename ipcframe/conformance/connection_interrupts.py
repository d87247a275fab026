"""Cases: an exception out of a signal handler, at every instant of every operation."""
# ruff: noqa: D102 - the name of a case is its sentence

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any

import pytest

from ipcframe.abc import Connection
from ipcframe.connection import wait

from . import targets
from .case import Case, Pair, budget, full
from .conditions import PATIENCE, Worker, same_bytes
from .interrupts import Striker, interrupted_at
from .promises import promise

__all__ = ["INTERRUPTS", "ConnectionInterrupts"]

INTERRUPTS = 1500
LARGE = 200 * 1024
END = 2**60


def _small(number: int) -> bytes:
    return targets.pattern(number, 64)


def _large(number: int) -> bytes:
    return targets.pattern(number, LARGE)


def _number(message: Any) -> int:
    """The number of a message, which must be whole."""
    if isinstance(message, dict):
        assert message == {"number": message["number"], "text": "x" * 20}
        return int(message["number"])
    number = int.from_bytes(message[:8], "little")
    same_bytes(bytes(message), targets.pattern(number, len(message)))
    return number


SEND: dict[str, Callable[[Connection, int], None]] = {
    "send": lambda end, number: end.send({"number": number, "text": "x" * 20}),
    "send_bytes": lambda end, number: end.send_bytes(_small(number)),
    "send_bytes, large": lambda end, number: end.send_bytes(_large(number)),
    "send, large": lambda end, number: end.send(_large(number)),
}


class ConnectionInterrupts(Case):
    """An exception out of a signal handler, at every instant of every operation."""

    @promise("connection.interrupts")
    @pytest.mark.parametrize("size", [64, 70_000], ids=["small", "in parts"])
    def test_what_an_interrupted_receive_has_left_shows_in_poll_and_wait(self, pair: Pair, size: int) -> None:
        receiver, sender = pair
        for instant in count(1):
            message = targets.pattern(instant, size)
            sending = Worker(partial(sender.send_bytes, message))
            got: list[bytes] = []
            struck = interrupted_at(instant, lambda got=got: got.append(receiver.recv_bytes()))  # type: ignore[misc]
            if not got:
                assert receiver.poll(PATIENCE), f"poll finds nothing (instant {instant})"
                assert wait([receiver], PATIENCE) == [receiver], f"wait finds nothing (instant {instant})"
                got.append(receiver.recv_bytes(timeout=PATIENCE))
            sending.result()
            same_bytes(got[0], message)
            assert not receiver.poll()
            if not struck:
                break

    @full("more kinds", how=["recv", "recv_bytes_into"])
    @promise("connection.interrupts")
    @pytest.mark.parametrize("size", [64, LARGE], ids=["small", "large"])
    @pytest.mark.parametrize("how", ["recv", "recv_bytes", "recv_bytes_into", "poll and recv"])
    def test_an_interrupted_receive_loses_nothing(self, one_way: Pair, how: str, size: int) -> None:
        receiver, sender = one_way
        wanted = budget("IPCFRAME_INTERRUPTS", INTERRUPTS)
        goal = wanted if size == 64 else max(wanted // 8, 1)
        done: list[bool] = []

        def feed() -> int:
            number = 0
            while not done:
                message = targets.pattern(number, size)
                sender.send(message) if "recv" in how.split() else sender.send_bytes(message)
                number += 1
            sender.close()
            return number

        got: list[Any] = []
        buffer = bytearray(size)

        def poll_and_receive() -> None:
            if receiver.poll(None):
                got.append(receiver.recv())

        operations: dict[str, Callable[[], object]] = {
            "recv": lambda: got.append(receiver.recv()),
            "recv_bytes": lambda: got.append(receiver.recv_bytes()),
            "recv_bytes_into": lambda: got.append(receiver.recv_bytes_into(buffer)),
            "poll and recv": poll_and_receive,
        }
        operation = operations[how]
        expected = 0
        feeding = Worker(feed)

        def check() -> None:
            nonlocal expected
            for message in got:
                number = _number(buffer if how == "recv_bytes_into" else message)
                assert number == expected, "lost, doubled or out of order"
                expected += 1
            got.clear()

        with Striker(self.random).armed() as striker:
            while striker.struck < goal:
                striker.strike(operation)
                check()
        done.append(True)
        while True:  # the feeder may be in the middle of a message
            try:
                operation()
            except EOFError:
                break
            check()
        assert expected == feeding.result(), "messages were lost"

    @full("more kinds", how=["send", "send_bytes, large"])
    @promise("connection.interrupts")
    @pytest.mark.parametrize("how", SEND)
    def test_an_interrupted_send_delivers_its_message_whole_or_not_at_all(
        self, one_way: Pair, how: str
    ) -> None:
        receiver, sender = one_way
        send = SEND[how]
        wanted = budget("IPCFRAME_INTERRUPTS", INTERRUPTS)
        goal = max(wanted // 8, 1) if "large" in how else wanted
        received: list[int] = []

        def receive() -> None:
            receive_one = receiver.recv if how.startswith("send,") or how == "send" else receiver.recv_bytes
            while (number := _number(receive_one(timeout=PATIENCE))) < END:
                received.append(number)

        receiving = Worker(receive)
        returned: list[int] = []
        number = 0
        with Striker(self.random).armed() as striker:
            while (striker.struck < goal or not returned) and receiving.is_alive():
                if not striker.strike(partial(send, sender, number)):
                    returned.append(number)
                number += 1
        send(sender, END)
        receiving.result()
        assert received == sorted(set(received)), "out of order, or twice"
        lost = set(returned) - set(received)
        assert not lost, f"lost {len(lost)} messages whose send had returned"
