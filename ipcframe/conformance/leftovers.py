"""Cases: nothing is left behind."""
# ruff: noqa: D102 - the name of a case is its sentence

from __future__ import annotations

import contextlib
import gc
import threading
from collections.abc import Callable
from pathlib import Path

import ipcframe

from . import targets
from .case import Case, Children, Pair
from .conditions import PATIENCE, Worker, eventually, open_descriptors
from .promises import promise

__all__ = ["Leftovers"]

CYCLES = 200


class Leftovers(Case):
    """Nothing is left behind."""

    @promise("leftovers.none")
    def test_two_hundred_pairs_used_and_closed_leave_no_descriptor(self, context: ipcframe.Context) -> None:
        self._cycle(context)
        before = open_descriptors(), threading.active_count()
        for _ in range(CYCLES):
            self._cycle(context)
        assert (open_descriptors(), threading.active_count()) == before

    def _cycle(self, context: ipcframe.Context) -> None:
        receiver, sender = context.Pipe(False)
        with receiver, sender:
            sender.send("x")
            receiver.recv(timeout=PATIENCE)
        if context.backend.capabilities.channel:
            with context.Channel() as channel:
                channel.send(b"x")
                channel.receive(timeout=PATIENCE)

    @promise("leftovers.none")
    def test_messages_leave_no_descriptor(self, pair: Pair) -> None:
        sender, receiver = pair
        message = b"x" * 100_000

        def exchange() -> None:
            sending = Worker(lambda: sender.send_bytes(message))
            receiver.recv_bytes(timeout=PATIENCE)
            sending.result()
            sender.send([1])
            receiver.recv(timeout=PATIENCE)

        exchange()
        before = open_descriptors()
        for _ in range(20):
            exchange()
        left = open_descriptors() - before
        assert not left, f"20 exchanges of messages have left {len(left)} descriptors open: {left}"

    @promise("leftovers.none")
    def test_what_is_dropped_without_closing_is_collected_without_a_warning(
        self, context: ipcframe.Context
    ) -> None:
        self._cycle(context)
        gc.collect()
        before = open_descriptors()
        for _ in range(20):
            sender, receiver = context.Pipe()
            sender.send("never received")
            if context.backend.capabilities.channel:
                context.Channel().send(b"x")
        del sender, receiver
        gc.collect()
        assert open_descriptors() == before

    @promise("leftovers.none")
    def test_a_handoff_leaves_no_descriptor(self, children: Children, pipe: Callable[..., Pair]) -> None:
        def hand_over() -> None:
            ours, theirs = pipe()
            child = children.start(targets.echo, theirs, discard=(ours,))
            theirs.close()
            ours.send("x")
            assert ours.recv(timeout=PATIENCE) == "x"
            ours.close()
            children.finish(child)

        hand_over()
        before = open_descriptors(), threading.active_count()
        for _ in range(3):
            hand_over()
        assert (open_descriptors(), threading.active_count()) == before

    @promise("leftovers.none")
    def test_a_program_whose_child_was_killed_leaves_nothing(
        self, children: Children, pipe: Callable[..., Pair], tmp_path: Path
    ) -> None:
        shared = Path("/dev/shm")  # noqa: S108 - only looked at

        def names() -> set[str]:
            return {path.name for path in shared.iterdir()} if shared.exists() else set()

        for attempt in (1, 2, 3):  # another program may make files there at the same time
            before = names()
            folder = tmp_path / str(attempt)
            folder.mkdir()
            stderr = tmp_path / f"stderr-{attempt}"
            told, tell = pipe(False)
            child = children.start(
                targets.lose_a_child, children.context, str(folder), str(stderr), tell, discard=(told,)
            )
            tell.close()
            descriptors, threads = told.recv(timeout=PATIENCE)
            assert descriptors == []
            assert threads == 1
            children.finish(child)
            eventually(lambda folder=folder: not list(folder.iterdir()))  # type: ignore[misc]
            assert stderr.read_text() == ""
            abandoned = names() - before - _held(shared)
            if not abandoned:
                return
        raise AssertionError(f"left in /dev/shm: {abandoned}")

    @promise("backend.idle")
    def test_a_backend_that_was_asked_for_nothing_has_opened_nothing(self, context: ipcframe.Context) -> None:
        before = open_descriptors(), threading.active_count()
        made = type(context.backend)({})
        assert (open_descriptors(), threading.active_count()) == before
        made.close()
        made.close()

    @promise("backend.idle")
    def test_objects_outlive_their_backend(self, context: ipcframe.Context) -> None:
        made = type(context.backend)({})
        receiver, sender = made.connection_pair(False)
        made.close()
        with receiver, sender:
            sender.send("x")
            assert receiver.recv(timeout=PATIENCE) == "x"


def _held(folder: Path) -> set[str]:
    """The names in the folder that a running process has mapped or open: somebody's, and no leftovers."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = process.joinpath("maps").read_text().split()
            words += [str(link.readlink()) for link in process.joinpath("fd").iterdir()]
            found |= {Path(word).name for word in words if word.startswith(f"{folder}/")}
    return found
