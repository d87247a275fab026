"""Clients that are none, many at once or with large claims: refused, nothing allocated, the others served."""

from __future__ import annotations

import contextlib
import resource
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from listener_targets import KEY

from ipcframe.conformance.conditions import Worker, open_descriptors, own_memory, stopwatch
from ipcframe.connection import Client
from ipcframe.errors import HandshakeFailed, HandshakeTimedOut, TimedOut
from ipcframe.toolkit import listener as listening
from ipcframe.toolkit.abstract import new_address
from ipcframe.toolkit.listener import SocketListener

SHORT = 0.4
MANY = min(1000, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 4)


@contextlib.contextmanager
def listener(seconds: float = 10.0) -> Iterator[SocketListener]:
    where = {"backlog": 5, "authkey": KEY, "handshake_timeout": seconds}
    with SocketListener(new_address("hostile"), socket.AF_UNIX, **where) as made:  # type: ignore[arg-type]
        yield made


def served(there: SocketListener) -> float:
    """How long a client with the key takes to be served."""
    accepting = Worker(lambda: there.accept(timeout=20))
    with stopwatch() as seconds, Client(there.address, authkey=KEY), accepting.result():
        return seconds()


def raw(address: Any, says: bytes = b"") -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(address)
    with contextlib.suppress(ConnectionError):  # it may be refused before it has said all
        sock.sendall(says)
    return sock


def test_a_thousand_silent_clients_delay_nobody_and_each_is_refused() -> None:
    with listener() as there:
        served(there)  # what is kept for the next time is there after that
    before = open_descriptors()
    with listener(SHORT) as there, contextlib.ExitStack() as stack:
        refused: list[str] = []

        def serve() -> None:
            while len(refused) < MANY:
                try:
                    there.accept(timeout=20).close()
                except HandshakeTimedOut as error:
                    refused.append(error.problem)

        serving = Worker(serve)
        for number in range(MANY):
            stack.enter_context(raw(there.address))
            if number % (MANY // 10) == 0:
                with stopwatch() as seconds, Client(there.address, authkey=KEY):
                    assert seconds() < 5, "a client waited for silent ones"
        serving.result()
        assert all("said nothing for 0.4 s" in one for one in refused)
    assert not open_descriptors() - before


def test_where_descriptors_are_short_silent_clients_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "_GRACE", 0.01)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with listener() as there, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(5)]
        accepting = Worker(lambda: there.accept(timeout=20))
        accepting.eventually_asleep()
        spare = socket.socket(socket.AF_UNIX)
        resource.setrlimit(resource.RLIMIT_NOFILE, (spare.fileno() + 2, hard))
        try:
            for one in clients:
                one.connect(there.address)
            with spare:
                spare.connect(there.address)
                assert accepting.is_alive(), "it ended by want of descriptors"
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        with Client(there.address, authkey=KEY), accepting.result():
            pass


@pytest.mark.parametrize(
    "header",
    [
        b"\x7f\xff\xff\xff",
        b"\x7f\xff\xff\xff" + bytes(100_000),
        b"\xff\xff\xff\xff" + (2**62).to_bytes(8, "big"),
        b"\x80\x00\x00\x00",
    ],
    ids=["2 GiB", "2 GiB that begin", "4 EiB", "negative"],
)
def test_for_a_large_claim_nothing_is_allocated(header: bytes) -> None:
    with listener() as there:
        served(there)
        before = own_memory()
        for _ in range(20):
            with (
                raw(there.address, header),
                pytest.raises(HandshakeFailed, match="is no part of a handshake"),
            ):
                there.accept(timeout=20)
        assert own_memory() - before < 2**20
        served(there)


@pytest.mark.parametrize(
    ("says", "told"),
    [(b"", "said nothing for"), (b"\0\0", "did not finish"), (b"\0\0\0\x20{sha", "did not finish")],
)
def test_who_stops_in_the_middle_is_refused_at_the_deadline_and_told_from_the_silent(
    says: bytes, told: str
) -> None:
    with listener(0.1) as there, raw(there.address, says):
        with pytest.raises(HandshakeTimedOut, match=told):
            there.accept(timeout=20)
        served(there)


def test_who_goes_in_the_middle_is_forgotten() -> None:
    with listener() as there:
        for says in (b"", b"\0", b"\0\0\0\x20{sha"):
            raw(there.address, says).close()
            with pytest.raises(TimedOut):
                there.accept(timeout=0.01)
        assert not there._clients
        served(there)


def test_refused_ones_without_end_do_not_keep_the_others_from_being_served() -> None:
    with listener() as there:
        done: list[bool] = []

        def refused_again_and_again() -> None:
            while not done:
                raw(there.address, b"\0\0\0\x05hello").close()

        attacking = Worker(refused_again_and_again)

        def serve() -> None:
            for _ in range(10):
                while True:
                    with contextlib.suppress(HandshakeFailed), there.accept(timeout=20):
                        break

        serving = Worker(serve)
        for _ in range(10):
            with Client(there.address, authkey=KEY):
                pass
        serving.result()
        done.append(True)
        with contextlib.suppress(TimedOut, HandshakeFailed):
            while True:
                there.accept(timeout=0)
        attacking.result()
