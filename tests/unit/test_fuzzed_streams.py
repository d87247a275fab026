"""Whatever the other side sends, in a stream or in a handshake, there is an error or a right result.

A few hundred cases in the quick tier, 10,000 in CI; IPCFRAME_FUZZ is how many each kind has in CI.
"""

from __future__ import annotations

import contextlib
import gc
import hmac
import os
import socket
import struct
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from listener_targets import KEY

from ipcframe.abc import Connection
from ipcframe.conformance.conditions import Worker, open_descriptors, own_memory
from ipcframe.connection import Client
from ipcframe.errors import BrokenConnection, EndOfStream, HandshakeFailed, IpcframeError, TimedOut
from ipcframe.toolkit.abstract import new_address
from ipcframe.toolkit.framing import LENGTH_MASK, MAGIC, NATIVE, STANDARD, Framing
from ipcframe.toolkit.handshake import CHALLENGE, Handshake, calling
from ipcframe.toolkit.listener import SocketListener
from ipcframe.toolkit.sockets import SocketConnection
from ipcframe_unix.endpoints import UnixConnection

QUICK = 100
LONG = int(os.environ.get("IPCFRAME_FUZZ", "2500"))
REPLAYED = 200
"""So many cases are done again, to see whether anything grows."""
GROWTH = 2**20
LIMIT = 5000
"""The largest message of the streams, in bytes."""


class Target(NamedTuple):
    """What is fuzzed: the cases, and what becomes of one, which raises if it is neither error nor right."""

    cases: st.SearchStrategy[Any]
    check: Callable[[Any], None]


# --- streams of messages ---

SIZES = st.one_of(
    st.integers(0, 300), st.sampled_from([LIMIT, LIMIT + 1, 2**31 - 1, 2**31, 2**48 - 1, 2**62])
)


def frames(framing: Framing, magics: list[int]) -> st.SearchStrategy[bytes]:
    """Streams of right messages, with a part of a message, another header or anything else among them."""
    right = st.binary(max_size=300).map(lambda body: framing.header(len(body)) + body)
    large = st.integers(LIMIT - 2, LIMIT).map(lambda size: framing.header(size) + bytes(size))
    word = st.builds(
        lambda magic, size: struct.pack("<Q", magic | size & LENGTH_MASK), st.sampled_from(magics), SIZES
    )
    signed = st.integers(-(2**31), 2**31 - 1).map(struct.Struct("!i").pack)
    long = SIZES.map(lambda size: struct.pack("!iQ", -1, size))
    part = st.one_of(right, right, right, large, word, signed, long, st.binary(max_size=40))
    whole = st.lists(part, max_size=8).map(b"".join)
    return st.builds(
        lambda stream, keep: stream[: len(stream) - keep], whole, st.sampled_from([0, 0, 1, 5, 9])
    )


def standard_messages(stream: bytes) -> tuple[list[bytes], bool]:
    """What a stream of the standard library's framing says, and whether it is broken, by other code."""
    found: list[bytes] = []
    while len(stream) >= 4:
        (size,) = struct.unpack("!i", stream[:4])
        stream = stream[4:]
        if size == -1:
            if len(stream) < 8:
                return found, False
            (size,) = struct.unpack("!Q", stream[:8])
            stream = stream[8:]
        if size < 0 or size > LIMIT:
            return found, True
        if len(stream) < size:
            return found, False
        found.append(stream[:size])
        stream = stream[size:]
    return found, False


def native_messages(stream: bytes) -> tuple[list[bytes], bool | None]:
    """The same for our own framing; it is not said whether it is broken by what speaks of a descriptor."""
    found: list[bytes] = []
    while len(stream) >= 8:
        (word,) = struct.unpack("<Q", stream[:8])
        stream, size = stream[8:], word & LENGTH_MASK
        if word >> 48 == 0x1FC8:
            return found, None
        if word & ~LENGTH_MASK != MAGIC or size > LIMIT:
            return found, True
        if len(stream) < size:
            return found, False
        found.append(stream[:size])
        stream = stream[size:]
    return found, False


def received(make: Callable[..., Connection], stream: bytes) -> tuple[list[bytes], bool]:
    """What a connection makes of a stream, and whether it takes it for broken; for the end, if not."""
    theirs, ours = socket.socketpair()
    with theirs, contextlib.closing(theirs):
        fd = ours.detach()
        with make(fd, fd, message_limit=LIMIT) as conn:
            theirs.sendall(stream)
            theirs.shutdown(socket.SHUT_WR)
            found: list[bytes] = []
            with pytest.raises(IpcframeError) as caught:
                found.extend(iter(lambda: conn.recv_bytes(timeout=0), None))
            assert caught.type is not TimedOut, "it waits for what never comes"
            with pytest.raises((BrokenConnection, EndOfStream)):
                conn.recv_bytes(timeout=0)
            return found, caught.type is not EndOfStream


def check_standard(stream: bytes) -> None:
    assert received(SocketConnection, stream) == standard_messages(stream)


def check_native(stream: bytes) -> None:
    messages, broken = native_messages(stream)
    found, breaks = received(UnixConnection, stream)
    assert found[: len(messages)] == messages
    if broken is not None:
        assert (found, breaks) == (messages, broken)


# --- handshakes ---

DIGESTS = [b"", b"{sha256}", b"{md5}", b"{sha3_384}", b"{sha1}", b"{", b"{sha256"]
RIGHT = {"prove": ("prove", 0), "challenge": ("say", CHALLENGE + bytes(20)), "welcome": ("say", b"#WELCOME#")}
"""The steps of which a right handshake consists."""
BEGINNINGS = [
    [RIGHT[word] for word in words.split()]
    for words in (
        *("", "", "prove", "prove challenge", "prove challenge welcome"),
        *("challenge", "challenge welcome", "challenge welcome prove"),
    )
]
ANY_STEPS = st.lists(
    st.one_of(
        st.just(("prove", 0)),
        st.tuples(st.just("prove"), st.integers(0, 60)),
        st.builds(
            lambda digest, size: ("say", CHALLENGE + digest + bytes(size)),
            st.sampled_from(DIGESTS),
            st.sampled_from([0, 12, 19, 20, 21, 40, 230, 300]),
        ),
        st.sampled_from([("say", b"#WELCOME#"), ("say", b"#FAILURE#"), ("say", b""), ("say", b"#WELCOME")]),
        st.tuples(st.just("say"), st.binary(max_size=300)),
        st.tuples(st.just("write"), frames(STANDARD, [MAGIC])),
        st.just(("write", b"\x7f\xff\xff\xff")),
    ),
    max_size=6,
)
STEPS = st.builds(list.__add__, st.sampled_from(BEGINNINGS), ANY_STEPS)


class Hostile:
    """One who knows the key, and says whatever a script has."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._heard = b""
        self.proved = False
        """Whether it has proved that it knows the key, if it did nothing else before."""

    def step(self, kind: str, what: Any) -> None:
        """Do one step; nobody may be listening any more."""
        self._hear()
        at = self._heard.rfind(CHALLENGE)
        with contextlib.suppress(ConnectionError, BlockingIOError):
            if kind == "write":
                self._sock.sendall(what)
            elif kind == "say":
                self._sock.sendall(STANDARD.header(len(what)) + what)
            elif at >= 4:
                size = int.from_bytes(self._heard[at - 4 : at], "big")
                challenge = self._heard[at + len(CHALLENGE) : at + size]
                proof = bytearray(b"{sha256}" + hmac.digest(KEY, challenge, "sha256"))
                if what:
                    proof[what % len(proof)] ^= what
                self.proved = self.proved or not what
                self._sock.sendall(STANDARD.header(len(proof)) + proof)

    def _hear(self) -> None:
        with contextlib.suppress(ConnectionError, BlockingIOError):
            while heard := self._sock.recv(4096, socket.MSG_DONTWAIT):
                self._heard += heard


@contextlib.contextmanager
def listening() -> Iterator[SocketListener]:
    with SocketListener(new_address("fuzz"), socket.AF_UNIX, backlog=5, authkey=KEY) as listener:
        yield listener


def check_listener(steps: list[tuple[str, Any]]) -> None:
    with listening() as listener, socket.socket(socket.AF_UNIX) as sock:
        sock.connect(listener.address)
        hostile = Hostile(sock)
        for step in [("write", b""), *steps]:
            hostile.step(*step)
            refused = _accept(listener, hostile)
            assert refused is None or not listener._clients
        sock.close()
        _accept(listener, hostile)
        assert not listener._clients, "it is neither refused nor forgotten"
        client = Worker(lambda: Client(listener.address, authkey=KEY))
        with listener.accept(timeout=20), client.result():
            pass


def _accept(listener: SocketListener, hostile: Hostile) -> HandshakeFailed | None:
    try:
        with listener.accept(timeout=0):
            assert hostile.proved, "somebody came in without the key"
    except HandshakeFailed as error:
        return error
    except TimedOut:
        pass
    return None


def check_client(steps: list[tuple[str, Any]]) -> None:
    theirs, ours = socket.socketpair()
    with theirs:
        fd = ours.detach()
        with SocketConnection(fd, fd) as conn:
            handshake = Handshake(conn, calling(KEY), "the listener")
            hostile = Hostile(theirs)
            try:
                for step in steps:
                    hostile.step(*step)
                    if handshake.advance():
                        assert hostile.proved, "it trusts who does not know the key"
                        return
                theirs.close()
                with pytest.raises((HandshakeFailed, EndOfStream, ConnectionError)):
                    handshake.advance()
            except HandshakeFailed:
                pass


TARGETS = {
    "the standard framing": Target(frames(STANDARD, [MAGIC]), check_standard),
    "our own framing": Target(frames(NATIVE, [MAGIC, 0x1FC8 << 48]), check_native),
    "a listener's handshake": Target(STEPS, check_listener),
    "a client's handshake": Target(STEPS, check_client),
}


def fuzz(target: Target, count: int) -> None:
    """Check so many cases, and some of them again: nothing grows."""
    seen: list[Any] = []

    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(target.cases)
    def run(case: Any) -> None:
        target.check(case)
        if len(seen) < REPLAYED:
            seen.append(case)

    run()
    before = (open_descriptors(), own_memory())
    for case in seen:
        target.check(case)
    gc.collect()
    assert not open_descriptors() - before[0]
    assert own_memory() - before[1] < GROWTH


@pytest.mark.parametrize("target", TARGETS)
def test_whatever_comes_there_is_an_error_or_a_right_result(target: str) -> None:
    fuzz(TARGETS[target], QUICK)


@pytest.mark.ci
@pytest.mark.parametrize("target", TARGETS)
def test_whatever_comes_there_is_an_error_or_a_right_result_in_many_cases(target: str) -> None:
    fuzz(TARGETS[target], LONG)
