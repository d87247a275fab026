"""Cases: what only a process of its own shows: nothing is printed, and forks during channel operations."""
# ruff: noqa: D102 - the name of a case is its sentence

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import ipcframe
from ipcframe.abc import Channel

from . import targets
from .case import Case, Children, Pair
from .conditions import PATIENCE, Worker, clog
from .promises import promise

__all__ = ["Elsewhere"]


class Elsewhere(Case):
    """What only a process of its own shows: nothing is printed, and forks during channel operations."""

    @promise("leftovers.silent")
    def test_a_program_that_uses_everything_prints_nothing(
        self, children: Children, pipe: Callable[..., Pair], tmp_path: Path
    ) -> None:
        output = tmp_path / "output"
        told, tell = pipe(False)
        child = children.start(
            targets.use_everything_quietly, children.context, str(output), tell, discard=(told,)
        )
        tell.close()
        assert told.recv(timeout=PATIENCE) == "done"
        children.finish(child)
        printed = output.read_text()
        assert printed == "", f"printed on its stdout or stderr: {printed}"

    @promise("channel.fork")
    def test_a_child_uses_channels_which_the_parents_threads_are_waiting_for(
        self, children: Children, context: ipcframe.Context, channel: Channel
    ) -> None:
        with context.Channel() as stuck:
            sent = clog(stuck, (64, 8))
            waiting = Worker(channel.receive)
            sending = Worker(lambda: stuck.send(b"the last"))
            for worker in (waiting, sending):
                worker.eventually_asleep()
                assert worker.is_alive(), "it does not wait"
            child = children.start(targets.use_channels_after_fork, context, channel, stuck)
            got = waiting.end()
            assert got is None, f"the child, or the thread that waited for its packet, hangs: {got!r}"
            assert waiting.result() == b"from the child"
            sending.result()
            children.finish(child)
            left = [stuck.receive(timeout=PATIENCE) for _ in range(len(sent))]
            assert left[-1] == b"the last"
