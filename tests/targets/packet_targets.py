"""What processes with one thread do with packets, which they move without a lock."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from ipcframe.abc import Channel, Connection
from ipcframe.conformance.interrupts import Striker

__all__ = ["END", "receive_struck", "send_struck"]

END = -1


def _number(received: Any) -> int:
    return int.from_bytes(received, "little", signed=True) if isinstance(received, bytes) else int(received)


def _sending(carrier: Any) -> Callable[[int], None]:
    if isinstance(carrier, Channel):
        return lambda number: carrier.send(number.to_bytes(8, "little", signed=True), timeout=30)
    return partial(carrier.put, timeout=30)


def receive_struck(carrier: Any, control: Connection, goal: int, seed: int) -> None:
    """Receive numbers, interrupted at random instants, and tell which when END has come."""
    receive: Callable[..., Any] = carrier.receive if isinstance(carrier, Channel) else carrier.get
    got: list[Any] = []
    with Striker(random.Random(seed)).armed() as striker:
        while striker.struck < goal:
            striker.strike(lambda: got.append(receive(timeout=30)))
    control.send("struck")
    while not got or _number(got[-1]) != END:
        got.append(receive(timeout=30))
    control.send((threading.active_count(), [_number(one) for one in got[:-1]]))


def send_struck(carrier: Any, control: Connection, goal: int, seed: int) -> None:
    """Send numbers, interrupted at random instants, then END, and tell of which the call returned."""
    send = _sending(carrier)
    returned: list[int] = []
    number = 0
    with Striker(random.Random(seed)).armed() as striker:
        while striker.struck < goal:
            if not striker.strike(partial(send, number)):
                returned.append(number)
            number += 1
    send(END)
    control.send((threading.active_count(), returned))
