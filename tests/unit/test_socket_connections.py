"""Connections over sockets, in the standard library's framing: what goes over them, and what must not."""

from __future__ import annotations

import gc
import multiprocessing.connection as standard
import os
import socket
from contextlib import suppress
from itertools import pairwise
from multiprocessing import reduction
from pathlib import Path
from typing import Any

import pytest
from connecting import connected
from hypothesis import given
from hypothesis import strategies as st
from listener_targets import KEY

from ipcframe import connection
from ipcframe.conformance.conditions import Worker, arrived, clog, stopwatch
from ipcframe.errors import BrokenConnection, EndOfStream, MessageTooLarge, TimedOut
from ipcframe.toolkit.framing import STANDARD
from ipcframe.toolkit.sockets import Socket, SocketConnection
from ipcframe.toolkit.stream import StreamConnection


def pair() -> tuple[SocketConnection, socket.socket]:
    """A connection, and the bare socket at its other end."""
    first, second = socket.socketpair()
    fd = first.detach()
    return SocketConnection(fd, fd), second


# --- the framing ---


@given(
    messages=st.lists(st.binary(max_size=300), max_size=12),
    long=st.booleans(),
    cuts=st.lists(st.integers(0, 4000), max_size=20),
)
def test_however_the_stream_is_cut_the_messages_are_the_same(
    messages: list[bytes], long: bool, cuts: list[int]
) -> None:
    def header(size: int) -> bytes:
        return b"\xff\xff\xff\xff" + size.to_bytes(8, "big") if long else STANDARD.header(size)

    stream = b"".join(header(len(message)) + message for message in messages)
    receiver, sock = pair()
    with receiver, sock:
        found = []
        edges = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
        for start, end in pairwise(edges):
            sock.sendall(stream[start:end])
            with suppress(TimedOut):
                while True:
                    found.append(receiver.recv_bytes(timeout=0))
        assert found == messages


@given(garbage=st.binary(min_size=4, max_size=100))
def test_garbage_is_a_broken_connection_or_the_end_or_a_message(garbage: bytes) -> None:
    receiver, sock = pair()
    with receiver:
        with sock:
            sock.sendall(garbage)
        for _ in range(30):
            try:
                receiver.recv_bytes(timeout=0)
            except (BrokenConnection, EndOfStream):
                break
        else:
            pytest.fail("neither")


def test_lengths_are_written_as_the_standard_library_does() -> None:
    assert STANDARD.header(5) == b"\0\0\0\x05"
    assert STANDARD.header(2**31 - 1) == b"\x7f\xff\xff\xff"
    assert STANDARD.header(2**31) == b"\xff\xff\xff\xff\0\0\0\0\x80\0\0\0"


def test_a_message_above_the_limit_is_refused_on_both_sides() -> None:
    first, second = socket.socketpair()
    fds = first.detach(), second.detach()
    limited, other = (
        SocketConnection(fd, fd, message_limit=limit) for fd, limit in zip(fds, (100, None), strict=True)
    )
    with limited, other:
        with pytest.raises(MessageTooLarge):
            limited.send_bytes(bytes(101))
        other.send_bytes(bytes(101))
        with pytest.raises(BrokenConnection, match="its limit is 100"):
            limited.recv_bytes()


def test_what_was_sent_in_part_goes_out_once_and_whole() -> None:
    sender, sock = pair()
    fd = sock.detach()
    receiver = SocketConnection(fd, fd)
    with sender, receiver:
        sent = clog(sender, (100_000, 8))
        receiving = Worker(lambda: list(iter(receiver.recv_bytes, b"end")))
        sender.send_bytes(b"end")
        arrived(receiving.result(), sent)


class AtomicConnection(StreamConnection):
    atomic_write = 512


@pytest.mark.parametrize(("kind", "move"), [(AtomicConnection, "write_atomic"), (SocketConnection, "begin")])
def test_an_error_that_a_handler_raises_after_the_write_gets_out_and_nothing_is_sent_twice(
    kind: type[StreamConnection], move: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = socket.socketpair()
    fds = first.detach(), second.detach()
    with kind(fds[0], fds[0]) as sender, kind(fds[1], fds[1]) as receiver:
        original = getattr(sender._outlet, move)

        def interrupted(frame: Any) -> bool:
            original(frame)
            raise TimeoutError("a handler's")

        with monkeypatch.context() as patched:
            patched.setattr(sender._outlet, move, interrupted)
            with pytest.raises(TimeoutError, match="a handler's"):
                sender.send_bytes(b"once")
        sender.send_bytes(b"next")
        assert [receiver.recv_bytes(), receiver.recv_bytes()] == [b"once", b"next"]


# --- what goes over it ---


def test_a_connection_travels_through_another() -> None:
    with connected(authkey=KEY) as (here, there), connected() as (other, sent):
        here.send(sent)
        with there.recv(timeout=10) as received:
            received.send("through")
            assert other.recv() == "through"


def test_descriptors_are_passed_by_the_standard_librarys_functions() -> None:
    with connected(authkey=KEY) as (here, there), Path("/proc/self/stat").open() as file:
        receiving = Worker(lambda: reduction.recv_handle(there))
        receiving.eventually_asleep()
        reduction.send_handle(here, file.fileno(), os.getpid())
        with os.fdopen(receiving.result()) as same:
            assert os.path.sameopenfile(file.fileno(), same.fileno())


def test_large_buffers_travel_in_band_and_arrive_as_what_they_were() -> None:
    numpy = pytest.importorskip("numpy")
    with connected() as (here, there):
        for obj in (numpy.arange(100_000), bytearray(300_000), b"x" * 2_000_000):
            sending = Worker(lambda: here.send(obj))  # noqa: B023
            got = there.recv()
            sending.result()
            assert type(got) is type(obj)
            assert bytes(got) == bytes(obj)


@pytest.mark.parametrize("header", [b"\xff\xff\xff\xfe", b"\x80\0\0\0", b"\xff" * 12])
def test_a_length_that_is_none_breaks_the_connection_before_any_memory_is_taken(header: bytes) -> None:
    with connected() as (here, there):
        os.write(here.fileno(), header + b"x" * 20)
        for _ in range(2):
            with pytest.raises(BrokenConnection):
                there.recv()


def test_a_long_form_of_a_short_length_is_understood() -> None:
    with connected() as (here, there):
        os.write(here.fileno(), b"\xff\xff\xff\xff" + (5).to_bytes(8, "big") + b"hello")
        assert there.recv_bytes() == b"hello"


def test_a_default_timeout_of_sockets_changes_nothing() -> None:
    socket.setdefaulttimeout(5)
    try:
        with connected(authkey=KEY) as (here, there), stopwatch() as seconds:
            assert not here.poll()
            with pytest.raises(TimedOut):
                there.recv(timeout=0)
            assert seconds() < 2
    finally:
        socket.setdefaulttimeout(None)


def test_objects_may_travel_as_xml() -> None:
    with connection.XmlListener(authkey=KEY) as listener:
        client = Worker(lambda: connection.XmlClient(listener.address, authkey=KEY))
        there, here = listener.accept(), client.result()
        here.send([1, "two", None])
        assert there.recv() == [1, "two", None]
        here.close()
        there.close()


def test_connections_of_ours_and_of_the_standard_library_are_waited_for_together() -> None:
    other, end = standard.Pipe()
    with connected(authkey=KEY) as (here, there), other, end:
        assert connection.wait([here, other], 0) == []
        there.send("x")
        assert connection.wait([other, here], 10) == [here]
        assert here.recv() == "x"
        end.send("y")
        assert connection.wait([other, here], 10) == [other]


def test_a_connection_that_is_half_made_leaves_its_socket_to_others() -> None:
    first, second = socket.socketpair()
    with second:
        held = Socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, first.detach())
        made = SocketConnection(held.fileno(), held.fileno(), sock=held)
        del made
        gc.collect()
        held.send(b"alive")
        assert second.recv(10) == b"alive"
