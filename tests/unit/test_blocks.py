"""Large messages in shared memory: whose they are, and how long they live."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import numpy
import pytest
from block_ends import FREE, SENT, SIZE, TAKEN, Ends, array, sending_and_receiving, states

import ipcframe
from ipcframe.conformance.conditions import PATIENCE, Worker, open_descriptors, own_memory
from ipcframe.errors import TimedOut
from ipcframe.toolkit import blocks
from ipcframe.toolkit.blocks import LEAST
from ipcframe.toolkit.rights import RightsConnection


@pytest.fixture
def pair() -> Iterator[Ends]:
    """A sending and a receiving end; both leave nothing."""
    with sending_and_receiving() as ends:
        yield ends


def test_a_block_is_used_again_when_the_last_view_is_gone(pair: Ends) -> None:
    sender, receiver = pair
    for number in range(5):
        sender.send(array(number))
        assert states(sender) == [SENT]
        got = receiver.recv()
        part = got[5:10]
        assert states(sender) == [TAKEN]
        del got
        assert states(sender) == [TAKEN]
        assert (part == number).all()
        del part
        assert states(sender) == [FREE]


def test_what_is_copied_out_gives_its_block_back_at_once(pair: Ends) -> None:
    sender, receiver = pair
    message = os.urandom(SIZE)
    target = bytearray(SIZE)
    for _ in range(3):
        sender.send_bytes(message)
        assert receiver.recv_bytes() == message
        assert set(states(sender)) == {FREE}
        sender.send_bytes(message)
        assert receiver.recv_bytes_into(target) == SIZE
        assert target == message
        sender.send(message)
        assert receiver.recv() == message
        assert set(states(sender)) == {FREE}


def test_a_message_is_its_receivers_own_memory_and_costs_none_until_it_is_changed(pair: Ends) -> None:
    sender, receiver = pair
    sent = numpy.full(8 * LEAST, 1)
    before = own_memory()
    sender.send(sent)
    got = receiver.recv()
    assert (got == 1).all()
    assert own_memory() - before < sent.nbytes // 4
    got[:] = 2
    assert own_memory() - before > sent.nbytes // 2
    sender.send(sent)
    assert (receiver.recv() == 1).all()
    assert (got == 2).all()


def test_a_receiver_may_keep_as_many_as_it_likes_also_after_both_ends_are_closed(pair: Ends) -> None:
    sender, receiver = pair
    kept = []
    for number in range(20):
        sender.send(array(number))
        kept.append(receiver.recv())
    assert len(states(sender)) <= 8
    sender.close()
    receiver.close()
    for number, one in enumerate(kept):
        assert (one == number).all()
        numpy.add(one, 1, out=one)
    assert [int(one[0]) for one in kept] == list(range(1, 21))


def sent_without_waiting(sender: RightsConnection, message: bytes) -> int:
    """How often the message can be sent until one has to wait, which is not sent."""
    sent = 0
    with suppress(TimedOut):
        while sent < 100_000:
            sender.send_bytes(message, timeout=0)
            sent += 1
    return sent


def test_an_end_has_a_bounded_number_of_messages_in_flight_and_the_rest_waits(pair: Ends) -> None:
    sender, receiver = pair
    number = sent_without_waiting(sender, b"x" * SIZE)
    assert 0 < number <= 8
    assert states(sender) == [SENT] * number
    for _ in range(number):
        assert receiver.recv_bytes() == b"x" * SIZE
    assert states(sender) == [FREE] * number


def test_the_bytes_in_flight_are_bounded_but_for_one_message(
    pair: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    sender, receiver = pair
    for bound, number in ((3 * SIZE, 3), (SIZE // 2, 1)):
        monkeypatch.setattr(blocks, "_IN_FLIGHT", bound)
        assert sent_without_waiting(sender, bytes(SIZE)) == number
        # What had to wait went into the socket in part, and is written with the next operation.
        receiving = Worker(lambda: [len(receiver.recv_bytes()) for _ in range(number + 2)])  # noqa: B023
        sender.send_bytes(b"next")
        assert receiving.result() == [SIZE] * (number + 1) + [4]


def test_a_send_that_gave_up_has_left_its_block_free(pair: Ends) -> None:
    sender, _ = pair
    for _ in range(100):
        sent_without_waiting(sender, b"x" * 1000)
        assert sent_without_waiting(sender, bytes(SIZE)) == 0
    assert states(sender) == [FREE]


# --- forks ---


def forked(work: Callable[[], bool]) -> tuple[int, int]:
    """A child that does the work when a byte comes, then ends; its pid, and where to write the byte."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.read(reading, 1)
            os._exit(0 if work() else 1)
        finally:
            os._exit(2)
    os.close(reading)
    return pid, writing


def end_of(pid: int, writing: int) -> int:
    os.write(writing, b"g")
    os.close(writing)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_what_is_alive_at_a_fork_stays_as_it_is_in_both_processes(pair: Ends) -> None:
    sender, receiver = pair
    for number in range(3):
        sender.send(array(number))
        got = receiver.recv()

        def change(got: Any = got, number: int = number) -> bool:
            unchanged = bool((got == number).all())
            got[:] = -1
            return unchanged and bool((got == -1).all())

        child, other = forked(change), forked(change)
        sender.send(array(99))
        receiver.recv()
        assert end_of(*child) == 0
        assert (got == number).all()
        del got, change
        assert TAKEN in states(sender)
        sender.send(array(99))
        receiver.recv()
        assert end_of(*other) == 0
        assert set(states(sender)) == {FREE}


def test_a_child_has_none_of_its_parents_blocks_and_sends_in_its_own(pair: Ends) -> None:
    sender, receiver = pair
    sender.send(array(1))
    receiver.recv()

    def send() -> bool:
        inherited = states(sender), [one for one in open_descriptors() if "ipcframe block" in one]
        sender.send(array(2))
        return inherited == ([], [])

    child = forked(send)
    assert end_of(*child) == 0
    assert (receiver.recv() == 2).all()
    assert states(sender) == [FREE]


def test_who_is_killed_with_messages_leaves_their_blocks_free(pair: Ends) -> None:
    sender, receiver = pair
    child, writing = forked(lambda: bool(receiver.recv(timeout=PATIENCE).any()))
    sender.send(array(1))
    sender.send(array(2))
    assert end_of(child, writing) == 0
    assert states(sender) == [FREE, SENT]
    receiver.recv()
    assert states(sender) == [FREE, FREE]


# --- memory that is kept ---


def test_a_block_that_is_not_needed_for_long_is_given_up(pair: Ends) -> None:
    sender, receiver = pair
    sender.send_bytes(bytes(16 * LEAST))
    receiver.recv_bytes()
    for _ in range(blocks._UNUSED + 1):
        sender.send_bytes(bytes(LEAST))
        receiver.recv_bytes()
    owned = sender._outlet._blocks
    assert owned is not None
    assert owned.kept() == LEAST


def test_what_other_ends_keep_is_given_up_when_the_process_keeps_too_much(
    pair: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    sender, receiver = pair
    first, second = socket.socketpair()
    with RightsConnection(None, first.detach()) as other, RightsConnection(second.detach(), None) as end:
        other.send(array(1))
        end.recv()
        sender.send(array(1))
        receiver.recv()
        assert states(other) == [FREE]
        monkeypatch.setattr(blocks, "_PART_KEPT", 2**60)
        sender.send(numpy.zeros(SIZE))
        assert states(other) == []
        assert (receiver.recv() == 0).all()


# --- the end moves on ---


def test_an_end_can_be_handed_over_between_two_large_messages() -> None:
    context = ipcframe.get_context("fork", backend="unix")
    first, second = context.Pipe()
    carrier, carried = context.Pipe()
    with first, second, carrier, carried:
        first.send(array(1))
        kept = second.recv()
        first.send(array(2))
        first.send(array(3))
        carrier.send(second)
        with carried.recv(timeout=PATIENCE) as moved:
            second.close()
            assert [int(moved.recv()[0]) for _ in range(2)] == [2, 3]
            moved.send(array(4))
            assert int(first.recv()[0]) == 4
            assert (kept == 1).all()


def test_nothing_of_this_starts_a_thread(pair: Ends) -> None:
    before = threading.active_count()
    pair[0].send(array(1))
    pair[1].recv()
    assert threading.active_count() == before
