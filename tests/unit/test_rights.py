"""Messages with a descriptor: what is refused of them, and what becomes of the descriptor."""

from __future__ import annotations

import array
import errno
import fcntl
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

import pytest
from block_ends import numbers
from hypothesis import given, settings
from hypothesis import strategies as st

from ipcframe.abc import Buffer
from ipcframe.conformance.conditions import Worker, clog, open_descriptors
from ipcframe.conformance.limits import few_descriptors
from ipcframe.errors import (
    BrokenConnection,
    EndOfStream,
    MessageTooLarge,
    OtherKindOfMessage,
    TimedOut,
    UnsupportedOperation,
)
from ipcframe.toolkit.blocks import LEAST
from ipcframe.toolkit.framing import HEADER, RIGHTS, frame_header
from ipcframe.toolkit.memory import anonymous_file
from ipcframe.toolkit.rights import Noted, RightsConnection

NOTHING, BLOCK, HANDLE = range(3)
ANNOUNCEMENT = HEADER.pack(RIGHTS | 16)


def ends(message_limit: int | None = None) -> tuple[RightsConnection, RightsConnection]:
    first, second = socket.socketpair()
    fds = first.detach(), second.detach()
    ours, theirs = (RightsConnection(fd, fd, message_limit=message_limit) for fd in fds)
    return ours, theirs


def pair(message_limit: int | None = None) -> tuple[RightsConnection, socket.socket]:
    """A connection, and the bare socket at its other end."""
    first, second = socket.socketpair()
    fd = first.detach()
    return RightsConnection(fd, fd, message_limit=message_limit), second


def notes(kind: int, size: int) -> bytes:
    return kind.to_bytes(8, "little") + size.to_bytes(8, "little")


def send_notes(sock: socket.socket, body: bytes, fds: Sequence[int] = ()) -> None:
    sock.sendall(ANNOUNCEMENT)
    beside = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    sock.sendmsg([body], beside)


@contextmanager
def file_of(make: Callable[[], int]) -> Iterator[int]:
    fd = make()
    try:
        yield fd
    finally:
        os.close(fd)


def block(content: bytes, size: int | None = None) -> int:
    fd = anonymous_file("test", size or len(content))
    os.pwrite(fd, content, 0)
    return fd


def unsealed() -> int:
    fd = anonymous_file("test")
    os.ftruncate(fd, 4096)
    return fd


def without_seals() -> int:
    fd = os.memfd_create("test")
    os.ftruncate(fd, 4096)
    return fd


def write_only() -> int:
    with file_of(lambda: block(b"x" * 4096)) as fd:
        return os.open(f"/proc/self/fd/{fd}", os.O_WRONLY)


WRONG: dict[str, tuple[Callable[[], int], int, str]] = {
    "not sealed": (unsealed, 4096, "not sealed against shrinking"),
    "made without seals": (without_seals, 4096, "not sealed against shrinking"),
    "too small": (lambda: block(b"x" * 4096), 4097, "4096 bytes for a message of 4097"),
    "a file": (lambda: os.open(__file__, os.O_RDONLY), 10, "no file in memory"),
    "a device": (lambda: os.open("/dev/zero", os.O_RDWR), 4096, "no file in memory"),
    "a folder": (lambda: os.open("/", os.O_RDONLY), 4096, "no file in memory"),
    "a path only": (lambda: os.open("/", os.O_PATH), 4096, "no file in memory"),
    "a socket": (lambda: socket.socket().detach(), 4096, "no file in memory"),
    "an eventfd": (lambda: os.eventfd(0), 4096, "no file in memory"),
    "not readable": (write_only, 4096, "cannot be read"),
    "no bytes": (lambda: block(b"x"), 0, "make no sense"),
    "all bytes": (lambda: block(b"x"), 2**64 - 1, "its limit is"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_no_block_is_refused_and_closed(wrong: str) -> None:
    make, size, text = WRONG[wrong]
    before = open_descriptors()
    receiver, sock = pair()
    with receiver, sock:
        with file_of(make) as fd:
            send_notes(sock, notes(BLOCK, size), [fd])
        for _ in range(2):
            with pytest.raises(BrokenConnection, match=text):
                receiver.recv_bytes(timeout=1)
    assert not open_descriptors() - before


@pytest.mark.parametrize("kind", [BLOCK, HANDLE, 3, 2**63])
@pytest.mark.parametrize("count", [0, 1, 2])
def test_notes_without_the_one_descriptor_that_they_need_are_refused(kind: int, count: int) -> None:
    before = open_descriptors()
    receiver, sock = pair()
    with receiver, sock, file_of(lambda: block(b"x" * 4096)) as fd:
        send_notes(sock, notes(kind, 4096 if kind == BLOCK else 0), [fd] * count)
        if count == 1 and kind == BLOCK:
            assert receiver.recv_bytes() == b"x" * 4096
        elif count == 1 and kind == HANDLE:
            os.close(receiver.recv_handle())
        else:
            with pytest.raises(BrokenConnection, match=r"make no sense|several descriptors"):
                receiver.recv_bytes(timeout=1)
    assert not open_descriptors() - before


def test_a_descriptor_with_any_other_bytes_is_closed_by_the_system() -> None:
    before = open_descriptors()
    receiver, sock = pair()
    with receiver, sock:
        with file_of(lambda: block(b"x")) as fd:
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))]
            sock.sendmsg([frame_header(4) + b"abcd"], rights)
            sock.sendmsg([ANNOUNCEMENT], rights)
        assert receiver.recv_bytes() == b"abcd"
        sock.sendall(notes(BLOCK, 1))
        with pytest.raises(BrokenConnection, match="without a descriptor"):
            receiver.recv_bytes()
    assert not open_descriptors() - before


def test_a_block_above_the_limit_is_refused_and_not_mapped() -> None:
    receiver, sock = pair(message_limit=100)
    with receiver, sock, file_of(lambda: block(bytes(200))) as fd:
        send_notes(sock, notes(BLOCK, 101), [fd])
        with pytest.raises(BrokenConnection, match="its limit is 100"):
            receiver.recv_bytes()
    receiver, sock = pair()
    with receiver, sock, file_of(lambda: block(bytes(200))) as fd:
        send_notes(sock, notes(BLOCK, 101), [fd])
        with pytest.raises(MessageTooLarge, match="above the maxlength of 100"):
            receiver.recv_bytes(100)


@pytest.mark.parametrize("cut", [0, 1, 8, 15])
def test_a_stream_that_ends_within_notes_has_ended(cut: int) -> None:
    before = open_descriptors()
    receiver, sock = pair()
    with receiver:
        with sock, file_of(lambda: block(b"x")) as fd:
            if cut:
                send_notes(sock, notes(BLOCK, 1)[:cut], [fd])
            else:
                sock.sendall(ANNOUNCEMENT)
            with pytest.raises(TimedOut):
                receiver.recv_bytes(timeout=0)
        for _ in range(2):
            with pytest.raises(EndOfStream, match="in the middle of a message"):
                receiver.recv_bytes(timeout=1)
    assert not open_descriptors() - before


@pytest.mark.parametrize("cut", range(1, 16))
def test_notes_that_come_in_two_pieces_are_understood(cut: int) -> None:
    receiver, sock = pair()
    with receiver, sock, file_of(lambda: block(b"whole")) as fd:
        send_notes(sock, notes(BLOCK, 5)[:cut], [fd])
        with pytest.raises(TimedOut):
            receiver.recv_bytes(timeout=0)
        sock.sendall(notes(BLOCK, 5)[cut:] + frame_header(4) + b"next")
        assert [receiver.recv_bytes(), receiver.recv_bytes()] == [b"whole", b"next"]


@given(pieces=st.lists(st.tuples(st.binary(max_size=30), st.booleans(), st.integers(0, 2)), max_size=6))
@settings(deadline=None)
def test_garbage_with_descriptors_is_an_error_or_the_end_and_leaks_nothing(
    pieces: list[tuple[bytes, bool, int]],
) -> None:
    before = numbers()
    receiver, sock = pair()
    with receiver, file_of(lambda: block(b"x" * 64)) as fd:
        with sock:
            for body, announced, fds in pieces:
                if announced:
                    sock.sendall(ANNOUNCEMENT)
                beside = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd] * fds))] if fds else []
                if body:
                    sock.sendmsg([body], beside)
        for _ in range(30):
            try:
                with suppress(OtherKindOfMessage):
                    receiver.recv_bytes(timeout=1)
                    continue
                os.close(receiver.recv_handle())
            except (BrokenConnection, EndOfStream):
                break
        else:
            pytest.fail("neither")
    assert numbers() == before


# --- handles ---


def test_a_descriptor_arrives_as_one_of_the_receivers_own() -> None:
    sender, receiver = ends()
    before = open_descriptors()
    with sender, receiver:
        reading, writing = os.pipe()
        sender.send_handle(writing)
        os.close(writing)
        received = receiver.recv_handle()
        assert fcntl.fcntl(received, fcntl.F_GETFD) & fcntl.FD_CLOEXEC
        os.write(received, b"through")
        os.close(received)
        assert os.read(reading, 20) == b"through"
        assert os.read(reading, 20) == b""
        os.close(reading)
        for wrong, error in ((-1, OSError), (10**6, OSError), ("1", TypeError), (None, TypeError)):
            with pytest.raises(error):
                sender.send_handle(wrong)  # type: ignore[arg-type]
        with pytest.raises(TimedOut):
            receiver.recv_handle(timeout=0)
    assert open_descriptors() < before


def test_a_message_of_the_other_kind_stays_where_it_is() -> None:
    sender, receiver = ends()
    with sender, receiver, file_of(lambda: block(b"x")) as fd:
        sender.send("object")
        sender.send_handle(fd)
        sender.send_bytes(bytes(LEAST))
        assert receiver.poll()
        with pytest.raises(OtherKindOfMessage, match="recv_bytes"):
            receiver.recv_handle()
        assert receiver.recv() == "object"
        for receive in (receiver.recv, receiver.recv_bytes, lambda: receiver.recv_bytes_into(bytearray(9))):
            with pytest.raises(OtherKindOfMessage, match="recv_handle"):
                receive()
        assert receiver.poll()
        with pytest.raises(UnsupportedOperation, match="cannot be handed over"):
            receiver.__reduce__()
        os.close(receiver.recv_handle())
        with pytest.raises(OtherKindOfMessage):
            receiver.recv_handle()
        assert receiver.recv_bytes() == bytes(LEAST)


def test_a_descriptor_that_nobody_receives_goes_with_the_connection() -> None:
    for seen in (False, True):
        sender, receiver = ends()
        reading, writing = os.pipe()
        sender.send_handle(writing)
        os.close(writing)
        if seen:
            with pytest.raises(OtherKindOfMessage):
                receiver.recv()
        receiver.close()
        assert os.read(reading, 1) == b""
        os.close(reading)
        sender.close()


def test_what_cannot_be_written_yet_is_sent_with_the_next_or_not_at_all() -> None:
    sender, receiver = ends()
    before = open_descriptors()
    with file_of(lambda: block(b"x")) as fd:
        sent = clog(sender, (512, 8, 9))
        for _ in range(5):
            with pytest.raises(TimedOut):
                sender.send_handle(fd, timeout=0)
        receiving = Worker(lambda: [receiver.recv_bytes(timeout=9) for _ in sent])
        sender.send_handle(fd)
        receiving.result()
        handles = []
        with suppress(TimedOut):
            while True:
                handles.append(receiver.recv_handle(timeout=0))
        assert len(handles) in (1, 2), "the one whose header was written, and the last"
        for handle in handles:
            os.close(handle)
    assert not open_descriptors() - before
    sender.close()
    receiver.close()


def test_threads_that_receive_descriptors_get_each_once() -> None:
    sender, receiver = ends()
    before = open_descriptors()
    with file_of(lambda: block(b"x")) as fd:

        def receive() -> list[int]:
            found = []
            with suppress(EndOfStream):
                while True:
                    found.append(receiver.recv_handle())
            return found

        workers = [Worker(receive) for _ in range(4)]
        for _ in range(100):
            sender.send_handle(fd)
        sender.close()
        received = [fd for worker in workers for fd in worker.result()]
        assert len(set(received)) == len(received) == 100
        for one in received:
            os.close(one)
    receiver.close()
    assert open_descriptors() < before


# --- limits ---


def test_a_receiver_without_descriptors_receives_when_it_has_some_again() -> None:
    sender, receiver = ends()
    with sender, receiver, file_of(lambda: block(b"x")) as fd:
        sender.send_handle(fd)
        sender.send_bytes(b"y" * LEAST)
        with few_descriptors(0):
            for _ in range(3):
                with pytest.raises(OSError, match="no descriptor left"):
                    receiver.recv_handle()
        os.close(receiver.recv_handle())
        with few_descriptors(0), pytest.raises(OSError, match="no descriptor left"):
            receiver.recv_bytes()
        assert receiver.recv_bytes() == b"y" * LEAST


def test_where_too_many_descriptors_are_in_flight_messages_go_without(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sender, receiver = ends()
    gather = sender._outlet._gather

    def refuse(view: object) -> int:
        raise OSError(errno.ETOOMANYREFS, "Too many references")

    def refusing(views: tuple[Sequence[Buffer]]) -> Iterator[int]:
        return map(refuse, views) if isinstance(views[0][0], Noted) else gather(views)

    with sender, receiver, file_of(lambda: block(b"x")) as fd:
        monkeypatch.setattr(sender._outlet, "_gather", refusing)
        receiving = Worker(lambda: [receiver.recv_bytes(), receiver.recv_bytes()])
        sender.send_bytes(b"z" * LEAST)
        with pytest.raises(OSError, match="in flight"):
            sender.send_handle(fd)
        sender.send_bytes(b"next")
        assert receiving.result() == [b"z" * LEAST, b"next"]
