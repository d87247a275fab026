"""Parents that are killed: daemonic children and the fork server end, others live on, nothing is left."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orphan_targets
import pytest

import ipcframe
from ipcframe.conformance.conditions import PATIENCE, eventually, lives
from ipcframe.conformance.targets import wait_for_ever

METHODS = ["fork", "spawn", "forkserver"]
Start = Callable[..., Any]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a process, the parent of the others; it gets an end to hold and one to tell through."""
    ctx = ipcframe.get_context("fork", backend="pipe")
    with contextlib.ExitStack() as stack:

        def start(target: Callable[..., None], *args: Any) -> Any:
            (hold, held), (told, tell) = ctx.Pipe(), ctx.Pipe(False)
            for end in (hold, held, told, tell):
                stack.enter_context(end)
            process = ctx.Process(target=run, args=((hold, told), target, *args, held, tell))
            process.start()
            stack.callback(process.join)
            stack.callback(process.kill)
            held.close()
            tell.close()
            return process, hold, told

        yield start


def run(discard: tuple[Any, ...], target: Callable[..., None], *args: Any) -> None:
    for end in discard:
        end.close()
    target(*args)


def kill(process: Any) -> None:
    process.kill()
    process.join(PATIENCE)
    assert process.exitcode == -signal.SIGKILL


@pytest.mark.parametrize("method", METHODS)
def test_daemons_end_though_others_were_forked_while_they_were_started(start: Start, method: str) -> None:
    parent, hold, told = start(orphan_targets.be_parent_among_others, method)
    daemons, others = told.recv(timeout=PATIENCE)
    try:
        kill(parent)
        for daemon in daemons:
            eventually(lambda daemon=daemon: not lives(daemon))  # type: ignore[misc]
        assert all(map(lives, others[:-1]))
        hold.close()
        for other in others:  # the last one is a program, whose input is at its end
            eventually(lambda other=other: not lives(other))  # type: ignore[misc]
    finally:
        for pid in filter(lives, [*daemons, *others]):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("method", METHODS)
def test_a_daemon_ends_whose_parent_is_killed_before_it_runs(start: Start, method: str) -> None:
    _, _, told = start(lambda held, tell: orphan_targets.be_killed_at_once(method, tell))
    daemon = told.recv(timeout=PATIENCE)
    eventually(lambda: not lives(daemon))


@pytest.mark.parametrize("method", METHODS)
def test_a_daemon_that_handles_the_signal_decides_itself(start: Start, method: str) -> None:
    parent, hold, told = start(orphan_targets.be_parent_of, orphan_targets.decide_for_oneself, method)
    daemon = told.recv(timeout=PATIENCE)
    kill(parent)
    assert told.recv(timeout=PATIENCE) == "told to end"
    assert lives(daemon)
    hold.close()
    eventually(lambda: not lives(daemon))


def test_a_daemon_ends_where_the_kernel_sends_no_signal(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(fcntl, "F_SETSIG")
    parent, _, told = start(lambda held, tell: orphan_targets.be_parent_of(tell_and_wait, "fork", tell))
    daemon = told.recv(timeout=PATIENCE)
    kill(parent)
    eventually(lambda: not lives(daemon))


def tell_and_wait(tell: Any) -> None:
    assert threading.active_count() == 2
    tell.send(os.getpid())
    wait_for_ever()


def test_the_fork_server_ends_with_its_process_and_its_children_live_on(start: Start) -> None:
    parent, hold, told = start(orphan_targets.be_served)
    child, server = told.recv(timeout=PATIENCE)
    kill(parent)
    eventually(lambda: not lives(server))
    assert lives(child)
    hold.close()
    eventually(lambda: not lives(child))


@pytest.mark.parametrize("method", METHODS)
def test_a_killed_program_leaves_no_process_no_file_and_no_word(tmp_path: Path, method: str) -> None:
    program = subprocess.Popen(
        [sys.executable, orphan_targets.__file__, method],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    with program:
        assert program.stdout is not None
        assert program.stderr is not None
        family = [int(pid) for pid in program.stdout.readline().split()]
        assert len(family) >= 2
        program.kill()
        for pid in family:
            eventually(lambda pid=pid: not lives(pid))  # type: ignore[misc]
        assert program.stderr.read() == ""
    assert list(tmp_path.iterdir()) == []
