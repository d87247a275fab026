"""A send that timed out in the middle of a message: the next operation on its end sends the rest."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

import ipcframe
from ipcframe.abc import Connection
from ipcframe.conformance.conditions import PATIENCE, Worker, same_bytes
from ipcframe.conformance.targets import pattern

SIZE = 300_000
"""More than a connection takes at once, and less than twice as much."""


@pytest.fixture(params=["pipe", "unix"])
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def _begun(sender: Connection, receiver: Connection, message: bytes) -> Worker:
    """Who receives the message, of which the sender has a rest."""
    with pytest.raises(ipcframe.TimedOut):
        sender.send_bytes(message, timeout=0.01)
    receiving = Worker(partial(receiver.recv_bytes, timeout=PATIENCE))
    receiving.eventually_asleep()
    return receiving


def _ends(backend: str) -> tuple[Connection, Connection, bytes]:
    sender, receiver = ipcframe.get_context("fork", backend=backend).Pipe()
    return sender, receiver, pattern(1, SIZE)


def test_closing_sends_what_fits(backend: str) -> None:
    sender, receiver, message = _ends(backend)
    receiving = _begun(sender, receiver, message)
    sender.close()
    same_bytes(receiving.result(), message)
    with pytest.raises(EOFError):
        receiver.recv()
    receiver.close()


@pytest.mark.parametrize("operation", ["recv_bytes", "poll"])
def test_who_waits_to_receive_sends_it_meanwhile(backend: str, operation: str) -> None:
    sender, receiver, message = _ends(backend)
    receiving = _begun(sender, receiver, message)
    operations: dict[str, Callable[[], object]] = {
        "poll": partial(sender.poll, PATIENCE),
        "recv_bytes": sender.recv_bytes,
    }
    waiting = Worker(operations[operation])
    same_bytes(receiving.result(), message)
    receiver.send_bytes(b"the answer")
    assert waiting.result() in (True, b"the answer")
    sender.close()
    receiver.close()


def test_another_send_sends_it_first(backend: str) -> None:
    sender, receiver, message = _ends(backend)
    receiving = _begun(sender, receiver, message)
    sender.send_bytes(b"the next")
    same_bytes(receiving.result(), message)
    assert receiver.recv_bytes() == b"the next"
    sender.close()
    receiver.close()
