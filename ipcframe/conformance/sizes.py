"""Cases: bytes and objects from nothing to 64 MiB, and many of them."""
# ruff: noqa: D102 - the name of a case is its sentence

from __future__ import annotations

import math
import pickle
from collections.abc import Callable
from typing import Any

import pytest

import ipcframe
from ipcframe.abc import Queue

from . import targets
from .case import Pair, full
from .conditions import PATIENCE, Worker, same_bytes
from .promises import promise
from .queue_api import QueueCase

__all__ = ["Sizes"]

MANY = 5000
OVERHEAD = 4096
"""More than a pickle adds to the bytes in it."""
FORMS: dict[str, Callable[[bytes], Any]] = {
    "bytes": bytes,
    "text": lambda raw: raw.decode("latin-1"),
    "out of band": lambda raw: pickle.PickleBuffer(bytearray(raw)),
    "many parts": lambda raw: [raw[at : at + 50_000] for at in range(0, len(raw), 50_000)],
}
"""How an object carries bytes."""
of_each_scale = pytest.mark.parametrize("largest", [2**20, 64 * 2**20], ids=["1 MiB", "64 MiB"])
of_each_form = pytest.mark.parametrize("form", FORMS)


def _raw(form: str, obj: Any) -> bytes:
    """The bytes that the object carries."""
    if form == "text":
        return str(obj).encode("latin-1")
    return b"".join(obj) if form == "many parts" else bytes(obj)


class Sizes(QueueCase):
    """Bytes and objects from nothing to 64 MiB, and many of them."""

    @full("64 MiB in one message", largest=[2**20])
    @promise("connection.whole")
    @of_each_scale
    def test_bytes_of_sizes_from_the_whole_scale_arrive_whole(
        self, context: ipcframe.Context, one_way: Pair, largest: int
    ) -> None:
        receiver, sender = one_way
        messages = [self.random.randbytes(size) for size in self._sizes(context, largest)]
        sending = Worker(lambda: targets.send_bytes_each(sender, messages))
        for message in messages:
            same_bytes(receiver.recv_bytes(timeout=PATIENCE), message)
        sending.result()

    @full("64 MiB in one message", largest=[2**20], form=["text", "out of band"])
    @promise("connection.whole")
    @of_each_form
    @of_each_scale
    def test_objects_of_sizes_from_the_whole_scale_arrive_whole(
        self, context: ipcframe.Context, one_way: Pair, largest: int, form: str
    ) -> None:
        receiver, sender = one_way
        messages = [self.random.randbytes(size) for size in self._sizes(context, largest)]
        sending = Worker(lambda: targets.send_each(sender, [FORMS[form](message) for message in messages]))
        for message in messages:
            same_bytes(_raw(form, receiver.recv(timeout=PATIENCE)), message)
        sending.result()

    @full("64 MiB in one object", largest=[2**20], form=["out of band"])
    @promise("queue.once")
    @of_each_form
    @of_each_scale
    def test_a_queue_carries_objects_of_sizes_from_the_whole_scale(
        self, context: ipcframe.Context, queue: Queue, largest: int, form: str
    ) -> None:
        messages = [self.random.randbytes(size) for size in self._sizes(context, largest)]
        for begin in range(0, len(messages), 4):
            some = messages[begin : begin + 4]
            for message in some:
                queue.put(FORMS[form](message))
            for message in some:
                same_bytes(_raw(form, queue.get(timeout=PATIENCE)), message)
        assert queue.empty()

    def _sizes(self, context: ipcframe.Context, largest: int) -> list[int]:
        """Nothing, one, the largest, and between them as many of each order of magnitude as of the next."""
        limit = context.backend.capabilities.message_limit
        if limit is not None:
            largest = max(min(largest, limit - OVERHEAD), 1)
        return [0, 1, *(int(2 ** self.random.uniform(0, math.log2(largest))) for _ in range(8)), largest]

    @promise("connection.whole")
    def test_five_thousand_messages_arrive_in_order_and_once(self, one_way: Pair) -> None:
        receiver, sender = one_way

        def send() -> None:
            for number in range(MANY):
                sender.send(number)

        sending = Worker(send)
        for number in range(MANY):
            got = receiver.recv(timeout=PATIENCE)
            assert got == number, "lost, doubled or out of order"
        sending.result()
        assert not receiver.poll()
