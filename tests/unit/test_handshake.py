"""The handshake of listener and client: with every peer, and with what is none."""

from __future__ import annotations

import hmac
import multiprocessing.connection as standard
import os
import pickle
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import listener_targets as targets
import pytest
from listener_targets import KEY

import ipcframe
from ipcframe import connection
from ipcframe.conformance.conditions import Worker, eventually
from ipcframe.deadline import NOW
from ipcframe.errors import EndOfStream, HandshakeFailed, HandshakeTimedOut, TimedOut
from ipcframe.toolkit import listener as listening
from ipcframe.toolkit.handshake import CHALLENGE, Step, answering, challenging
from ipcframe.toolkit.listener import SocketListener

ours: Any = connection
theirs: Any = standard
SHORT = 0.3
"""A deadline for handshakes, in seconds, where it is to pass."""


@contextmanager
def listener(seconds: float = 10.0, authkey: bytes | None = KEY) -> Iterator[SocketListener]:
    address = connection.arbitrary_address("AF_UNIX")
    with SocketListener(
        address, socket.AF_UNIX, backlog=200, authkey=authkey, handshake_timeout=seconds
    ) as made:
        yield made


@contextmanager
def raw_client(address: Any, says: bytes = b"") -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(address)
        sock.sendall(says)
        yield sock


def served(listener: SocketListener) -> Any:
    """Connect with the key, and see that it works."""
    client = Worker(lambda: connection.Client(listener.address, authkey=KEY))
    with listener.accept(timeout=10) as there, client.result() as here:
        here.send("hello")
        return there.recv()


def advanced(listener: SocketListener) -> SocketListener:
    """What `accept` does without waiting."""
    listener._advance()
    return listener


# --- with every peer ---


@pytest.mark.parametrize("family", ["AF_UNIX", "AF_INET"])
@pytest.mark.parametrize(("server", "client"), [(ours, ours), (ours, theirs), (theirs, ours)])
def test_listener_and_client_may_each_be_the_standard_librarys(server: Any, client: Any, family: str) -> None:
    with server.Listener(family=family, authkey=KEY) as listener:
        connecting = Worker(lambda: client.Client(listener.address, authkey=KEY))
        with listener.accept() as there, connecting.result() as here:
            for sender, receiver in ((here, there), (there, here)):
                for obj in ({"a": [1, 2.5, None]}, "x" * 10):
                    sender.send(obj)
                    assert receiver.recv() == obj
                sender.send_bytes(b"")
                assert receiver.recv_bytes() == b""


@pytest.mark.parametrize(("server", "client"), [(ours, ours), (ours, theirs), (theirs, ours)])
def test_another_key_is_an_authentication_error_on_both_sides(server: Any, client: Any) -> None:
    with server.Listener(authkey=KEY) as listener:
        connecting = Worker(lambda: client.Client(listener.address, authkey=b"another"))
        with pytest.raises(ipcframe.AuthenticationError):
            listener.accept()
        assert isinstance(connecting.end(), ipcframe.AuthenticationError)


def say(step: Step, message: bytes) -> Step:
    assert step.follow is not None
    return step.follow(message)


def test_a_challenge_of_twenty_bytes_is_answered_by_bare_md5() -> None:
    random = os.urandom(20)
    step = say(answering(KEY), CHALLENGE + random)
    assert step.says == hmac.digest(KEY, random, "md5")
    assert say(step, b"#WELCOME#").follow is None


@pytest.mark.parametrize("name", ["md5", "sha256", "sha384", "sha3_256", "sha3_384"])
def test_a_digest_that_is_named_is_used(name: str) -> None:
    challenge = b"{%s}" % name.encode() + os.urandom(40)
    proof = say(answering(KEY), CHALLENGE + challenge).says
    assert proof == b"{%s}" % name.encode() + hmac.digest(KEY, challenge, name)


@pytest.mark.parametrize("name", ["", "md5", "sha256", "sha3_384"])
def test_an_answer_is_taken_by_any_known_digest_or_by_bare_md5(name: str) -> None:
    step = challenging(KEY)
    proof = hmac.digest(KEY, step.says.removeprefix(CHALLENGE), name or "md5")
    assert say(step, (b"{%s}" % name.encode() if name else b"") + proof).says == b"#WELCOME#"


@pytest.mark.parametrize(
    "challenge", [b"", b"x" * 19, b"{md4}" + bytes(40), b"{sha256" + bytes(40), b"{}" + bytes(40), b"y" * 40]
)
def test_a_challenge_that_is_none_is_refused(challenge: bytes) -> None:
    assert say(answering(KEY), CHALLENGE + challenge).failure
    assert say(answering(KEY), challenge).failure


@pytest.mark.parametrize("answer", [b"", bytes(16), b"{sha256}" + bytes(32), b"{md5}", b"{sha1}" + bytes(20)])
def test_a_wrong_answer_is_a_failure_that_is_told(answer: bytes) -> None:
    step = say(challenging(KEY), answer)
    assert step.says == b"#FAILURE#"
    assert step.failure


def test_where_md5_is_forbidden_another_digest_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    digest = hmac.digest

    def without_md5(key: bytes, message: bytes, name: str) -> bytes:
        if name == "md5":
            raise ValueError("disabled for FIPS")
        return digest(key, message, name)

    monkeypatch.setattr(hmac, "digest", without_md5)
    random = os.urandom(20)
    assert say(answering(KEY), CHALLENGE + random).says == b"{sha256}" + digest(KEY, random, "sha256")
    assert say(challenging(KEY), bytes(16)).failure


@pytest.mark.parametrize("server", [ours, theirs])
@pytest.mark.parametrize("client", [ours, theirs])
def test_challenges_can_be_delivered_and_answered_over_any_connection(server: Any, client: Any) -> None:
    here, there = ipcframe.Pipe()
    answers = Worker(lambda: client.answer_challenge(there, KEY))
    server.deliver_challenge(here, KEY)
    answers.result()
    answers = Worker(lambda: client.answer_challenge(there, b"another"))
    with pytest.raises(ipcframe.AuthenticationError):
        server.deliver_challenge(here, KEY)
    assert isinstance(answers.end(), ipcframe.AuthenticationError)
    with pytest.raises(ValueError, match="must be bytes"):
        server.deliver_challenge(here, "no bytes")


# --- a key on one side only ---


def test_a_client_without_a_key_is_told_and_so_is_the_listener() -> None:
    with listener(SHORT) as there, connection.Client(there.address) as here:
        with pytest.raises(HandshakeTimedOut, match="said nothing for 0"):
            there.accept(timeout=10)
        with pytest.raises(HandshakeFailed, match="wants a proof that we know its authkey"):
            here.recv(timeout=10)


def test_a_listener_without_a_key_is_told_and_so_is_the_client() -> None:
    with listener(authkey=None) as there:
        connecting = Worker(lambda: connection.Client(there.address, authkey=KEY, timeout=SHORT))
        with there.accept(timeout=10) as accepted, pytest.raises(EndOfStream):
            accepted.recv(timeout=10)
        error = connecting.end()
        assert isinstance(error, HandshakeTimedOut)
        assert "said nothing for 0.3 s" in str(error)
        assert isinstance(error, TimedOut | ipcframe.AuthenticationError)


def test_a_listener_that_says_something_else_first_is_refused() -> None:
    with listener(authkey=None) as there:
        connecting = Worker(lambda: connection.Client(there.address, authkey=KEY))
        with there.accept(timeout=10) as accepted:
            accepted.send("hello")
            assert isinstance(connecting.end(), HandshakeFailed)


def test_a_listener_that_goes_meanwhile_is_the_end_for_the_client() -> None:
    with listener(authkey=None) as there:
        connecting = Worker(lambda: connection.Client(there.address, authkey=KEY))
        there.accept(timeout=10).close()
        error = connecting.end()
        assert isinstance(error, EndOfStream)
        assert "closed the connection during the handshake" in str(error)


# --- what is no peer ---


def test_a_silent_client_delays_nobody_and_is_dropped_at_its_deadline() -> None:
    with listener(SHORT) as there, raw_client(there.address) as silent:
        for _ in range(3):
            assert served(there) == "hello"
        with pytest.raises(HandshakeTimedOut):
            there.accept(timeout=10)
        while silent.recv(1000):
            pass  # what it was told, and the end
        assert served(there) == "hello"


def test_a_client_that_sends_a_byte_at_a_time_delays_nobody_and_gets_through() -> None:
    with listener() as there, raw_client(there.address) as slow:
        accepting = Worker(lambda: there.accept(timeout=10))
        challenge = slow.recv(1000)[4 + len(CHALLENGE) :]
        proof = b"{sha256}" + hmac.digest(KEY, challenge, "sha256")
        for byte in len(proof).to_bytes(4, "big") + proof[:-1]:
            slow.sendall(bytes([byte]))
        with connection.Client(there.address, authkey=KEY), accepting.result():
            accepting = Worker(lambda: there.accept(timeout=10))
        slow.sendall(proof[-1:])
        assert slow.recv(13) == b"\0\0\0\x09#WELCOME#"
        random = os.urandom(20)
        slow.sendall((len(CHALLENGE) + 20).to_bytes(4, "big") + CHALLENGE + random)
        assert slow.recv(1000) == b"\0\0\0\x10" + hmac.digest(KEY, random, "md5")
        slow.sendall(b"\0\0\0\x09#WELCOME#" + b"\0\0\0\x05first")
        with accepting.result() as accepted:
            assert accepted.recv_bytes() == b"first"


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.0\r\n\r\n",
        b"\0\0\0\x05hello",
        b"\0\0\1\1" + bytes(257),
        b"\xff\xff\xff\xfe",
        b"\xff" * 12,
        b"\0\0\0\x0b" + pickle.dumps("x"),
    ],
)
def test_garbage_is_an_error_once_and_then_forgotten(garbage: bytes) -> None:
    with listener() as there, raw_client(there.address, garbage):
        with pytest.raises(HandshakeFailed):
            there.accept(timeout=10)
        assert served(there) == "hello"


def test_clients_that_go_during_the_handshake_are_forgotten() -> None:
    with listener() as there:
        accepting = Worker(lambda: there.accept(timeout=10))
        process = ipcframe.get_context("fork").Process(
            target=targets.be_killed_in_the_handshake, args=(there.address,)
        )
        process.start()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        with raw_client(there.address):
            pass
        with connection.Client(there.address, authkey=KEY), accepting.result():
            assert not there._clients


def test_clients_that_are_through_come_before_those_that_were_refused() -> None:
    def refused_and_through() -> bool:
        clients = advanced(there)._clients
        return any(one.failure for one in clients) and any(one.through for one in clients)

    with listener() as there, raw_client(there.address, b"\0\0\0\x05hello"):
        connecting = Worker(lambda: connection.Client(there.address, authkey=KEY))
        eventually(refused_and_through)
        with there.accept(timeout=0), connecting.result(), pytest.raises(HandshakeFailed):
            there.accept(timeout=0)


def test_a_client_that_nobody_attended_to_for_long_is_not_too_late() -> None:
    with listener() as there:
        connecting = Worker(lambda: connection.Client(there.address, authkey=KEY))
        eventually(lambda: advanced(there)._clients)
        there._clients[0].deadline = NOW
        there._left -= 100
        with there.accept(timeout=10), connecting.result():
            pass


def test_many_silent_clients_leave_room_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "_MOST", 5)
    monkeypatch.setattr(listening, "_GRACE", 0.01)
    with listener() as there, Silent(there.address, 20) as silent:
        assert served(there) == "hello"
        assert len(there._clients) <= 5
        assert silent.dropped()


class Silent:
    """Clients that say nothing."""

    def __init__(self, address: Any, count: int) -> None:
        self._socks = [socket.socket(socket.AF_UNIX) for _ in range(count)]
        for sock in self._socks:
            sock.connect(address)
            sock.setblocking(False)

    def dropped(self) -> int:
        """How many of them the listener has sent away."""
        return sum(map(self._is_dropped, self._socks))

    @staticmethod
    def _is_dropped(sock: socket.socket) -> bool:
        try:
            while sock.recv(1000):
                pass
        except BlockingIOError:
            return False
        return True

    def __enter__(self) -> Silent:
        return self

    def __exit__(self, *args: object) -> None:
        for sock in self._socks:
            sock.close()


def test_fifty_clients_at_once_are_all_served() -> None:
    with listener() as there:
        clients = [Worker(lambda: connection.Client(there.address, authkey=KEY)) for _ in range(50)]
        accepted = [there.accept(timeout=10) for _ in clients]
        connected = [client.result() for client in clients]
        for number, one in enumerate(connected):
            one.send(number)
        assert sorted(one.recv() for one in accepted) == list(range(50))
        for one in (*accepted, *connected):
            one.close()


def test_a_client_waits_no_longer_than_it_says() -> None:
    with listener() as there, pytest.raises(HandshakeTimedOut, match="is it in `accept`"):
        connection.Client(there.address, authkey=KEY, timeout=0.05)
