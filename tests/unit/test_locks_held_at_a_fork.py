"""A fork while another thread is inside an endpoint: its child has the lock, and not who holds it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest

import ipcframe
from ipcframe.conformance.conditions import PATIENCE, Worker

LARGE = bytes(100_000)


def _endpoints(context: ipcframe.Context) -> dict[str, Any]:
    ours, theirs = context.Pipe()
    queue = context.Queue()
    return {"ours": ours, "theirs": theirs, "channel": context.Channel(), "queue": queue}


def _locks(endpoints: dict[str, Any]) -> list[Any]:
    held = [endpoints["channel"]._lock, endpoints["queue"]._landing, endpoints["queue"]._channel._lock]
    for end in (endpoints["ours"], endpoints["theirs"]):
        held += [end._intake.lock, end._outlet.lock]
    return held


def _send(ends: dict[str, Any]) -> None:
    ends["ours"].send_bytes(b"x", timeout=PATIENCE)


def _send_large(ends: dict[str, Any]) -> None:
    ends["ours"].send_bytes(LARGE, timeout=0)


def _receive(ends: dict[str, Any]) -> None:
    assert ends["theirs"].recv_bytes(timeout=PATIENCE) == b"before"


def _poll(ends: dict[str, Any]) -> None:
    assert ends["theirs"].poll(PATIENCE)


def _close(ends: dict[str, Any]) -> None:
    ends["ours"].close()
    ends["channel"].close()
    ends["queue"].close()


def _channel(ends: dict[str, Any]) -> None:
    ends["channel"].send(b"x", timeout=PATIENCE)
    assert ends["channel"].backlog() == 1 + len(b"before")
    assert ends["channel"].receive(timeout=PATIENCE) == b"before"


def _take_packet(ends: dict[str, Any]) -> None:
    assert ends["channel"].receive(timeout=PATIENCE) == b"before"


def _backlog(ends: dict[str, Any]) -> None:
    assert ends["channel"].backlog() == len(b"before")


def _queue(ends: dict[str, Any]) -> None:
    ends["queue"].put("x")
    assert ends["queue"].get(timeout=PATIENCE) == "before"


def _queue_size(ends: dict[str, Any]) -> None:
    assert ends["queue"].qsize() == 1


@pytest.mark.parametrize("backend", ["pipe", "unix"])
@pytest.mark.parametrize(
    "job",
    [_send, _send_large, _receive, _poll, _close, _channel, _take_packet, _backlog, _queue, _queue_size],
)
def test_a_child_is_not_held_up_by_a_thread_of_its_parent(
    backend: str, job: Callable[[dict[str, Any]], None]
) -> None:
    context = ipcframe.get_context("fork", backend=backend)
    endpoints = _endpoints(context)
    endpoints["ours"].send_bytes(b"before")
    endpoints["channel"].send(b"before")
    endpoints["queue"].put("before")
    inside, forked = threading.Event(), threading.Event()

    def hold() -> None:
        with ExitStack() as stack:
            for lock in _locks(endpoints):
                stack.enter_context(lock)
            inside.set()
            assert forked.wait(PATIENCE)

    holding = Worker(hold)
    assert inside.wait(PATIENCE)
    child = context.Process(target=job, args=(endpoints,))
    child.start()
    forked.set()
    holding.result()
    child.join(PATIENCE / 4)
    hung = child.exitcode is None
    child.kill()
    child.join()
    assert not hung, "the child waits for a thread that it does not have"
    assert child.exitcode == 0 or isinstance(child.exception, ipcframe.TimedOut)
    for end in endpoints.values():
        end.close()
