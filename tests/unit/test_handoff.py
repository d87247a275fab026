"""Handles in flight: who may fetch a descriptor, how often, and what stays behind."""

from __future__ import annotations

import contextlib
import copy
import os
import pickle
import resource
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from types import FrameType
from typing import Any

import handoff_targets
import pytest

import ipcframe
from ipcframe.conformance.conditions import PATIENCE, eventually, open_descriptors
from ipcframe.errors import HandleLost
from ipcframe.toolkit import arrival, sharer
from ipcframe.toolkit.abstract import foreign_user
from ipcframe.toolkit.serialisation import PICKLE, PickleSerializer

PROGRAM = Path(handoff_targets.__file__)


def context() -> ipcframe.Context:
    return ipcframe.get_context("fork", backend="pipe")


pytestmark = pytest.mark.usefixtures("nothing_in_flight")


def message_of(obj: object) -> bytes:
    return b"".join(PICKLE.dumps(obj))


def converse(one: Any, other: Any) -> None:
    one.send("there")
    assert other.recv(timeout=PATIENCE) == "there"
    other.send("back")
    assert one.recv(timeout=PATIENCE) == "back"


# --- the ticket ---


def test_a_descriptor_is_given_once(ends: tuple[Any, Any]) -> None:
    kept, end = ends
    message = message_of(end)
    with PICKLE.loads(message) as arrived:
        converse(kept, arrived)
    for _ in range(2):
        with pytest.raises(HandleLost, match="another has received it"):
            PICKLE.loads(message)


def test_what_arrives_is_closed_on_exec(ends: tuple[Any, Any]) -> None:
    with PICKLE.loads(message_of(ends[1])) as arrived:
        assert not os.get_inheritable(arrived.fileno())


def test_a_wrong_ticket_gets_nothing(ends: tuple[Any, Any]) -> None:
    parts = PICKLE.dumps(ends[1])
    wrong = arrival.Ticket.new(sharer._address(), lent=False)
    with pytest.raises(HandleLost, match="none for this message"):
        arrival.arrive(wrong).detach()
    assert len(sharer._flights) == len(end_fds(ends[1]))
    PICKLE.discard(parts)


def end_fds(end: Any) -> list[int]:
    return list(end._fds)


class InBand(PickleSerializer):
    in_band = True


def test_a_serializer_that_puts_everything_into_the_pickle_carries_handles_too(ends: tuple[Any, Any]) -> None:
    kept, end = ends
    serializer = InBand()
    parts = serializer.dumps([end, bytearray(300_000)])
    assert sharer._flights
    serializer.discard(parts)
    assert not sharer._flights
    with pytest.raises((AttributeError, pickle.PicklingError)):
        serializer.dumps([end, lambda: 1])
    assert not sharer._duplicates
    with serializer.loads(b"".join(serializer.dumps(end))) as arrived:
        converse(kept, arrived)


def test_buffers_and_handles_share_a_message(ends: tuple[Any, Any]) -> None:
    kept, end = ends
    data = bytearray(os.urandom(100_000))
    first, arrived, second = PICKLE.loads(
        message_of([pickle.PickleBuffer(data), end, pickle.PickleBuffer(data)])
    )
    assert bytes(first) == bytes(second) == data
    with arrived:
        converse(kept, arrived)


@pytest.mark.parametrize("dumps", [pickle.dumps, lambda obj: pickle.dumps(obj, 5), ForkingPickler.dumps])
def test_pickles_of_others_carry_handles_too(dumps: Callable[[Any], bytes], ends: tuple[Any, Any]) -> None:
    kept, end = ends
    with pickle.loads(dumps(end)) as arrived:
        converse(kept, arrived)


def test_a_pickle_within_a_message_carries_handles_too(ends: tuple[Any, Any]) -> None:
    kept, end = ends
    inner = PICKLE.loads(message_of([message_of(end)]))[0]
    with PICKLE.loads(inner) as arrived:
        converse(kept, arrived)


def test_a_handle_can_be_copied(ends: tuple[Any, Any]) -> None:
    kept, end = ends
    for copied in (copy.copy(end), copy.deepcopy(end)):
        with copied:
            converse(kept, copied)


def test_more_handles_than_the_system_passes_in_one_piece_arrive() -> None:
    pairs = [context().Pipe(False) for _ in range(arrival.MOST + 10)]
    arrived = PICKLE.loads(message_of([receiver for receiver, _ in pairs]))
    for number, (receiver, sender) in enumerate(pairs):
        with receiver, sender, arrived[number]:
            sender.send(number)
            assert arrived[number].recv(timeout=PATIENCE) == number


def test_what_a_message_needs_is_fetched_in_one_visit(monkeypatch: pytest.MonkeyPatch) -> None:
    visits = []
    show = arrival._Visit._show

    def count(visit: Any, deadline: Any) -> None:
        visits.append(visit)
        show(visit, deadline)

    monkeypatch.setattr(arrival._Visit, "_show", count)
    pairs = [context().Pipe() for _ in range(5)]
    for end in PICKLE.loads(message_of(pairs)):
        for one in end:
            one.close()
    assert len(visits) == 1
    for pair in pairs:
        for one in pair:
            one.close()


# --- clients ---


def test_silent_clients_delay_nobody_and_are_sent_away(
    ends: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, end = ends
    monkeypatch.setattr(sharer, "_PATIENCE", 0.05)
    silent = []
    with contextlib.ExitStack() as stack:
        for _ in range(30):
            one = stack.enter_context(socket.socket(socket.AF_UNIX))
            one.connect(sharer._address())
            one.settimeout(PATIENCE)
            silent.append(one)
        with PICKLE.loads(message_of(end)) as arrived:
            converse(kept, arrived)
        assert [one.recv(1) for one in silent] == [b""] * len(silent)


def test_a_client_that_is_gone_costs_nobody_anything(ends: tuple[Any, Any]) -> None:
    kept, end = ends
    for said in (b"", b"x", bytes(arrival.SECRET), bytes(1000)):
        with socket.socket(socket.AF_UNIX) as one:
            one.connect(sharer._address())
            one.send(said)
    with PICKLE.loads(message_of(end)) as arrived:
        converse(kept, arrived)


class Line:
    """A socket with somebody at its other end."""

    def __init__(self, uid: int) -> None:
        self._packed = struct.pack("3i", 1, uid, 1)

    def getsockopt(self, *_: int) -> bytes:
        return self._packed


def test_this_user_and_root_are_trusted_and_others_are_not() -> None:
    trusted = {uid: foreign_user(Line(uid)) is None for uid in (0, os.geteuid(), os.geteuid() + 1)}  # type: ignore[arg-type]
    assert trusted == {0: True, os.geteuid(): True, os.geteuid() + 1: False}


def test_another_users_process_gets_nothing(ends: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    kept, end = ends
    parts = PICKLE.dumps(end)
    message = b"".join(parts)
    monkeypatch.setattr(sharer, "foreign_user", lambda client: 1)
    with pytest.raises(HandleLost, match="its own user only"):
        PICKLE.loads(message)
    monkeypatch.undo()
    with PICKLE.loads(message) as arrived:
        converse(kept, arrived)


def test_nothing_is_taken_from_another_users_process(
    ends: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = PICKLE.dumps(ends[1])
    before = open_descriptors()
    monkeypatch.setattr(arrival, "foreign_user", lambda line: 1)
    with pytest.raises(HandleLost, match="another user's process"):
        PICKLE.loads(b"".join(parts))
    PICKLE.discard(parts)
    eventually(lambda: not open_descriptors() - before)


# --- senders ---


@contextlib.contextmanager
def from_a_stopped_sender() -> Iterator[Any]:
    """An end from which a handle can be received, whose sender is stopped."""
    (source, to), (wait, go) = context().Pipe(False), context().Pipe(False)
    child = context().Process(target=handoff_targets.give_and_wait, args=(context(), to, wait))
    child.start()
    assert child.pid is not None
    stat = Path(f"/proc/{child.pid}/stat")
    try:
        with source, to, wait, go:
            assert source.poll(PATIENCE)
            os.kill(child.pid, signal.SIGSTOP)
            eventually(lambda: stat.read_text().rpartition(")")[2].split()[0] == "T")
            yield source
    finally:
        child.kill()
        child.join(PATIENCE)
        child.close()


def test_a_sender_that_is_stopped_is_not_waited_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrival, "_PATIENCE", 0.2)
    with from_a_stopped_sender() as source, pytest.raises(HandleLost, match="does not answer within"):
        source.recv(timeout=PATIENCE)


def test_a_handler_that_raises_while_a_stopped_sender_is_waited_for_ends_the_wait() -> None:
    def handler(number: int, frame: FrameType | None) -> None:
        raise TimeoutError("mine")

    before = signal.signal(signal.SIGALRM, handler)
    try:
        with from_a_stopped_sender() as source:
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            with pytest.raises(TimeoutError, match="mine"):
                source.recv(timeout=PATIENCE)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_too_many_descriptors_in_flight_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharer, "_FEW", 0)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    end, other = context().Pipe(False)
    sent: list[Any] = []
    most = (max(int(one.split()[0]) for one in open_descriptors()) + 10) * 2
    with end, other:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
            sent += [PICKLE.dumps(end) for _ in range(most // 2)]
            with pytest.raises(OSError, match="half of what this process may have"):
                PICKLE.dumps(end)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        PICKLE.loads(b"".join(sent.pop())).close()
        for parts in sent:
            PICKLE.discard(parts)


def test_looking_for_what_cannot_be_pickled_sends_nothing(ends: tuple[Any, Any]) -> None:
    _, end = ends
    PICKLE.discard(PICKLE.dumps(end))
    before = open_descriptors()
    shared = context().Event(), context().Lock(), context().Queue()
    opened = open_descriptors()
    for obj in ([end, *shared, lambda: 1], {"a": {"b": [shared, end, threading.Lock()]}}):
        with pytest.raises((TypeError, AttributeError, pickle.PicklingError)):
            PICKLE.dumps(obj)
        assert sharer._flights == {}
        assert open_descriptors() == opened
    assert before <= opened


# --- the end ---


def test_a_program_that_ends_with_handles_in_flight_leaves_nothing_and_says_nothing() -> None:
    with tempfile.TemporaryDirectory() as folder:  # pytest's own has too long a name for a socket's address
        done = subprocess.run(
            [sys.executable, "-X", "dev", "-W", "error", str(PROGRAM)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={**os.environ, "TMPDIR": folder},
        )
        left = list(Path(folder).iterdir())
    assert done.stderr == ""
    assert done.stdout == (
        "['MainThread']\n"
        "['MainThread', 'ipcframe sharer'] []\n"
        "['MainThread', 'ipcframe sharer', 'ipcframe sharer'] ['ipcframe-handles']\n"
    )
    assert left == []
