"""Large messages where descriptors, files, memory or system calls are short: they arrive all the same."""

from __future__ import annotations

import errno
import resource
from collections.abc import Iterator

import numpy
import pytest
from block_ends import FREE, SIZE, Ends, array, sending_and_receiving, states

from ipcframe.conformance.conditions import Worker
from ipcframe.conformance.limits import few_descriptors, free_descriptor, limited
from ipcframe.toolkit import blocks, leases, memory
from ipcframe.toolkit.blocks import LEAST
from ipcframe.toolkit.rights import RightsConnection


@pytest.fixture
def pair() -> Iterator[Ends]:
    """A sending and a receiving end; both leave nothing."""
    with sending_and_receiving() as ends:
        yield ends


def goes_through_the_socket(sender: RightsConnection, receiver: RightsConnection) -> None:
    receiving = Worker(receiver.recv)
    sender.send(array(7))
    got = receiving.result()
    assert (got == 7).all()
    assert states(sender) == []


@pytest.mark.parametrize("more", [0, 1, 2, 3])
def test_without_descriptors_messages_go_through_the_socket(pair: Ends, more: int) -> None:
    with few_descriptors(more):
        goes_through_the_socket(*pair)


def test_where_files_may_not_be_large_messages_go_through_the_socket(pair: Ends) -> None:
    with limited(resource.RLIMIT_FSIZE, LEAST):
        goes_through_the_socket(*pair)


@pytest.mark.parametrize("size", [LEAST, SIZE - 1])
def test_a_block_that_may_no_longer_be_written_to_is_given_up(pair: Ends, size: int) -> None:
    sender, receiver = pair
    sender.send(array(1))
    receiver.recv()
    with limited(resource.RLIMIT_FSIZE, size):
        goes_through_the_socket(sender, receiver)


@pytest.mark.parametrize("missing", ["/proc", "locks"])
def test_where_the_system_lacks_something_nothing_is_tried_again(
    pair: Ends, missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []
    make = memory.anonymous_file

    def count(name: str, size: int) -> int:
        tried.append(size)
        return make(name, size)

    monkeypatch.setattr(blocks, "anonymous_file", count)
    if missing == "/proc":
        monkeypatch.setattr(blocks, "_OPEN_FILES", "/nowhere")
    else:
        monkeypatch.setattr(blocks, "_IN_FLIGHT_LOCK", bytes([99]) * 32)
    for _ in range(3):
        goes_through_the_socket(*pair)
    assert len(tried) == 1


def test_where_memory_is_short_messages_go_through_the_socket(
    pair: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "_LOOK_AT_MEMORY", SIZE)
    monkeypatch.setattr(blocks, "available", lambda: SIZE)
    goes_through_the_socket(*pair)


@pytest.mark.parametrize("error", [TimeoutError("a handler's"), OSError(errno.ENOSPC, "a handler's")])
def test_an_error_that_a_handler_raises_gets_out(
    pair: Ends, error: OSError, monkeypatch: pytest.MonkeyPatch
) -> None:
    def late(*_: object) -> None:
        raise type(error)(*error.args)

    sender, receiver = pair
    for number, (owner, step) in enumerate(((blocks._Block, "write"), (leases, "mark_taken"))):
        with monkeypatch.context() as patched:
            patched.setattr(owner, step, late)
            if step == "mark_taken":
                sender.send(array(number))
            with pytest.raises(OSError, match="a handler's"):
                receiver.recv() if step == "mark_taken" else sender.send(array(number))
    assert (receiver.recv() == 1).all()


@pytest.mark.parametrize("why", ["descriptors", "mappings"])
def test_a_receiver_that_cannot_map_has_a_copy(pair: Ends, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(lease: int, size: int) -> memoryview:
        raise OSError(errno.ENOMEM, "no mapping more")

    if why == "mappings":
        monkeypatch.setattr(leases, "_mapped", refuse)
        monkeypatch.setattr(leases, "is_refusal", bool)
    else:
        monkeypatch.setattr(leases, "_WITHOUT_DESCRIPTOR", {})
        monkeypatch.setattr(leases, "spare_descriptors", lambda fd: False)
    sender, receiver = pair
    kept = []
    for number in range(3):
        sender.send(array(number))
        kept.append(receiver.recv())
        assert states(sender) == [FREE]
    for number, got in enumerate(kept):
        assert (got == number).all()
        numpy.add(got, 1, out=got)


def test_messages_that_are_kept_leave_half_of_the_descriptors(pair: Ends) -> None:
    sender, receiver = pair
    with limited(resource.RLIMIT_NOFILE, 2 * free_descriptor(12)):
        kept = []
        for number in range(60):
            receiving = Worker(receiver.recv)  # some may come through the socket
            sender.send(numpy.full(LEAST // 8, number))
            kept.append(receiving.result())
        assert free_descriptor(0) <= free_descriptor(12)
    assert [int(one[9]) for one in kept] == list(range(60))
