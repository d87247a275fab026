"""Messages over a byte stream: any chunking gives the same messages, and garbage is refused."""

from __future__ import annotations

import os
import resource
import struct
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipcframe.errors import BrokenConnection, EndOfStream, MessageTooLarge
from ipcframe.toolkit.framing import HEADER, frame_header
from ipcframe.toolkit.intake import Intake
from ipcframe.toolkit.outlet import Outlet
from ipcframe.toolkit.stream import StreamConnection

MESSAGES = st.lists(st.binary(max_size=300), max_size=12)


def owner() -> str:
    return "the test"


def drain(intake: Intake) -> list[bytes]:
    """Every message that is there, until there is no more for now."""
    found = []
    try:
        while True:
            message = intake.next_message(None)
            if message is not None:
                found.append(bytes(message))
                assert intake.take(message)
                assert not intake.take(message), "it is taken once"
    except BlockingIOError:
        return found


@given(messages=MESSAGES, cuts=st.lists(st.integers(0, 4000), max_size=20))
def test_however_the_stream_is_cut_the_messages_are_the_same(messages: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(frame_header(len(message)) + message for message in messages)
    read_fd, write_fd = os.pipe()
    os.set_blocking(read_fd, False)
    try:
        intake = Intake(read_fd, 10**6, owner)
        found = []
        edges = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
        for start, end in pairwise(edges):
            os.write(write_fd, stream[start:end])
            found += drain(intake)
        assert found == messages
    finally:
        os.close(read_fd)
        os.close(write_fd)


@given(garbage=st.binary(min_size=8, max_size=200))
@settings(max_examples=300)
def test_garbage_is_a_broken_connection_or_a_well_formed_message(garbage: bytes) -> None:
    read_fd, write_fd = os.pipe()
    os.set_blocking(read_fd, False)
    os.write(write_fd, garbage)
    os.close(write_fd)
    intake = Intake(read_fd, 10**6, owner)
    try:
        for _ in range(100):
            intake.next_message(None)
    except BrokenConnection as error:
        assert "begin no message" in str(error)  # noqa: PT017
        with pytest.raises(BrokenConnection):
            intake.next_message(None)
    except EndOfStream:
        assert garbage[6:8] == HEADER.pack(0x1FC7 << 48)[6:]
    finally:
        os.close(read_fd)


def test_nothing_is_allocated_for_a_header_beyond_the_limit() -> None:
    read_fd, write_fd = os.pipe()
    receiver = StreamConnection(read_fd, None)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    os.write(write_fd, frame_header(2**47))
    with pytest.raises(BrokenConnection, match=f"of {2**47} bytes; its limit is"):
        receiver.recv()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 4096
    receiver.close()
    os.close(write_fd)


def test_a_claimed_size_within_the_limit_costs_no_memory_before_the_data_comes() -> None:
    read_fd, write_fd = os.pipe()
    receiver = StreamConnection(read_fd, None)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    os.write(write_fd, frame_header(2**31) + b"x" * 100)
    os.close(write_fd)
    with pytest.raises(EndOfStream, match="in the middle of a message"):
        receiver.recv()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 16 * 1024
    receiver.close()


def test_a_message_above_the_limit_is_refused_where_it_is_sent() -> None:
    read_fd, write_fd = os.pipe()
    sender = StreamConnection(None, write_fd, message_limit=5000)
    with pytest.raises(MessageTooLarge, match="6000 bytes is above the limit of 5000"):
        sender.send_bytes(bytes(6000))
    sender.send_bytes(b"fine")
    sender.close()
    os.close(read_fd)


def test_frames_up_to_the_atomic_size_are_one_write_and_larger_ones_a_list() -> None:
    outlet = Outlet(-1, 10**6, 4096, owner)
    assert outlet.frame([b"a", b"bc"]) == frame_header(3) + b"abc"
    assert isinstance(outlet.frame([bytes(4088)]), bytes)
    assert isinstance(outlet.frame([bytes(4089)]), list)


def test_the_header_is_what_the_module_says() -> None:
    assert frame_header(5) == struct.pack("<Q", (0x1FC7 << 48) | 5)
