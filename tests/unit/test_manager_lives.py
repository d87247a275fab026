"""Managers: how they begin and end, and the shared memory that ends with them."""

from __future__ import annotations

import multiprocessing
import multiprocessing.managers
import os
import signal
from multiprocessing import ProcessError, resource_tracker
from pathlib import Path
from typing import Any

import manager_targets as targets
import pytest

import ipcframe
from ipcframe import managers
from ipcframe.conformance.conditions import PATIENCE, Worker, open_descriptors
from ipcframe.managers import SharedMemoryManager, SyncManager

METHODS = ["fork", "spawn", "forkserver"]
STANDARD: Any = multiprocessing.managers
FORK = ipcframe.get_context("fork", backend="pipe")
Ours = targets.Service


# --- beginning and end ----------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_a_manager_whose_initializer_raises_raises_eoferror_and_leaves_nothing(method: str) -> None:
    failing = SyncManager(ctx=ipcframe.get_context(method, backend="pipe"))
    resource_tracker.ensure_running()  # its pipe stays
    before, children = open_descriptors(), multiprocessing.active_children()
    with pytest.raises(EOFError, match="SyncManager ended with the exit code 1 before") as caught:
        failing.start(targets.fail, (LookupError, "no"))
    assert repr(caught.value.__cause__) == repr(LookupError("no"))
    del caught
    assert multiprocessing.active_children() == children
    if method != "forkserver":  # whose first process starts the server
        assert open_descriptors() == before


def test_a_manager_that_could_not_be_started_can_be_started_again() -> None:
    failing = SyncManager(ctx=FORK)
    with pytest.raises(EOFError, match="exit code -9 before it served"):
        failing.start(targets.kill_self)
    with failing:
        assert failing.list([1])[0] == 1


def test_what_stops_start_before_it_serves_leaves_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    started = []

    def interrupted(process: Any, reader: Any) -> None:
        started.append(process)
        raise KeyboardInterrupt

    stopped = SyncManager(ctx=FORK)
    monkeypatch.setattr(stopped, "_hear_from", interrupted)
    with pytest.raises(KeyboardInterrupt):
        stopped.start()
    assert started[0].exitcode == -signal.SIGKILL
    with Ours(("127.0.0.1", 0), ctx=FORK) as taken:
        second = Ours(taken.address, ctx=FORK)
        with pytest.raises(EOFError) as caught:
            second.start(targets.print_nothing)
        assert isinstance(caught.value.__cause__, OSError)
    with pytest.raises(TypeError, match="callable"):
        SyncManager(ctx=FORK).start(1)  # type: ignore[arg-type]


def test_an_initializer_may_replace_what_is_printed_to(tmp_path: Path) -> None:
    replaced = SyncManager(ctx=FORK)
    replaced.start(targets.read_stdout, (str(tmp_path / "out"),))
    process = replaced._process
    replaced.shutdown()
    assert process.exitcode == 0


def test_a_manager_is_started_once_and_shut_down_as_often_as_one_likes() -> None:
    with Ours(ctx=FORK) as manager:
        for again in (manager.start, manager.get_server):
            with pytest.raises(ProcessError, match="started already"):
                again()
        process = manager._process
    assert process.exitcode == 0
    manager.shutdown()
    manager.join(PATIENCE)
    for again in (manager.start, manager.get_server):
        with pytest.raises(ProcessError, match="shut down"):
            again()


def test_a_manager_that_is_garbage_ends() -> None:
    manager = Ours(ctx=FORK)
    manager.start()
    process = manager._process
    del manager
    process.join(PATIENCE)
    assert process.exitcode == 0


def test_a_server_of_ones_own_serves_until_a_manager_shuts_it_down() -> None:
    server: Any = Ours(address=("127.0.0.1", 0), authkey=b"k").get_server()

    def serve() -> None:
        with pytest.raises(SystemExit):
            server.serve_forever()

    serving = Worker(serve)
    client: Any = Ours(server.address, b"k")
    client.connect()
    assert client.Ticker().tick() == 1
    managers.dispatch(client._Client(server.address, authkey=b"k"), None, "shutdown")
    serving.result()


def test_a_server_that_cannot_take_clients_rests_between_its_tries() -> None:
    class Refusing:
        def __init__(self) -> None:
            self.errors = [OSError(24, "Too many open files"), RuntimeError("no thread"), MemoryError()]
            self.closed = False

        def accept(self) -> Any:
            if self.errors:
                raise self.errors.pop()
            self.closed = True
            raise OSError("closed")

    class Resting:
        rests = 0

        def is_set(self) -> bool:
            return False

        def wait(self, seconds: float) -> None:
            self.rests += 1

    server: Any = Ours(authkey=b"k").get_server()
    server.listener.close()
    server.listener, server.stop_event = Refusing(), Resting()
    server.accepter()
    assert server.stop_event.rests == 3


# --- shared memory --------------------------------------------------------------------------------


def test_a_manager_unlinks_its_shared_memory_when_it_shuts_down() -> None:
    with SharedMemoryManager(ctx=FORK) as manager:
        made: Any = manager
        block, items, gone = made.SharedMemory(10), made.ShareableList([1, "two"]), made.SharedMemory(10)
        gone.unlink()
        assert (block.size, items[1]) == (10, "two")
        assert isinstance(block, ipcframe.shared_memory.SharedMemory)
        assert isinstance(items, ipcframe.shared_memory.ShareableList)
        paths = [Path("/dev/shm", name) for name in (block.name, items.shm.name)]
        assert all(path.exists() for path in paths)
    assert not any(path.exists() for path in paths)
    for one in (block, items.shm, gone):
        one.close()


def test_shared_memory_that_no_manager_takes_care_of_is_unlinked_at_once() -> None:
    manager: Any = SharedMemoryManager(ctx=FORK)
    manager.start()
    manager.shutdown()
    before = set(os.listdir("/dev/shm"))  # noqa: PTH208
    with pytest.raises(OSError, match="refused"):
        manager.SharedMemory(10)
    assert set(os.listdir("/dev/shm")) <= before  # noqa: PTH208
