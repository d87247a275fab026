"""Cases: large messages, which a transport may leave in memory that both sides see."""
# ruff: noqa: D102 - the name of a case is its sentence

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from ipcframe.abc import Connection
from ipcframe.errors import EndOfStream

from . import targets
from .case import Case, Children, Pair, budget, needs_processes
from .conditions import PATIENCE, Worker, open_descriptors, same_bytes
from .interrupts import Striker
from .promises import promise

__all__ = ["ConnectionLarge"]

SIZE = 3 * 2**19
INTERRUPTS = 300
KEPT = 20


def _send_all(end: Connection, messages: list[bytes]) -> Worker:
    return Worker(lambda: targets.send_bytes_each(end, messages))


class ConnectionLarge(Case):
    """Large messages, which a transport may leave in memory that both sides see."""

    def _arrays(self, first: int, count: int) -> list[Any]:
        numpy = pytest.importorskip("numpy")
        return [numpy.full(SIZE // 8, number) for number in range(first, first + count)]

    @promise("connection.large")
    def test_a_receiver_keeps_as_many_arrays_as_it_likes_and_changes_them(self, one_way: Pair) -> None:
        receiver, sender = one_way
        sent = self._arrays(0, KEPT)
        sending = Worker(lambda: targets.send_each(sender, sent * 2))
        kept = [receiver.recv(timeout=PATIENCE) for _ in range(KEPT)]
        for number, array in enumerate(kept):
            assert array[0] == array[-1] == number
            array[:] = number + 100
        others = [receiver.recv(timeout=PATIENCE) for _ in range(KEPT)]
        sending.result()
        sender.close()
        receiver.close()
        for number in range(KEPT):
            assert (kept[number] == number + 100).all(), "another message changed it"
            assert (others[number] == number).all(), "a receiver changed another message"
            assert (sent[number] == number).all(), "a receiver changed what was sent"

    @promise("connection.large")
    def test_what_was_sent_may_be_changed_and_every_way_to_receive_it_gives_what_it_was(
        self, one_way: Pair
    ) -> None:
        receiver, sender = one_way
        message = bytearray(self.random.randbytes(SIZE))
        into = bytearray(SIZE + 3)
        for _ in range(3):
            before = bytes(message)
            sending = _send_all(sender, [before] * 3)
            same_bytes(receiver.recv_bytes(timeout=PATIENCE), before)
            assert receiver.recv_bytes_into(into, 3, timeout=PATIENCE) == SIZE
            same_bytes(into[3:], before)
            same_bytes(receiver.recv_bytes(SIZE, timeout=PATIENCE), before)
            sending.result()
            receiving = Worker(receiver.recv_bytes)
            sender.send_bytes(message, timeout=PATIENCE)
            message[:] = bytes(SIZE)
            same_bytes(receiving.result(), before)
            message[:] = before[::-1]

    @needs_processes
    @promise("connection.large")
    def test_what_is_alive_when_a_child_begins_is_from_then_on_each_processs_own(self, one_way: Pair) -> None:
        receiver, sender = one_way
        sent, later = self._arrays(1, 2)
        for _ in range(3):
            sending = Worker(lambda: sender.send(sent))
            array = receiver.recv(timeout=PATIENCE)
            sending.result()
            (told, tell), (go, start) = os.pipe(), os.pipe()
            pid = os.fork()
            if pid == 0:
                try:
                    os.close(start)
                    unchanged = bool((array == 1).all())
                    array[:] = 3
                    os.write(tell, b"changed")
                    os.read(go, 1)
                    os._exit(0 if unchanged and (array == 3).all() else 1)
                finally:
                    os._exit(2)
            try:
                assert os.read(told, 10) == b"changed"
                assert (array == 1).all(), "the child's change shows here"
                del array
                sending = Worker(lambda: sender.send(later))
                assert (receiver.recv(timeout=PATIENCE) == 2).all()
                sending.result()
            finally:
                for fd in (told, tell, go, start):
                    os.close(fd)
                status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            assert status == 0, "the child's array changed when its parent gave its own up"

    @promise("connection.handoff")
    def test_the_end_moves_on_between_two_large_messages(
        self, children: Children, pipe: Callable[..., Pair]
    ) -> None:
        ours, theirs = pipe()
        message = targets.pattern(1, SIZE)
        sending = _send_all(theirs, [message])
        same_bytes(ours.recv_bytes(timeout=PATIENCE), message)
        sending.result()
        child = children.start(targets.echo, theirs, discard=(ours,))
        theirs.close()
        for number in range(2, 5):
            message = targets.pattern(number, SIZE)
            ours.send(message)
            same_bytes(ours.recv(timeout=PATIENCE), message)
        ours.close()
        children.finish(child)

    @promise("connection.interrupts")
    def test_an_interrupted_send_tears_no_large_message_and_leaves_nothing_open(
        self, pipe: Callable[..., Pair]
    ) -> None:
        before = open_descriptors()
        receiver, sender = pipe(False)
        goal = budget("IPCFRAME_INTERRUPTS", INTERRUPTS)
        receiving = Worker(lambda: _numbers_until_the_end(receiver))
        number = 0
        returned: list[int] = []
        with Striker(self.random).armed() as striker:
            while (striker.struck < goal or not returned) and receiving.is_alive():
                message = targets.pattern(number, SIZE)
                if not striker.strike(partial(sender.send_bytes, message)):
                    returned.append(number)
                number += 1
        sender.close()
        numbers = receiving.result()
        assert numbers == sorted(set(numbers)), "out of order, or twice"
        assert set(returned) <= set(numbers), "lost"
        receiver.close()
        assert len(open_descriptors()) <= len(before)  # not the same: an interrupted wait loses its doorbell

    @promise("connection.interrupts")
    def test_an_interrupted_receive_loses_no_large_message_and_leaves_nothing_open(
        self, pipe: Callable[..., Pair]
    ) -> None:
        before = open_descriptors()
        receiver, sender = pipe(False)
        goal = budget("IPCFRAME_INTERRUPTS", INTERRUPTS)
        done: list[bool] = []

        def feed() -> int:
            number = 0
            while not done:
                sender.send_bytes(targets.pattern(number, SIZE))
                number += 1
            sender.close()
            return number

        feeding = Worker(feed)
        numbers: list[int] = []
        got: list[bytes] = []
        with Striker(self.random).armed() as striker:
            while striker.struck < goal:
                striker.strike(lambda: got.append(receiver.recv_bytes()))
                numbers += map(_number, got)
                got.clear()
        done.append(True)
        numbers += _numbers_until_the_end(receiver)
        assert numbers == list(range(feeding.result())), "lost, doubled or out of order"
        receiver.close()
        assert len(open_descriptors()) <= len(before)  # not the same: an interrupted wait loses its doorbell


def _number(message: bytes) -> int:
    """The number of a message, which must be whole."""
    number = int.from_bytes(message[:8], "little")
    same_bytes(message, targets.pattern(number, SIZE))
    return number


def _numbers_until_the_end(receiver: Connection) -> list[int]:
    numbers = []
    with contextlib.suppress(EndOfStream):
        while True:
            numbers.append(_number(receiver.recv_bytes()))
    return numbers
