"""Cases: the end of the stream, and who sends to nobody; by closing, and by a SIGKILL."""
# ruff: noqa: D102 - the name of a case is its sentence

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from ipcframe.abc import Connection
from ipcframe.errors import EndOfStream, PeerGone, TimedOut

from . import targets
from .case import Case, Children, Pair, budget, full
from .conditions import DEATH_BOUND, PATIENCE, Worker, clog, eventually, same_bytes, stopwatch
from .connection_waits import RECEIVE, SEND, receiving, sending
from .promises import promise

__all__ = ["ConnectionEnds"]

MESSAGE = 2**20


class ConnectionEnds(Case):
    """The end of the stream, and who sends to nobody; by closing, and by a SIGKILL."""

    @promise("connection.end-of-stream")
    @receiving
    def test_the_end_comes_after_all_messages_when_the_peer_closes(
        self, one_way: Pair, receive: Callable[..., Any]
    ) -> None:
        receiver, sender = one_way
        sender.send_bytes(b"first")
        sender.send_bytes(b"last")
        sender.close()
        assert receiver.recv_bytes(timeout=PATIENCE) == b"first"
        assert receiver.recv_bytes(timeout=PATIENCE) == b"last"
        for timeout in (DEATH_BOUND, 0, None):
            with pytest.raises(EndOfStream) as ended:
                receive(receiver, timeout=timeout)
            assert isinstance(ended.value, EOFError)

    @promise("connection.end-of-stream")
    def test_what_was_sent_before_the_peer_closed_arrives_on_a_duplex_pair_too(self, pair: Pair) -> None:
        ours, theirs = pair
        theirs.send_bytes(b"x" * 50_000)
        theirs.send("last")
        theirs.close()
        assert len(ours.recv_bytes(timeout=PATIENCE)) == 50_000
        assert ours.recv(timeout=PATIENCE) == "last"
        with pytest.raises(EOFError):
            ours.recv(timeout=DEATH_BOUND)

    @promise("connection.end-of-stream")
    @pytest.mark.parametrize("duplex", [True, False], ids=["duplex", "one way"])
    def test_a_parked_receiver_learns_that_the_peer_closed(
        self, pipe: Callable[..., Pair], duplex: bool
    ) -> None:
        receiver, sender = pipe(duplex)
        parked = Worker(receiver.recv)
        parked.eventually_asleep()
        sender.close()
        assert isinstance(parked.end(DEATH_BOUND), EndOfStream)

    @full("more kinds", duplex=[False])
    @promise("connection.peer-gone")
    @sending
    @pytest.mark.parametrize("duplex", [True, False], ids=["duplex", "one way"])
    def test_sending_to_a_closed_end_raises(
        self, pipe: Callable[..., Pair], send: Callable[..., Any], duplex: bool
    ) -> None:
        receiver, sender = pipe(duplex)
        receiver.close()
        with pytest.raises(PeerGone) as gone:
            self._send_until_gone(sender, send)
        assert isinstance(gone.value, BrokenPipeError)
        with pytest.raises(PeerGone):
            send(sender, timeout=0)

    @promise("connection.peer-gone")
    def test_a_parked_sender_learns_that_the_peer_closed(self, one_way: Pair) -> None:
        receiver, sender = one_way
        clog(sender)
        parked = Worker(lambda: sender.send(b"x" * MESSAGE))
        parked.eventually_asleep()
        receiver.close()
        assert isinstance(parked.end(DEATH_BOUND), PeerGone)

    @promise("connection.end-of-stream")
    def test_the_messages_of_a_killed_sender_arrive_and_then_the_end(
        self, children: Children, pipe: Callable[..., Pair]
    ) -> None:
        for _ in range(budget("IPCFRAME_KILLS", 1)):
            receiver, sender = pipe(False)
            sent = [1, b"x" * 20_000, "last"]
            child = children.start(targets.send_then_wait, sender, sent, discard=(receiver,))
            sender.close()
            assert receiver.recv(timeout=PATIENCE) == 1
            eventually(receiver.poll)
            parked = Worker(partial(self._until_the_end, receiver))
            parked.eventually_asleep()
            assert parked.is_alive(), "the end came before the sender's"
            children.kill(child)
            with stopwatch() as elapsed:
                assert parked.result() == sent[1:]
                assert elapsed() < DEATH_BOUND
            with pytest.raises(EndOfStream):
                receiver.recv(timeout=0)
            receiver.close()
            children.finish(child, -9)

    @promise("connection.end-of-stream")
    def test_every_way_to_receive_learns_of_a_killed_peer(
        self, children: Children, pipe: Callable[..., Pair]
    ) -> None:
        for _ in range(budget("IPCFRAME_KILLS", 1)):
            ours, theirs = pipe()
            child = children.start(targets.send_then_wait, theirs, ["ready"], discard=(ours,))
            theirs.close()
            assert ours.recv(timeout=PATIENCE) == "ready"
            waits = [Worker(partial(receive, ours)) for receive in RECEIVE.values()]
            polls = Worker(partial(ours.poll, None))
            for one in (*waits, polls):
                one.eventually_asleep()
            children.kill(child)
            with stopwatch() as elapsed:
                for wait in waits:
                    assert isinstance(wait.end(), EndOfStream)
                assert polls.result() is True
                assert elapsed() < DEATH_BOUND
            ours.close()
            children.finish(child, -9)

    @promise("connection.peer-gone")
    def test_a_parked_sender_learns_that_the_peer_was_killed(
        self, children: Children, pipe: Callable[..., Pair]
    ) -> None:
        receiver, sender = pipe(False)
        child = children.start(targets.wait_for_end_of, receiver, discard=(sender,))
        receiver.close()
        sender.send("x")  # which ends the child, if it lives that long
        children.finish(child)
        with pytest.raises(PeerGone):
            self._send_until_gone(sender)
        for _ in range(budget("IPCFRAME_KILLS", 1)):
            receiver, sender = pipe(False)
            child = children.start(targets.hold, receiver, discard=(sender,))
            receiver.close()
            clog(sender)
            parked = Worker(partial(sender.send, b"x" * MESSAGE))
            parked.eventually_asleep()
            assert parked.is_alive(), "there is a receiver still"
            children.kill(child)
            assert isinstance(parked.end(DEATH_BOUND), PeerGone)
            sender.close()
            children.finish(child, -9)

    @promise("connection.end-of-stream")
    def test_a_child_learns_that_its_parent_closed(
        self, children: Children, pipe: Callable[..., Pair]
    ) -> None:
        (ours, theirs), (told, tell) = pipe(), pipe(False)
        child = children.start(targets.expect_end, theirs, tell, discard=(ours, told))
        theirs.close()
        assert told.recv(timeout=PATIENCE) == "waiting"
        ours.close()
        assert told.recv(timeout=DEATH_BOUND) == "the end"
        children.finish(child)

    @promise("connection.death")
    def test_a_sender_killed_within_a_message_never_leaves_a_torn_one(
        self, children: Children, pipe: Callable[..., Pair]
    ) -> None:
        for _ in range(budget("IPCFRAME_KILLS", 30 if children.cheap else 3)):
            receiver, sender = pipe(False)
            child = children.start(targets.send_patterns, sender, MESSAGE, discard=(receiver,))
            sender.close()
            for number in range(self.random.randrange(3)):
                same_bytes(receiver.recv_bytes(timeout=PATIENCE), targets.pattern(number, MESSAGE))
            receiver.poll(PATIENCE)
            children.kill(child)
            self._drain_patterns(receiver)
            receiver.close()
            children.finish(child, -9)

    def _drain_patterns(self, receiver: Connection) -> None:
        expected: int | None = None
        with stopwatch() as elapsed:
            while True:
                try:
                    message = receiver.recv_bytes(timeout=DEATH_BOUND)
                except EOFError:
                    return
                number = int.from_bytes(message[:8], "little")
                same_bytes(message, targets.pattern(number, MESSAGE))
                assert expected in (None, number), "out of order"
                expected = number + 1
                assert elapsed() < PATIENCE, "the dead go on sending"

    @promise("connection.peer-gone")
    def test_a_receiver_killed_within_a_message_ends_the_sender(
        self, children: Children, pipe: Callable[..., Pair]
    ) -> None:
        for _ in range(budget("IPCFRAME_KILLS", 30 if children.cheap else 3)):
            receiver, sender = pipe(False)
            child = children.start(targets.receive_for_ever, receiver, discard=(sender,))
            receiver.close()
            message = targets.pattern(1, MESSAGE)
            for _ in range(self.random.randrange(3)):
                sender.send_bytes(message, timeout=PATIENCE)
            with contextlib.suppress(TimedOut):  # until the receiver is in the middle of one
                while True:
                    sender.send_bytes(message, timeout=self.random.random() * 0.001)
            children.kill(child)
            with pytest.raises(PeerGone):
                self._send_until_gone(sender)
            sender.close()
            children.finish(child, -9)

    def _send_until_gone(self, sender: Connection, send: Callable[..., Any] = SEND["send_bytes"]) -> None:
        with stopwatch() as elapsed:
            while elapsed() < DEATH_BOUND:
                send(sender, timeout=DEATH_BOUND)

    def _until_the_end(self, receiver: Connection) -> list[Any]:
        got = []
        with contextlib.suppress(EndOfStream):
            while True:
                got.append(receiver.recv())
        return got
