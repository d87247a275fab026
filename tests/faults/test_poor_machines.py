"""Machines that lack something: semaphores, descriptors, memory."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest

import ipcframe
from ipcframe.conformance.conditions import open_descriptors
from ipcframe.conformance.limits import few_descriptors, limited

PROGRAM = Path(__file__).parents[1] / "targets" / "no_semaphores.py"


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_everything_works_without_sem_open(method: str) -> None:
    done = subprocess.run(
        [sys.executable, str(PROGRAM), method], capture_output=True, text=True, timeout=120, check=False
    )
    printed = "no locks, and a pipe\nfrom behind a lock True\nb'packet' 0\n"
    assert done.stdout == printed, done.stderr


@pytest.mark.parametrize("more", [0, 1, 2, 3])
@pytest.mark.parametrize("duplex", [True, False])
def test_a_pipe_that_cannot_be_made_leaves_nothing_open(more: int, duplex: bool) -> None:
    ctx = ipcframe.get_context("fork", backend="pipe")
    ctx.Pipe()
    before = open_descriptors()
    with few_descriptors(more):
        made = [ctx.Pipe(duplex) for _ in range(more // (4 if duplex else 2))]
        with pytest.raises(OSError, match="Too many open files"):
            ctx.Pipe(duplex)
    assert len(open_descriptors() - before) == len(made) * (4 if duplex else 2)
    for pair in made:
        for end in pair:
            end.close()
    assert open_descriptors() == before


@pytest.mark.parametrize("more", [0, 1, 2, 4])
def test_a_process_that_cannot_be_started_leaves_nothing_open(more: int) -> None:
    ctx = ipcframe.get_context("fork", backend="pipe")
    process = ctx.Process(target=int)
    before = open_descriptors()
    with few_descriptors(more), pytest.raises(OSError, match="Too many open files"):
        process.start()
    if more < 3:  # else the launcher of the standard library leaves its first pipe open
        assert open_descriptors() == before
    process.start()
    process.join()
    assert process.exitcode == 0


def test_a_message_that_no_memory_is_left_for_can_be_received_later() -> None:
    ours, theirs = ipcframe.get_context("fork", backend="pipe").Pipe()
    child = ipcframe.get_context("fork", backend="pipe").Process(
        target=theirs.send_bytes, args=(bytes(2**28),)
    )
    child.start()
    theirs.close()
    used = int(Path("/proc/self/statm").read_text("ascii").split()[0]) * resource.getpagesize()
    with limited(resource.RLIMIT_AS, used + 2**26), pytest.raises(MemoryError):
        ours.recv_bytes()
    assert len(ours.recv_bytes()) == 2**28
    child.join()
