"""Cases: blocking, timeouts, and closing while others wait."""
# ruff: noqa: D102 - the name of a case is its sentence

from __future__ import annotations

import math
import multiprocessing
import os
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import pytest

from ipcframe.abc import Connection
from ipcframe.errors import ClosedError, TimedOut
from ipcframe.toolkit.framing import frame_header
from ipcframe.toolkit.stream import StreamConnection

from .case import Case, Pair, full
from .conditions import LATENESS_BOUND, PATIENCE, Worker, arrived, clog, in_time, stopwatch
from .promises import promise

__all__ = ["ConnectionWaits"]

RECEIVE: dict[str, Callable[..., Any]] = {
    "recv": lambda end, **options: end.recv(**options),
    "recv_bytes": lambda end, **options: end.recv_bytes(**options),
    "recv_bytes_into": lambda end, **options: end.recv_bytes_into(bytearray(100), **options),
}
SEND: dict[str, Callable[..., Any]] = {
    "send": lambda end, **options: end.send(b"x" * 5000, **options),
    "send_bytes": lambda end, **options: end.send_bytes(b"x" * 5000, **options),
}
receiving = pytest.mark.parametrize("receive", RECEIVE.values(), ids=RECEIVE)
sending = pytest.mark.parametrize("send", SEND.values(), ids=SEND)
CLOSE_BOUND = 10.0
"""Ten times the second within which a wait ends when its end is closed."""


class ConnectionWaits(Case):
    """Blocking, timeouts, and closing while others wait."""

    @full("more timeouts", receive=[RECEIVE["recv"]], timeout=[0, 0.05])
    @promise("connection.timeouts")
    @receiving
    @pytest.mark.parametrize("timeout", [0, 0.0, -1, -0.5, 0.05])
    def test_receiving_from_an_empty_stream_times_out(
        self, pair: Pair, receive: Callable[..., Any], timeout: float
    ) -> None:
        with stopwatch() as elapsed:
            with pytest.raises(TimedOut) as late:
                receive(pair[0], timeout=timeout)
            in_time(elapsed(), timeout)
        assert isinstance(late.value, TimeoutError)
        assert isinstance(late.value, multiprocessing.TimeoutError)
        pair[1].send("after")
        assert pair[0].recv(timeout=0) == "after"

    @full("more timeouts", send=[SEND["send_bytes"]], timeout=[0.05])
    @promise("connection.timeouts")
    @sending
    @pytest.mark.parametrize("timeout", [0, -1, 0.05])
    def test_sending_on_a_clogged_pair_times_out_and_what_was_sent_arrives(
        self, one_way: Pair, send: Callable[..., Any], timeout: float
    ) -> None:
        receiver, sender = one_way
        sent = clog(sender)
        with stopwatch() as elapsed:
            with pytest.raises(TimedOut):
                send(sender, timeout=timeout)
            in_time(elapsed(), timeout)
        last = Worker(lambda: sender.send("the last"))
        got = _until_last(receiver)
        last.result()
        arrived([message for message in got if len(message) <= 1024], sent)
        assert len(got) <= len(sent) + 4, "no more than was sent"

    @promise("connection.timeouts")
    def test_a_trickling_sender_does_not_prolong_the_timeout(self, one_way: Pair) -> None:
        receiver, sender = one_way
        if not isinstance(sender, StreamConnection):
            pytest.skip("bytes can be injected into a StreamConnection of the toolkit only")
        message = frame_header(100_000) + bytes(100_000)
        done: list[bool] = []

        def trickle() -> None:
            at = 0
            while not done and at < 50_000:
                os.write(sender.fileno(), message[at : at + 10])
                at += 10
                time.sleep(0.001)

        trickling = Worker(trickle)
        with stopwatch() as elapsed:
            with pytest.raises(TimedOut):
                receiver.recv_bytes(timeout=0.1)
            assert elapsed() < 0.1 + LATENESS_BOUND
        done.append(True)
        trickling.result()

    @promise("connection.timeouts")
    def test_a_trickling_receiver_does_not_prolong_the_timeout(self, one_way: Pair) -> None:
        receiver, sender = one_way
        if not isinstance(receiver, StreamConnection):
            pytest.skip("bytes can be taken from a StreamConnection of the toolkit only")
        done: list[bool] = []

        def trickle() -> None:
            for _ in range(2000):
                if done:
                    return
                with suppress(BlockingIOError):  # the sender may have given up a while ago
                    os.read(receiver.fileno(), 1024)
                time.sleep(0.001)

        clog(sender)
        trickling = Worker(trickle)
        with stopwatch() as elapsed:
            with pytest.raises(TimedOut):
                sender.send_bytes(bytes(2**19), timeout=0.1)
            assert elapsed() < 0.1 + LATENESS_BOUND
        done.append(True)
        trickling.result()

    @promise("connection.timeouts")
    def test_poll_keeps_its_timeout(self, pair: Pair) -> None:
        with stopwatch() as elapsed:
            assert pair[0].poll(0.05) is False
            in_time(elapsed(), 0.05)

    @full("more timeouts", timeout=[0])
    @promise("connection.timeouts")
    @receiving
    @pytest.mark.parametrize("timeout", [0, -1])
    def test_what_is_there_is_received_without_waiting(
        self, pair: Pair, receive: Callable[..., Any], timeout: float
    ) -> None:
        pair[1].send_bytes(b"N.")  # the pickle of None
        assert pair[0].poll(PATIENCE)
        receive(pair[0], timeout=timeout)
        assert not pair[0].poll()

    @full("more timeouts", timeout=[None, math.inf])
    @promise("connection.timeout-values")
    @pytest.mark.parametrize("timeout", [None, math.inf, 1e9, 2**40], ids=str)
    def test_long_timeouts_wait_until_the_message_comes(self, pair: Pair, timeout: float | None) -> None:
        waits = Worker(lambda: pair[0].recv(timeout=timeout))
        waits.eventually_asleep()
        pair[1].send("came")
        assert waits.result() == "came"

    @promise("connection.timeout-values")
    @pytest.mark.parametrize("operation", [*RECEIVE.values(), *SEND.values()], ids=[*RECEIVE, *SEND])
    def test_a_timeout_that_is_no_number_is_refused_and_nothing_happens(
        self, pair: Pair, operation: Callable[..., Any]
    ) -> None:
        pair[1].send("is here")
        with pytest.raises(ValueError, match=r"(?i)nan"):
            operation(pair[0], timeout=math.nan)
        for wrong in ("1", b"1", [], object(), 1j):
            with pytest.raises(TypeError):
                operation(pair[0], timeout=wrong)
        assert not pair[1].poll(), "nothing was sent"
        assert pair[0].recv(timeout=PATIENCE) == "is here", "nothing was taken"

    @promise("connection.timeout-values")
    def test_poll_refuses_what_is_no_number(self, pair: Pair) -> None:
        with pytest.raises(ValueError, match=r"(?i)nan"):
            pair[0].poll(math.nan)
        for wrong in ("1", [], object()):
            with pytest.raises(TypeError):
                pair[0].poll(wrong)  # type: ignore[arg-type]

    @promise("connection.whole")
    def test_a_send_that_waits_goes_on_when_there_is_room(self, one_way: Pair) -> None:
        receiver, sender = one_way
        sent = clog(sender)
        waits = Worker(lambda: sender.send("the last"))
        waits.eventually_asleep()
        assert waits.is_alive(), "a clogged pair took another message"
        arrived(_until_last(receiver), sent)
        waits.result()

    @promise("connection.close-ends-waits")
    def test_closing_ends_what_other_threads_wait_for(self, pipe: Callable[..., Pair]) -> None:
        waiting = []
        for operation in (*RECEIVE.values(), _poll):
            end = pipe()[0]
            waiting.append((end, Worker(partial(operation, end))))
        for send in SEND.values():
            end = pipe(False)[1]
            clog(end)
            waiting.append((end, Worker(partial(send, end))))
        for end, waits in waiting:
            waits.eventually_asleep()
            assert waits.is_alive()
            end.close()
        for _, waits in waiting:
            assert isinstance(waits.end(CLOSE_BOUND), ClosedError)


def _poll(end: Connection) -> bool:
    return end.poll(None)


def _until_last(receiver: Connection) -> list[bytes]:
    """The messages before the one that says that it is the last."""
    got: list[bytes] = []
    while True:
        message = receiver.recv_bytes(timeout=PATIENCE)
        if b"the last" in message:
            return got
        got.append(message)
