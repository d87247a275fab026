"""Process: the standard library's behaviour, and the exception of its target."""

from __future__ import annotations

import gc
import multiprocessing
import multiprocessing.connection
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import report_program

import ipcframe
from ipcframe.conformance.conditions import open_descriptors
from ipcframe.toolkit import lifeline

METHODS = ["fork", "spawn", "forkserver"]


@pytest.mark.parametrize("method", METHODS)
def test_what_a_child_executes_inherits_no_memory_of_ours(method: str) -> None:
    ctx = ipcframe.get_context(method, backend="pipe")
    ours, theirs = ctx.Pipe()
    arguments = theirs, ctx.Queue(), ctx.Lock(), ctx.Value("i"), ctx.Event()
    child = ctx.Process(target=report_program.send_inheritable_memory, args=arguments)
    child.start()
    assert ours.recv(timeout=30) == []
    child.join()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("case", ["raises", "exits", "exits with text", "interrupted", "subclass"])
def test_stderr_and_exit_code_are_those_of_multiprocessing(method: str, case: str) -> None:
    outputs = []
    for library in ("multiprocessing", "ipcframe"):
        command = [sys.executable, report_program.__file__, library, method, case]
        done = subprocess.run(command, capture_output=True, check=True, text=True)
        outputs.append((done.stdout, done.stderr))
    assert outputs[1] == outputs[0]


def test_a_process_that_never_started_has_no_exception() -> None:
    process = ipcframe.get_context("fork", backend="pipe").Process(target=print)
    assert process.exception is None
    assert process.exitcode is None


def test_the_context_of_a_subclass_is_the_one_it_was_derived_from() -> None:
    ctx = ipcframe.get_context("fork", backend="pipe")

    class Worker(ctx.Process):  # type: ignore[misc, name-defined]
        def run(self) -> None:
            raise LookupError(self.name)

    worker = Worker(name="w")
    # What the child prints is not ours to see here.
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123
        saved, sys.stderr = sys.stderr, nowhere
        try:
            worker.start()
        finally:
            sys.stderr = saved
    worker.join()
    assert repr(worker.exception) == repr(LookupError("w"))


@pytest.mark.parametrize("method", METHODS)
def test_children_are_multiprocessings_children(method: str) -> None:
    ctx = ipcframe.get_context(method, backend="pipe")
    ours, theirs = ctx.Pipe()
    child = ctx.Process(target=theirs.recv)
    child.start()
    assert child in multiprocessing.active_children()
    ours.send(None)
    child.join()
    assert child not in multiprocessing.active_children()


@pytest.mark.parametrize("method", METHODS)
def test_the_number_of_descriptors_in_a_child_does_not_depend_on_its_siblings(method: str) -> None:
    ctx = ipcframe.get_context(method, backend="pipe")

    def count() -> int:
        gc.collect()  # a forked child inherits what garbage has open
        ours, theirs = ctx.Pipe()
        child = ctx.Process(target=report_program.send_descriptors, args=(theirs,))
        child.start()
        found: int = ours.recv(timeout=30)
        child.join()
        return found

    alone = count()
    gates = [ctx.Pipe() for _ in range(3)]
    siblings = [ctx.Process(target=theirs.recv) for _, theirs in gates]
    for sibling in siblings:
        sibling.start()
    crowded = count()
    for (ours, _), sibling in zip(gates, siblings, strict=True):
        ours.send(None)
        sibling.join()
    # A forked child inherits the program's own open pipes.
    assert crowded - alone == (3 * 4 if method == "fork" else 0)


def test_a_process_gives_its_descriptors_back() -> None:
    ctx = ipcframe.get_context("fork", backend="pipe")
    before = open_descriptors()
    for _ in range(20):
        child = ctx.Process(target=int)
        child.start()
        child.join()
        child.close()
    assert open_descriptors() == before


@pytest.mark.parametrize("way", ["plain", "dotted"])
def test_a_module_may_configure_and_register_although_children_import_it_too(way: str) -> None:
    program = Path(report_program.__file__).with_name("module_level.py")
    name = program.name if way == "plain" else f"./{program.name}"
    command = [sys.executable, name]
    done = subprocess.run(
        command, cwd=program.parent, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stdout == "MarkedConnection\n", done.stderr


def test_a_process_that_was_closed_unjoined_has_been_announced(capfd: pytest.CaptureFixture[str]) -> None:
    ctx = ipcframe.get_context("fork", backend="pipe", plugins=["trace"])
    child = ctx.Process(target=int)
    child.start()
    multiprocessing.connection.wait([child.sentinel])
    while child._popen.poll() is None:
        pass
    child.close()
    assert "exited with 0" in capfd.readouterr().err


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_the_first_start_leaves_the_signals_blocked_that_were(method: str) -> None:
    program = (
        "import signal, ipcframe\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})\n"
        f"child = ipcframe.get_context({method!r}, backend='pipe').Process(target=int)\n"
        "child.start()\n"
        "child.join()\n"
        "print(signal.pthread_sigmask(signal.SIG_BLOCK, ()) == {signal.SIGINT})\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"


def test_a_process_that_is_collected_while_another_thread_forks_waits_for_nobody() -> None:
    before = open_descriptors()
    ends = lifeline.Ends()
    held, go_on = threading.Event(), threading.Event()

    def fork_slowly() -> None:
        with lifeline.forking:
            held.set()
            go_on.wait(30)

    thread = threading.Thread(target=fork_slowly)
    thread.start()
    held.wait(30)
    del ends
    assert not go_on.is_set(), "nor did that wait"
    go_on.set()
    thread.join()
    lifeline.Ends().close()
    assert open_descriptors() == before
