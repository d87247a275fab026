"""Pool and ThreadPool: as the standard library's, and what becomes of the killed and the interrupted."""

from __future__ import annotations

import contextlib
import inspect
import multiprocessing.pool
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pool_targets as targets
import pytest

import ipcframe
from ipcframe import pool as pools
from ipcframe.conformance.conditions import DEATH_BOUND, PATIENCE, Worker, asleep, eventually, lives
from ipcframe.pool import Pool, ThreadPool

METHODS = ["fork", "spawn", "forkserver"]
FORK = ipcframe.get_context("fork", backend="pipe")
STANDARD: Any = multiprocessing.pool


@pytest.fixture(scope="module", params=METHODS)
def pool(request: pytest.FixtureRequest) -> Iterator[Pool]:
    with Pool(2, context=ipcframe.get_context(request.param, backend="pipe")) as made:
        yield made
    made.join()


@pytest.fixture
def forked() -> Iterator[Any]:
    with Pool(2, context=FORK) as made:
        yield made
    made.join()


def test_all_of_its_methods_work(pool: Pool) -> None:
    assert pool.map(abs, range(-3, 0)) == [3, 2, 1]
    assert pool.map_async(abs, [-1], callback=len).get(PATIENCE) == [1]
    assert pool.starmap(divmod, [(7, 2), (9, 3)]) == [(3, 1), (3, 0)]
    assert pool.apply(divmod, (7, 2)) == (3, 1)
    assert list(pool.imap(abs, [-1, -2])) == [1, 2]
    assert sorted(pool.imap_unordered(abs, range(-100, 0), 7)) == list(range(1, 101))
    with pytest.raises(ZeroDivisionError) as caught:
        pool.apply(divmod, (1, 0))
    assert isinstance(caught.value.__cause__, pools.RemoteTraceback)
    with pytest.raises(pools.MaybeEncodingError):
        pool.apply_async(targets.raise_unpicklable, (0,)).get(PATIENCE)


def test_it_is_of_the_standard_librarys_class_and_signature() -> None:
    for name in ("Pool", "ThreadPool"):
        ours, theirs = getattr(pools, name), getattr(STANDARD, name)
        assert issubclass(ours, theirs)
        assert list(inspect.signature(ours).parameters) == list(inspect.signature(theirs).parameters)
    assert issubclass(ThreadPool, Pool)
    for name in pools.__all__:
        if name not in ("Pool", "ThreadPool"):
            assert getattr(pools, name) is getattr(STANDARD, name)


def test_threads_do_the_work_of_a_thread_pool() -> None:
    with ThreadPool(3) as pool:
        assert pool.map(abs, range(-3, 0)) == [3, 2, 1]
        assert set(pool.map(targets.get_pid, range(3), 1)) == {os.getpid()}


def test_the_default_context_is_ours() -> None:
    with Pool(1) as pool:
        assert isinstance(pool._ctx, ipcframe.Context)  # type: ignore[attr-defined]
        assert pool.apply(os.getpid) != os.getpid()


# --- the killed -----------------------------------------------------------------------------------


def test_terminate_ends_after_workers_were_killed(forked: Any) -> None:
    for _ in range(3):
        os.kill(forked._pool[0].pid, signal.SIGKILL)
    forked.terminate()
    Worker(forked.join).result()


def test_the_others_go_on_when_a_worker_is_killed_in_a_task(forked: Any) -> None:
    lost = forked.apply_async(targets.kill_worker, (1,))
    for _ in range(3):
        assert forked.map(targets.kill_worker, range(0, 20, 2), 1) == list(range(0, 20, 2))
    assert not lost.ready()


@pytest.mark.parametrize(
    ("method", "kind"),
    [*((method, "idle") for method in METHODS), ("fork", "busy"), ("fork", "undaemonic")],
)
def test_workers_end_with_their_killed_parent(method: str, kind: str) -> None:
    ours, theirs = FORK.Pipe(duplex=False)
    ctx = ipcframe.get_context(method, backend="pipe")
    parent = FORK.Process(target=targets.be_a_pools_parent, args=(ctx, kind, theirs))
    parent.start()
    workers = ours.recv(timeout=PATIENCE)
    parent.kill()
    eventually(lambda: not any(map(lives, workers)), DEATH_BOUND)
    parent.join()


# --- the interrupted ------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_ctrl_c_prints_one_traceback(method: str) -> None:
    command = [sys.executable, targets.__file__, method]
    program = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    with program, contextlib.ExitStack() as stack:
        stack.callback(program.kill)
        assert program.stdout is not None
        assert program.stdout.readline() == "ready\n"
        eventually(asleep(program.pid, program.pid))  # Python loses a signal that comes just before
        os.killpg(program.pid, signal.SIGINT)
        _, printed = program.communicate(timeout=PATIENCE)
    assert program.returncode == -signal.SIGINT
    assert printed.count("Traceback") == 1, printed
    assert printed.endswith("\nKeyboardInterrupt\n")


def test_the_thread_that_replaces_workers_takes_no_signal_from_the_main_thread(forked: Any) -> None:
    task = Path(f"/proc/self/task/{forked._worker_handler.native_id}/status")

    def blocked() -> int:
        return int(task.read_text("ascii").partition("SigBlk:")[2].split()[0], 16)

    assert not blocked()
    replace_a_worker(forked)
    assert blocked() >> (signal.SIGINT - 1) & 1
    assert blocked() >> (signal.SIGALRM - 1) & 1
    assert not blocked() >> (signal.SIGSEGV - 1) & 1


def test_workers_are_started_with_the_signals_that_the_pool_was_made_with(forked: Any) -> None:
    mine = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
    try:
        with Pool(1, context=FORK) as other:
            for _ in range(2):
                assert other.apply(targets.get_mask, (0,)) == sorted([*mine, signal.SIGUSR2])
                replace_a_worker(other)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mine)
    replace_a_worker(forked)
    assert forked.map(targets.get_mask, range(4), 1) == [sorted(mine)] * 4


def replace_a_worker(pool: Any) -> None:
    before = [worker.pid for worker in pool._pool]
    os.kill(before[0], signal.SIGKILL)
    eventually(lambda: len(pool._pool) == len(before) and pool._pool[-1].pid not in before)


def test_a_program_may_override_how_its_workers_are_made() -> None:
    with targets.UndaemonicPool(2, context=FORK) as made:
        pool: Any = made
        assert not pool._pool[0].daemon
        assert pool.map(targets.start_child, range(2), 1) == [0, 0]
        replace_a_worker(pool)
        assert pool.map(targets.start_child, range(2), 1) == [0, 0]
    pool.join()


def test_a_pool_on_queues_without_descriptors_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    ctx: Any = ipcframe.get_context("fork", backend="pipe")

    def refuse(self: Any) -> int:
        raise ipcframe.UnsupportedOperation("this queue has no descriptor", "use another backend")

    monkeypatch.setattr(type(ctx.SimpleQueue()._reader), "fileno", refuse)
    with pytest.raises(ipcframe.UnsupportedOperation, match="no descriptor"):
        ctx.Pool(1)
