"""Cases: messages, their order and sizes, and what an end can do."""
# ruff: noqa: D102 - the name of a case is its sentence

from __future__ import annotations

import contextlib
import multiprocessing
import selectors
from collections.abc import Callable
from functools import partial
from select import POLLIN, poll
from typing import Any

import pytest

import ipcframe
from ipcframe.abc import Connection
from ipcframe.connection import wait
from ipcframe.deadline import NOW, deadline_after
from ipcframe.errors import (
    BackendUnavailable,
    BrokenConnection,
    ClosedError,
    MessageTooLarge,
    TimedOut,
    UnsupportedOperation,
)

from .case import Case, Pair, campaign, full
from .conditions import LATENESS_BOUND, PATIENCE, Worker, same_bytes
from .promises import promise

__all__ = ["ConnectionApi"]

KINDS: list[Any] = [
    None, True, 0, -1, 2**100, 1.5, float("inf"), 1j, "", "text é 漢 \0", b"", b"\0" * 3, bytearray(b"ab"),
    [], [1, [2, [3]]], (), (1, "a", None), {}, {"a": {1: b"c"}}, set(), {1, 2}, frozenset({3}), range(5),
    int, len, ValueError("text"), Ellipsis,
]  # fmt: skip
SIZES = [
    0,
    1,
    7,
    8,
    9,
    4087,
    4088,
    4089,
    4096,
    4097,
    65528,
    65535,
    65536,
    65537,
    2**18,
    2**20,
    2**20 + 1,
    2**23,
]
MIB = 2**20


class ConnectionApi(Case):
    """Messages, their order and sizes, and what an end can do."""

    @promise("connection.whole")
    def test_objects_of_many_kinds_arrive_equal_and_in_order(self, pair: Pair) -> None:
        for sender, receiver in (pair, pair[::-1]):
            for obj in KINDS:
                sender.send(obj)
                got = receiver.recv(timeout=PATIENCE)
                assert type(got) is type(obj)
                assert repr(got) == repr(obj)

    @promise("connection.whole")
    def test_messages_wait_in_the_order_in_which_they_were_sent(self, pair: Pair) -> None:
        sender, receiver = pair
        for number in range(20):
            sender.send(number)
            sender.send_bytes(b"%d" % number)
        for number in range(20):
            obj: Any
            try:
                obj = receiver.recv(timeout=PATIENCE)
            except Exception as error:  # noqa: BLE001 - of bytes in the place of the object
                obj = error
            message = receiver.recv_bytes(timeout=PATIENCE)
            sent = number, b"%d" % number
            assert (obj, message) == sent, (
                f"of {sent} arrive {obj!r} and {message!r}: lost, doubled or out of order"
            )

    @full("more sizes", size=[0, 4089, 65537, 2**20])
    @promise("connection.whole")
    @pytest.mark.parametrize("size", SIZES)
    def test_a_message_of_any_size_arrives_whole(self, one_way: Pair, size: int) -> None:
        receiver, sender = one_way
        message = self.random.randbytes(size)

        def send() -> None:
            sender.send_bytes(message)
            sender.send(bytearray(message))
            sender.send("x")

        sending = Worker(send)
        same_bytes(receiver.recv_bytes(timeout=PATIENCE), message)
        same_bytes(receiver.recv(timeout=PATIENCE), message)
        assert receiver.recv(timeout=PATIENCE) == "x"
        sending.result()

    @promise("connection.whole")
    def test_messages_of_random_sizes_both_ways_at_once_arrive_in_order(self, pair: Pair) -> None:
        messages = [self.random.randbytes(self.random.choice([0, 10, 5000, 70_000])) for _ in range(100)]

        def send_all(end: Connection) -> None:
            for message in messages:
                end.send_bytes(message)

        senders = [Worker(lambda end=end: send_all(end)) for end in pair]  # type: ignore[misc]
        there = Worker(lambda: [pair[0].recv_bytes(timeout=PATIENCE) for _ in messages])
        for message in messages:
            same_bytes(pair[1].recv_bytes(timeout=PATIENCE), message)
        for got, message in zip(there.result(), messages, strict=True):
            same_bytes(got, message)
        for sender in senders:
            sender.result()

    @full("64 MiB in one message")
    @promise("connection.whole")
    def test_a_message_of_64_mib_arrives_whole(self, one_way: Pair) -> None:
        self._exchange_large(one_way, 64 * MIB)

    @campaign("more than 2 GiB in one message")
    @promise("connection.whole")
    def test_a_message_beyond_2_gib_arrives_whole(self, one_way: Pair) -> None:
        self._exchange_large(one_way, 2**31 + 4096)

    def _exchange_large(self, one_way: Pair, size: int) -> None:
        receiver, sender = one_way
        message = self.random.randbytes(MIB) * (size // MIB) + b"e" * (size % MIB)
        sending = Worker(lambda: sender.send_bytes(message))
        same_bytes(receiver.recv_bytes(timeout=600), message)
        sending.result(600)

    @promise("connection.one-stream")
    def test_what_send_sent_can_be_relayed_as_bytes(self, pipe: Callable[..., Pair]) -> None:
        (first_in, first_out), (second_in, second_out) = pipe(False), pipe(False)
        for obj in KINDS:
            first_out.send(obj)
            second_out.send_bytes(first_in.recv_bytes(timeout=PATIENCE))
            assert repr(second_in.recv(timeout=PATIENCE)) == repr(obj)

    @promise("connection.one-stream")
    def test_what_multiprocessing_pickled_is_received_as_an_object(self, one_way: Pair) -> None:
        receiver, sender = one_way
        sender.send_bytes(multiprocessing.reduction.ForkingPickler.dumps({"a": [1]}))
        assert receiver.recv(timeout=PATIENCE) == {"a": [1]}

    @promise("connection.maxlength")
    def test_a_message_of_maxlength_passes_and_a_longer_one_is_refused(self, one_way: Pair) -> None:
        receiver, sender = one_way
        for message in (b"x" * 10, b"x" * 10, b"x" * 11, b"after"):
            sender.send_bytes(message)
        assert receiver.recv_bytes(10, timeout=PATIENCE) == b"x" * 10
        with pytest.raises(ValueError, match="negative"):
            receiver.recv_bytes(-1)
        assert receiver.recv_bytes(2**40, timeout=PATIENCE) == b"x" * 10
        with pytest.raises(MessageTooLarge) as refused:
            receiver.recv_bytes(10, timeout=PATIENCE)
        assert isinstance(refused.value, OSError), "multiprocessing raises OSError here"
        with pytest.raises(OSError, match="refused"):
            receiver.recv_bytes(timeout=PATIENCE)

    @promise("connection.maxlength")
    @pytest.mark.parametrize("size", [11, 50_000, 2 * MIB])
    def test_a_longer_message_that_was_received_already_is_refused_too(
        self, one_way: Pair, size: int
    ) -> None:
        receiver, sender = one_way
        message = b"x" * size
        sending = Worker(lambda: sender.send_bytes(message))
        # As after a receive that was interrupted when the message was here: it stays until it is taken.
        assert len(receiver._peek(deadline_after(PATIENCE), None) or b"") == size
        sending.result()
        with pytest.raises(MessageTooLarge):
            receiver.recv_bytes(10, timeout=PATIENCE)
        sender.send("never received")
        for _ in range(2):
            with pytest.raises(BrokenConnection, match="refused"):
                receiver.recv(timeout=PATIENCE)

    @promise("connection.maxlength")
    @pytest.mark.parametrize("begun", [False, True], ids=["fresh", "begun"])
    @pytest.mark.parametrize("size", [0, 1, 5_000, 200_000])
    def test_maxlength_counts_exactly_also_for_a_message_that_is_begun(
        self, one_way: Pair, size: int, begun: bool
    ) -> None:
        receiver, sender = one_way
        for length in (size, size, size + 1):
            sending = Worker(lambda length=length: sender.send_bytes(b"x" * length))  # type: ignore[misc]
            if begun:
                assert receiver.poll(PATIENCE)
                receiver._peek(NOW, None)  # as a receive that was interrupted, or whose timeout was over
            if length > size:
                with pytest.raises(MessageTooLarge):
                    receiver.recv_bytes(size, timeout=PATIENCE)
                receiver.close()  # nobody receives the rest
                sending.end()
            else:
                same_bytes(receiver.recv_bytes(size, timeout=PATIENCE), b"x" * size)
                sending.result()

    @promise("connection.maxlength")
    def test_a_longer_message_is_refused_when_it_begins_and_not_when_it_is_here(self, one_way: Pair) -> None:
        receiver, sender = one_way
        with contextlib.suppress(TimedOut):
            sender.send_bytes(bytes(2 * MIB), timeout=0)  # if a part is gone, nobody sends the rest for now
        if receiver.poll():
            try:
                with pytest.raises(MessageTooLarge):
                    receiver.recv_bytes(2 * MIB - 1, timeout=LATENESS_BOUND)
            except TimedOut:
                pytest.fail("a message above maxlength is received before it is refused")

    @promise("connection.poll")
    def test_poll_tells_what_recv_would_find_and_takes_nothing(self, pair: Pair) -> None:
        sender, receiver = pair
        assert not receiver.poll()
        assert not receiver.poll(-1)
        assert not receiver.poll(0.01)
        for message in (b"", b"x", b"x" * 4_000):  # no transport need take much before it is read
            sender.send_bytes(message)
            for timeout in (0, 0.0, -1, 5, None, float("inf")):
                assert receiver.poll(timeout) is True
            assert receiver.recv_bytes(timeout=PATIENCE) == message
            assert receiver.poll() is False

    @promise("connection.poll")
    def test_poll_without_a_timeout_waits_for_the_message(self, pair: Pair) -> None:
        sender, receiver = pair
        polling = Worker(lambda: receiver.poll(None))
        polling.eventually_asleep()
        sender.send("now")
        assert polling.result() is True
        assert receiver.recv(timeout=PATIENCE) == "now"

    @promise("connection.poll")
    def test_the_end_of_the_stream_is_something_to_receive(self, one_way: Pair) -> None:
        receiver, sender = one_way
        sender.send("last")
        sender.close()
        assert receiver.poll(PATIENCE)
        receiver.recv(timeout=PATIENCE)
        assert receiver.poll(PATIENCE)
        assert receiver.poll()

    @promise("connection.fileno")
    def test_the_descriptor_is_readable_while_there_is_something(
        self, context: ipcframe.Context, one_way: Pair
    ) -> None:
        receiver, sender = one_way
        if self.declared_absent(context, "fileno"):
            self.refuses("fileno", receiver.fileno)
            return
        poller = poll()
        poller.register(receiver, POLLIN)
        assert not poller.poll(0)
        sender.send("one")
        sender.send("two")
        for _ in range(2):
            assert poller.poll(PATIENCE * 1000)
            receiver.recv(timeout=PATIENCE)
        assert not poller.poll(0)
        sender.close()
        assert poller.poll(PATIENCE * 1000), "readable at the end of the stream"

    @promise("connection.fileno")
    def test_selectors_and_both_waits_take_a_connection(
        self, context: ipcframe.Context, pipe: Callable[..., Pair]
    ) -> None:
        (quiet, _), (ready, sender) = pipe(False), pipe(False)
        if self.declared_absent(context, "fileno"):
            sender.send("x")
            assert wait([ready], PATIENCE) == [ready]
            return
        standard_wait: Any = multiprocessing.connection.wait
        assert wait([quiet, ready], 0) == standard_wait([quiet, ready], 0) == []
        sender.send("x")
        assert wait([quiet, ready], PATIENCE) == [ready]
        assert standard_wait([quiet, ready], PATIENCE) == [ready]
        with selectors.DefaultSelector() as selector:
            for end in (quiet, ready):
                selector.register(end, selectors.EVENT_READ)
            assert [key.fileobj for key, _ in selector.select(PATIENCE)] == [ready]

    @promise("connection.directions")
    def test_the_ends_of_a_duplex_pair_do_both(self, pair: Pair) -> None:
        for end in pair:
            assert end.readable
            assert end.writable

    @promise("connection.directions")
    def test_the_ends_of_a_one_way_pair_refuse_the_other_direction(self, one_way: Pair) -> None:
        receiver, sender = one_way
        assert (receiver.readable, receiver.writable) == (True, False)
        assert (sender.readable, sender.writable) == (False, True)
        into = bytearray(4)
        for operation in (partial(receiver.send, 1), partial(receiver.send_bytes, b"1"), sender.recv,
                          sender.recv_bytes, partial(sender.recv_bytes_into, into), sender.poll):  # fmt: skip
            with pytest.raises(UnsupportedOperation) as refused:
                operation()
            assert isinstance(refused.value, OSError), "multiprocessing raises OSError here"
        sender.send("still works")
        assert receiver.recv(timeout=PATIENCE) == "still works"

    @promise("connection.close")
    def test_a_closed_end_refuses_everything_and_says_who_closed_it(self, pair: Pair) -> None:
        end, other = pair
        other.send("never received")
        states = [end.closed]
        for _ in range(2):
            end.close()
            states.append(end.closed)
        assert states == [False, True, True]
        assert "closed" in repr(end)
        into = bytearray(4)
        for operation in (partial(end.send, 1), partial(end.send_bytes, b"1"), end.recv, end.recv_bytes,
                          end.poll, partial(end.recv_bytes_into, into), end.fileno):  # fmt: skip
            with pytest.raises(ClosedError, match=r"connection_api\.py") as refused:
                operation()
            assert isinstance(refused.value, OSError), "multiprocessing raises OSError here"

    @promise("connection.close")
    def test_a_with_statement_closes(self, pipe: Callable[..., Pair]) -> None:
        with pipe()[0] as end:
            states = [end.closed]
        assert [*states, end.closed] == [False, True]
        with pytest.raises(ClosedError):
            end.send(1)

    @promise("connection.close")
    def test_a_closed_end_cannot_be_handed_over(self, pair: Pair) -> None:
        pair[0].close()
        with pytest.raises(ClosedError):
            pair[1].send(pair[0])

    @promise("capabilities.true")
    def test_backends_that_cannot_run_say_why_and_this_one_does_not(self, context: ipcframe.Context) -> None:
        assert type(context.backend).unavailable_reason() is None, BackendUnavailable
