"""Managers whose processes are killed, stopped, or lose their parents."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import manager_targets as targets
import pytest

import ipcframe
from ipcframe.conformance.conditions import DEATH_BOUND, PATIENCE, Worker, eventually, lives
from ipcframe.managers import SyncManager

METHODS = ["fork", "spawn", "forkserver"]
FORK = ipcframe.get_context("fork", backend="pipe")


@pytest.fixture
def doomed() -> Iterator[Any]:
    manager: Any = SyncManager(ctx=FORK)
    manager.start()
    yield manager
    manager.shutdown()


def kill(manager: Any) -> None:
    os.kill(manager._process.pid, signal.SIGKILL)
    manager._process.join(PATIENCE)


# --- the one who started it ends ------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_managers_end_with_their_killed_parent_though_a_later_child_of_it_lives_on(method: str) -> None:
    ours, theirs = FORK.Pipe(duplex=False)
    ctx = ipcframe.get_context(method, backend="pipe")
    parent = FORK.Process(target=targets.be_a_parent, args=(ctx, theirs))
    parent.start()
    theirs.close()
    managers, workers, names, sibling = ours.recv(timeout=PATIENCE)
    with contextlib.ExitStack() as stack:
        stack.callback(os.kill, sibling, signal.SIGKILL)
        assert all(lives(pid) for pid in (*managers, *workers))
        parent.kill()
        # Ten times 0.1 s; and the interpreter and the finalizers take their time.
        eventually(lambda: not any(map(lives, managers)), DEATH_BOUND + 4)
        assert not any(map(lives, workers)), "the finalizers of the manager have ended them"
        assert [name for name in names if Path("/dev/shm", name).exists()] == []
    parent.join()


def test_a_server_that_cannot_finish_after_its_parents_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ipcframe._servers._FAREWELL", 0.05)
    ours, theirs = FORK.Pipe(duplex=False)
    parent = FORK.Process(target=targets.be_a_parent_of_a_stuck_server, args=(FORK, theirs))
    parent.start()
    server = ours.recv(timeout=PATIENCE)
    assert lives(server)
    parent.kill()
    eventually(lambda: not lives(server))
    parent.join()


def test_a_server_of_ones_own_outlives_the_parent_of_its_process() -> None:
    ours, theirs = FORK.Pipe()
    parent = FORK.Process(target=targets.be_a_parent_of_a_served_process, args=(FORK, theirs))
    parent.start()
    server, address = ours.recv(timeout=PATIENCE)
    parent.kill()
    parent.join()
    client: Any = targets.Service(address, b"k")
    client.connect()
    assert client.Ticker().tick() == 1
    os.kill(server, signal.SIGKILL)


# --- it is killed itself --------------------------------------------------------------------------


def test_what_a_killed_manager_is_asked_raises_at_once(doomed: Any) -> None:
    numbers, queue = doomed.list(), doomed.Queue()
    waiting = Worker(queue.get)
    eventually(lambda: doomed._number_of_objects() == 2)
    waiting.eventually_asleep()
    kill(doomed)
    assert isinstance(waiting.end(), EOFError | ConnectionError)
    for _ in range(3):
        with pytest.raises((EOFError, ConnectionError)):
            numbers.append(1)
        with pytest.raises((EOFError, ConnectionError)):
            doomed.list()
        with pytest.raises((EOFError, ConnectionError)):
            Worker(numbers.__len__).result()
    assert "failed" in str(numbers)


def test_a_killed_manager_can_be_shut_down_and_its_proxies_forgotten(doomed: Any) -> None:
    numbers = doomed.list()
    process = doomed._process
    os.kill(process.pid, signal.SIGKILL)
    doomed.shutdown()
    assert process.exitcode == -signal.SIGKILL
    del numbers
    child = FORK.Process(target=int)
    child.start()
    child.join()
    assert child.exitcode == 0


def test_a_client_that_is_killed_is_forgotten(doomed: Any) -> None:
    lock, numbers = doomed.Lock(), doomed.list()
    ours, theirs = FORK.Pipe(duplex=False)
    child = FORK.Process(target=targets.wait_in, args=(numbers, doomed.Queue(), theirs))
    child.start()
    ours.recv(timeout=PATIENCE)
    child.kill()
    child.join()
    with lock:
        numbers.append(1)
    assert numbers[:] == ["child", 1]


def test_a_stopped_manager_is_ended_by_shutdown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ipcframe.toolkit.sockets.CONNECT_TIMEOUT", 0.2)
    with SyncManager(ctx=FORK, shutdown_timeout=0.2) as manager:
        process = manager._process
        os.kill(process.pid, signal.SIGSTOP)
    assert process.exitcode == -signal.SIGKILL


# --- the system is poor ---------------------------------------------------------------------------


def test_a_server_without_descriptors_takes_clients_when_there_are_some_again(doomed: Any) -> None:
    numbers, pid = doomed.list(), doomed._process.pid
    numbers.append(1)
    usual = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (len(list(Path(f"/proc/{pid}/fd").iterdir())), usual[1]))
    clients = [Worker(numbers.__len__) for _ in range(5)]
    for client in clients:
        client.eventually_asleep()
    assert len(numbers) == 1
    resource.prlimit(pid, resource.RLIMIT_NOFILE, usual)
    assert [client.result() for client in clients] == [1] * 5


def test_shared_memory_of_a_killed_manager_is_unlinked_at_the_programs_end() -> None:
    program = (
        "import os, signal, sys\n"
        "import ipcframe\n"
        "from ipcframe.managers import SharedMemoryManager\n"
        "manager = SharedMemoryManager(ctx=ipcframe.get_context('fork', backend='pipe'))\n"
        "manager.start()\n"
        "sys.stdout.write(manager.SharedMemory(10).name)\n"
        "os.kill(manager._process.pid, signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("psm_")
    eventually(lambda: not Path("/dev/shm", done.stdout).exists())
