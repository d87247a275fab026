"""Cases: descriptors that are sent through a connection."""
# ruff: noqa: D102 - the name of a case is its sentence

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator

import pytest

import ipcframe
from ipcframe.abc import Connection
from ipcframe.errors import EndOfStream, OtherKindOfMessage, TimedOut

from . import targets
from .case import Case, Children, Pair, budget
from .conditions import PATIENCE, Worker, clog, in_time, open_descriptors, stopwatch
from .interrupts import Striker
from .promises import promise

__all__ = ["ConnectionDescriptors"]

INTERRUPTS = 600


class ConnectionDescriptors(Case):
    """Descriptors that are sent through a connection."""

    @pytest.fixture
    def passing(self, context: ipcframe.Context, one_way: Pair) -> Pair:
        """An end that receives and one that sends; no case is there where they pass no descriptors."""
        if self.declared_absent(context, "descriptors"):
            pytest.skip("declared absent: descriptors")
        return one_way

    @pytest.fixture
    def pipe_of_bytes(self) -> Iterator[tuple[int, int]]:
        """A descriptor to read from and one to write to, which the case closes."""
        reading, writing = os.pipe()
        yield reading, writing
        for fd in (reading, writing):
            with contextlib.suppress(OSError):
                os.close(fd)

    @promise("capabilities.true")
    def test_descriptors_are_passed_if_that_is_declared_and_only_then(
        self, context: ipcframe.Context, one_way: Pair, pipe_of_bytes: tuple[int, int]
    ) -> None:
        receiver, sender = one_way
        reading, writing = pipe_of_bytes
        if self.declared_absent(context, "descriptors"):
            self.refuses(
                "descriptors",
                lambda: sender.send_handle(writing),
                lambda: receiver.recv_handle(timeout=0),
            )
            return
        sender.send_handle(writing)
        received = receiver.recv_handle(timeout=PATIENCE)
        os.write(received, b"through")
        assert os.read(reading, 10) == b"through"
        os.close(received)

    @promise("connection.descriptors")
    def test_what_arrives_is_the_receivers_own_and_closed_on_exec(
        self, passing: Pair, pipe_of_bytes: tuple[int, int]
    ) -> None:
        receiver, sender = passing
        reading, writing = pipe_of_bytes
        sender.send_handle(writing)
        os.close(writing)
        received = receiver.recv_handle(timeout=PATIENCE)
        assert fcntl.fcntl(received, fcntl.F_GETFD) & fcntl.FD_CLOEXEC
        os.write(received, b"still open")
        os.close(received)
        assert os.read(reading, 20) == b"still open"
        assert os.read(reading, 20) == b"", "somebody else has it open"

    @promise("connection.descriptors")
    def test_descriptors_and_messages_keep_their_order_and_neither_is_taken_for_the_other(
        self, passing: Pair, pipe_of_bytes: tuple[int, int]
    ) -> None:
        receiver, sender = passing
        sender.send("object")
        sender.send_handle(pipe_of_bytes[0])
        sender.send_bytes(b"bytes")
        for _ in range(2):
            with pytest.raises(OtherKindOfMessage):
                receiver.recv_handle(timeout=PATIENCE)
        assert receiver.recv(timeout=PATIENCE) == "object"
        for receive in (receiver.recv, receiver.recv_bytes):
            with pytest.raises(OtherKindOfMessage):
                receive(timeout=PATIENCE)
        assert receiver.poll(PATIENCE)
        os.close(receiver.recv_handle(timeout=PATIENCE))
        assert receiver.recv_bytes(timeout=PATIENCE) == b"bytes"
        assert not receiver.poll()

    @promise("connection.descriptors")
    def test_what_is_no_descriptor_is_refused_and_sends_nothing(self, passing: Pair) -> None:
        receiver, sender = passing
        for wrong, error in ((-1, OSError), (2**20, OSError), ("1", TypeError), (None, TypeError)):
            with pytest.raises(error):
                sender.send_handle(wrong)  # type: ignore[arg-type]
        assert not receiver.poll()
        with stopwatch() as elapsed, pytest.raises(TimedOut):
            receiver.recv_handle(timeout=0.02)
        in_time(elapsed(), 0.02)

    @promise("connection.descriptors")
    def test_what_nobody_receives_is_closed_with_the_connection(
        self, passing: Pair, pipe_of_bytes: tuple[int, int]
    ) -> None:
        receiver, sender = passing
        reading, writing = pipe_of_bytes
        sender.send_handle(writing)
        sender.send_handle(writing)
        os.close(writing)
        with pytest.raises(OtherKindOfMessage):
            receiver.recv(timeout=PATIENCE)
        receiver.close()
        sender.close()
        assert os.read(reading, 1) == b""

    @promise("connection.descriptors")
    def test_who_can_send_no_more_has_sent_it_or_not(
        self, passing: Pair, pipe: Callable[..., Pair], pipe_of_bytes: tuple[int, int]
    ) -> None:
        before = open_descriptors()
        receiver, sender = pipe(False)
        sent = len(clog(sender))
        for _ in range(3):
            with pytest.raises(TimedOut):
                sender.send_handle(pipe_of_bytes[0], timeout=0)
        receiving = Worker(lambda: self._receive_all(receiver))
        sender.send_bytes(b"end", timeout=PATIENCE)
        sender.close()
        messages, handles = receiving.result()
        assert messages in (sent + 1, sent + 2)
        assert handles in (0, 1)
        receiver.close()
        assert len(open_descriptors()) <= len(before)  # not the same: an interrupted wait loses its doorbell

    def _receive_all(self, receiver: Connection) -> tuple[int, int]:
        messages = handles = 0
        with contextlib.suppress(EndOfStream):
            while True:
                try:
                    receiver.recv_bytes(timeout=PATIENCE)
                    messages += 1
                except OtherKindOfMessage:
                    os.close(receiver.recv_handle(timeout=PATIENCE))
                    handles += 1
        return messages, handles

    @promise("connection.descriptors")
    def test_it_arrives_in_a_child_that_runs_and_from_one_that_has_ended(
        self,
        context: ipcframe.Context,
        children: Children,
        pipe: Callable[..., Pair],
        pipe_of_bytes: tuple[int, int],
    ) -> None:
        ours, theirs = pipe()
        if self.declared_absent(context, "descriptors"):
            self.refuses("descriptors", lambda: ours.send_handle(0))
            return
        child = children.start(targets.pass_handle_back, theirs, discard=(ours,))
        theirs.close()
        reading, writing = pipe_of_bytes
        assert ours.recv(timeout=PATIENCE) == "ready"
        ours.send_handle(writing)
        os.close(writing)
        children.finish(child)
        returned = ours.recv_handle(timeout=PATIENCE)
        os.write(returned, b", here too")
        os.close(returned)
        assert os.read(reading, 100) == b"there, here too"
        assert os.read(reading, 100) == b""
        with pytest.raises(EndOfStream):
            ours.recv_handle(timeout=PATIENCE)

    @promise("connection.interrupts")
    @pytest.mark.parametrize("side", ["send", "receive"])
    def test_interrupts_lose_no_descriptor_and_leave_none_open(
        self, passing: Pair, pipe_of_bytes: tuple[int, int], side: str
    ) -> None:
        receiver, sender = passing
        fd = pipe_of_bytes[0]
        goal = budget("IPCFRAME_INTERRUPTS", INTERRUPTS)
        before = open_descriptors()
        got: list[int] = []

        def send_one() -> None:
            sender.send_handle(fd)

        def receive_one() -> None:
            got.append(receiver.recv_handle(timeout=0))

        with Striker(self.random).armed() as striker:
            while striker.struck < goal:
                if side == "send":
                    struck = striker.strike(send_one)
                    sender.send("after")
                    with contextlib.suppress(OtherKindOfMessage):
                        assert receiver.recv(timeout=PATIENCE) == "after"
                        assert struck, "lost"
                        continue
                    receive_one()
                    assert receiver.recv(timeout=PATIENCE) == "after"
                else:
                    sender.send_handle(fd)
                    while not got:
                        striker.strike(receive_one)
                os.close(got.pop())
        assert len(open_descriptors()) <= len(before)  # not the same: an interrupted wait loses its doorbell
