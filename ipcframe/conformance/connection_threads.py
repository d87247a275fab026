"""Cases: threads that share an end, and forks in the middle of their operations."""
# ruff: noqa: D102 - the name of a case is its sentence

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial

import pytest

from ipcframe.abc import Connection
from ipcframe.deadline import deadline_after
from ipcframe.errors import EndOfStream

from . import targets
from .case import Case, Children, Pair, full, needs_processes
from .conditions import PATIENCE, Worker, arrived, clog
from .promises import promise

__all__ = ["ConnectionThreads"]


class ConnectionThreads(Case):
    """Threads that share an end, and forks in the middle of their operations."""

    @full("more sizes", size=[4096])
    @promise("connection.threads")
    @pytest.mark.parametrize("size", [16, 4096, 100_000])
    def test_four_senders_and_four_receivers_lose_and_mix_nothing(self, one_way: Pair, size: int) -> None:
        receiver, sender = one_way
        count = 200 if size < 10_000 else 25

        def send_all(which: int) -> None:
            for number in range(count):
                sender.send_bytes(targets.packet(which, number, size))

        def receive_all() -> list[bytes]:
            got: list[bytes] = []
            while True:
                try:
                    got.append(receiver.recv_bytes(timeout=PATIENCE))
                except EndOfStream:
                    return got

        receivers = [Worker(receive_all) for _ in range(4)]
        senders = [Worker(partial(send_all, which)) for which in range(4)]
        for one in senders:
            one.result()
        sender.close()
        streams = [one.result() for one in receivers]
        seen = sorted(message for stream in streams for message in stream)
        assert seen == sorted(targets.packet(which, n, size) for which in range(4) for n in range(count))

    @promise("connection.threads")
    def test_two_threads_converse_over_one_pair_each_way(self, pair: Pair) -> None:
        def converse(end: Connection, first: bool) -> int:
            value = 0
            for _ in range(300):
                if first:
                    end.send(value)
                value = end.recv(timeout=PATIENCE) + 1
                if not first:
                    end.send(value)
            return value

        other = Worker(lambda: converse(pair[1], False))
        assert converse(pair[0], True) == 600
        other.result()

    @promise("connection.fork")
    def test_a_child_works_while_the_parents_threads_are_inside_the_other_ends(
        self, children: Children, pipe: Callable[..., Pair]
    ) -> None:
        (awaited, to), (back, stuck) = pipe(False), pipe(False)
        sent = clog(stuck)
        receiving = Worker(lambda: [awaited.recv(), awaited.recv()])

        def send() -> None:
            stuck.send_bytes(b"\xff" * 100_000)
            stuck.send_bytes(b"the last")

        sending = Worker(send)
        for worker in (receiving, sending):
            worker.eventually_asleep()
        child = children.start(targets.work_after_fork, children.context, to, back, discard=(awaited, stuck))
        word, total = receiving.result()
        sending.result()
        children.finish(child)
        assert word == "from the child"
        assert len(sent) < total <= len(sent) + 4

    @needs_processes
    @promise("connection.fork")
    def test_a_child_does_not_receive_too_what_an_interrupted_receive_has_left_to_its_parent(
        self, one_way: Pair
    ) -> None:
        receiver, sender = one_way
        sender.send_bytes(b"0")
        assert receiver._peek(deadline_after(PATIENCE), None)  # as a receive that was interrupted then
        there = _received_in_a_forked_child(receiver, lambda: sender.send_bytes(b"1"))
        here = receiver.recv_bytes(timeout=PATIENCE)
        assert {here, there} == {b"0", b"1"}, f"the process received {here!r}, its child {there!r}"

    @promise("connection.fork")
    def test_children_started_while_threads_send_and_receive_work(
        self, children: Children, pipe: Callable[..., Pair]
    ) -> None:
        receiver, sender = pipe(False)
        stop: list[bool] = []

        def send() -> int:
            number = 0
            while not stop:
                sender.send_bytes(targets.pattern(number, 40_000))
                number += 1
            sender.send_bytes(b"the last")
            return number

        def receive() -> list[bytes]:
            return list(iter(lambda: receiver.recv_bytes(timeout=PATIENCE), b"the last"))

        sending, receiving = Worker(send), Worker(receive)
        for _ in range(5 if children.cheap else 2):
            ours, theirs = pipe()
            child = children.start(targets.echo, theirs, discard=(ours,))
            theirs.close()
            ours.send("to a child")
            assert ours.recv(timeout=PATIENCE) == "to a child"
            ours.close()
            children.finish(child)
        stop.append(True)
        arrived(receiving.result(), range(sending.result()))


def _received_in_a_forked_child(receiver: Connection, meanwhile: Callable[[], object]) -> bytes:
    """What a child receives that is forked now and does nothing else; nothing if it cannot."""
    told, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(tell, receiver.recv_bytes(timeout=PATIENCE))
        finally:
            os._exit(0)
    os.close(tell)
    with os.fdopen(told, "rb") as heard:
        meanwhile()
        message = heard.read()
    os.waitpid(pid, 0)
    return message
