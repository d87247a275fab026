"""Cases: a process killed at every step of sending and receiving large messages and descriptors."""
# ruff: noqa: D102 - the name of a case is its sentence

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

import ipcframe
from ipcframe.abc import Connection
from ipcframe.errors import EndOfStream, PeerGone

from . import targets
from .case import Pair, full, needs_processes
from .conditions import PATIENCE, Worker, open_descriptors, stopwatch
from .promises import promise
from .steps import Steps

__all__ = ["ConnectionSteps"]

MESSAGE = targets.pattern(7, 2**21)
SEND: dict[str, Callable[[Connection], object]] = {
    "small": lambda end: end.send_bytes(MESSAGE[:64], timeout=PATIENCE),
    "large": lambda end: end.send_bytes(MESSAGE, timeout=PATIENCE),
    "descriptor": lambda end: end.send_handle(2, timeout=PATIENCE),
}
RECEIVE: dict[str, Callable[[Connection], object]] = {
    "small": lambda end: end.recv_bytes(timeout=PATIENCE) == MESSAGE[:64],
    "large": lambda end: end.recv_bytes(timeout=PATIENCE) == MESSAGE,
    "descriptor": lambda end: _closed(end.recv_handle(timeout=PATIENCE)),
}


def _closed(fd: int) -> bool:
    os.close(fd)
    return True


class ConnectionSteps(Steps):
    """A process killed at every step of sending and receiving, on a pair of its own each time."""

    def _is_absent(self, context: ipcframe.Context, pipe: Callable[..., Pair], kind: str) -> bool:
        if kind != "descriptor" or not self.declared_absent(context, "descriptors"):
            return False
        self.refuses("descriptors", lambda: SEND[kind](pipe(False)[1]))
        return True

    @needs_processes
    @full("more kinds", kind=["large", "descriptor"])
    @promise("connection.death")
    @pytest.mark.parametrize("kind", SEND)
    def test_who_is_killed_while_it_sends_has_sent_it_whole_or_not_at_all(
        self, context: ipcframe.Context, pipe: Callable[..., Pair], kind: str
    ) -> None:
        if self._is_absent(context, pipe, kind):
            return
        before = open_descriptors()
        ends = list(pipe(False))
        receiving: list[Worker] = []

        def receive_all() -> list[Any]:
            found = []
            while True:
                try:
                    found.append(RECEIVE[kind](ends[0]))
                except EndOfStream:
                    return found

        def prepare() -> None:
            ends[0].close()

        def meanwhile() -> None:
            ends[1].close()
            receiving.append(Worker(receive_all))

        def check() -> None:
            assert receiving.pop().result() in ([], [True])
            ends[0].close()
            assert not open_descriptors() - before
            ends[:] = pipe(False)

        self._each_step(lambda: SEND[kind](ends[1]), check, prepare=prepare, meanwhile=meanwhile)

    @needs_processes
    @full("more kinds", kind=["large", "descriptor"])
    @promise("connection.peer-gone")
    @pytest.mark.parametrize("kind", SEND)
    def test_who_is_killed_while_it_receives_ends_the_sender(
        self, context: ipcframe.Context, pipe: Callable[..., Pair], kind: str
    ) -> None:
        if self._is_absent(context, pipe, kind):
            return
        before = open_descriptors()
        ends = list(pipe(False))
        sending: list[Worker] = []

        def send_until_gone() -> None:
            with stopwatch() as elapsed:
                while elapsed() < PATIENCE:
                    SEND[kind](ends[1])

        def prepare() -> None:
            ends[1].close()

        def meanwhile() -> None:
            ends[0].close()
            sending.append(Worker(send_until_gone))

        def check() -> None:
            assert isinstance(sending.pop().end(), PeerGone)
            ends[1].close()
            assert not open_descriptors() - before
            ends[:] = pipe(False)

        self._each_step(lambda: RECEIVE[kind](ends[0]), check, prepare=prepare, meanwhile=meanwhile)
