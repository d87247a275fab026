"""Cases: Lock and RLock, and what everything that can be acquired has in common."""
# ruff: noqa: D102 - the name of a case is its sentence

from __future__ import annotations

import math
import os
import threading
from pathlib import Path
from typing import Any

import pytest

import ipcframe

from . import sync_targets
from .case import Case, Children, full
from .conditions import PATIENCE, Worker
from .primitives import ACQUIRABLE, Remote, held, nobody_holds
from .promises import promise

__all__ = ["LockApi"]

TAKING: tuple[tuple[tuple[Any, ...], dict[str, Any]], ...] = (
    ((), {}),
    ((True,), {}),
    ((False,), {}),
    ((True, None), {}),
    ((True, 1.5), {}),
    ((True, -1), {}),
    ((), {"block": True}),
    ((), {"block": False}),
    ((), {"timeout": None}),
    ((), {"timeout": 0}),
    ((), {"timeout": math.inf}),
    ((), {"block": False, "timeout": 5}),
)
"""Arguments of acquire, each of which takes what is free."""
NOT_WAITING: tuple[tuple[tuple[Any, ...], dict[str, Any]], ...] = (
    ((False,), {}),
    ((False, 60), {}),
    ((True, 0), {}),
    ((True, -3.5), {}),
    ((), {"block": False}),
    ((), {"timeout": 0.0}),
    ((), {"timeout": -1}),
    ((), {"block": False, "timeout": None}),
)
"""Arguments of acquire that do not wait."""
EXCLUDING = ("Lock", "RLock", "Semaphore", "BoundedSemaphore, owned", "Condition")
ROUNDS = 100


class LockApi(Case):
    """Lock and RLock, and what everything that can be acquired has in common."""

    @promise("lock.api")
    @pytest.mark.parametrize("kind", ACQUIRABLE)
    def test_acquire_takes_block_and_timeout_by_place_and_by_keyword(
        self, context: ipcframe.Context, kind: str
    ) -> None:
        obj = ACQUIRABLE[kind](context)
        for args, kwargs in TAKING:
            assert obj.acquire(*args, **kwargs) is True
            assert obj.release() is None
        with held(obj):
            for args, kwargs in NOT_WAITING:
                assert obj.acquire(*args, **kwargs) is False
        assert obj.acquire(block=False) is True

    @promise("lock.api")
    @pytest.mark.parametrize("kind", ACQUIRABLE)
    def test_the_with_statement_acquires_and_releases(self, context: ipcframe.Context, kind: str) -> None:
        obj = ACQUIRABLE[kind](context)
        with obj as entered:
            assert entered is True
            assert not nobody_holds(obj)
        assert nobody_holds(obj)
        with pytest.raises(KeyError), obj:
            raise KeyError
        assert nobody_holds(obj)

    @promise("lock.api")
    @pytest.mark.parametrize(
        ("kind", "refusal"),
        [
            ("Lock", ValueError),
            ("RLock", AssertionError),
            ("BoundedSemaphore", ValueError),
            ("BoundedSemaphore, owned", ValueError),
            ("Condition", AssertionError),
            ("Condition of a Lock", ValueError),
        ],
    )
    def test_releasing_what_is_not_held_is_refused(
        self, context: ipcframe.Context, kind: str, refusal: type[Exception]
    ) -> None:
        obj = ACQUIRABLE[kind](context)
        for _ in range(2):
            with pytest.raises(refusal):
                obj.release()
            assert obj.acquire(timeout=PATIENCE)
            obj.release()
        assert nobody_holds(obj)

    @promise("lock.api")
    def test_a_lock_is_taken_once_also_by_its_holder(self, context: ipcframe.Context) -> None:
        lock = context.Lock()
        lock.acquire()
        assert lock.acquire(block=False) is False
        assert lock.acquire(timeout=0.01) is False
        assert lock.owner_died is False
        lock.release()

    @promise("lock.api")
    def test_locks_show_who_holds_them_as_those_of_multiprocessing_do(
        self, context: ipcframe.Context
    ) -> None:
        lock, rlock, condition = context.Lock(), context.RLock(), context.Condition()
        free = ["<Lock(owner=None)>", "<RLock(None, 0)>", "<Condition(<RLock(None, 0)>, 0)>"]
        assert [repr(one) for one in (lock, rlock, condition)] == free
        with lock, rlock, rlock, condition:
            assert repr(lock) == "<Lock(owner=MainProcess)>"
            assert repr(rlock) == "<RLock(MainProcess, 2)>"
            assert repr(condition) == "<Condition(<RLock(MainProcess, 1)>, 0)>"
            seen = Worker(lambda: [repr(lock), repr(rlock)]).result()
            assert seen == ["<Lock(owner=SomeOtherThread)>", "<RLock(SomeOtherThread, nonzero)>"]
        with held(lock), held(rlock):
            assert repr(lock) == "<Lock(owner=SomeOtherThread)>"
            assert repr(rlock) == "<RLock(SomeOtherThread, nonzero)>"

        def own() -> list[str]:
            with lock, rlock:
                return [repr(lock), repr(rlock)]

        name = f"MainProcess|{(thread := Worker(own)).name}"
        assert thread.result() == [f"<Lock(owner={name})>", f"<RLock({name}, 1)>"]
        assert [repr(one) for one in (lock, rlock, condition)] == free

    @promise("lock.owner")
    def test_locks_that_another_process_holds_say_so_and_cannot_be_had(self, children: Children) -> None:
        context = children.context
        lock, rlock = context.Lock(), context.RLock()
        remote = Remote(children, lock, rlock)
        for one in (lock, rlock):
            assert remote.call(one, "acquire") is True
            assert one.acquire(block=False) is False
        assert repr(lock) == "<Lock(owner=SomeOtherProcess)>"
        assert repr(rlock) == "<RLock(SomeOtherProcess, nonzero)>"
        for one in (lock, rlock):
            remote.call(one, "release")
            assert one.acquire(timeout=PATIENCE) is True
            assert one.owner_died is False
        remote.end()

    @promise("lock.owner")
    def test_any_process_and_any_thread_may_release_a_lock(self, children: Children) -> None:
        lock = children.context.Lock()
        remote = Remote(children, lock)
        remote.call(lock, "acquire")
        lock.release()
        assert lock.acquire(block=False) is True, "it was released for all"
        remote.call(lock, "release")
        assert nobody_holds(lock)
        lock.acquire()
        Worker(lock.release).result()
        assert nobody_holds(lock)
        with pytest.raises(ValueError, match="released too many times"):
            remote.call(lock, "release")
        remote.call(lock, "acquire")
        lock.release()
        remote.kill()
        remote.bury()
        assert lock.acquire(timeout=PATIENCE) is True
        assert lock.owner_died is False, "it died without the lock"

    @promise("lock.recursion")
    @pytest.mark.parametrize("kind", ["RLock", "Condition"])
    def test_its_thread_may_take_it_again_and_gives_it_back_as_often(
        self, context: ipcframe.Context, kind: str
    ) -> None:
        rlock = ACQUIRABLE[kind](context)
        for _ in range(3):
            assert rlock.acquire() is True
        for _ in range(3):
            assert Worker(lambda: rlock.acquire(block=False)).result() is False
            rlock.release()
        with held(rlock):
            assert rlock.acquire(block=False) is False
        with pytest.raises(AssertionError):
            rlock.release()

    @promise("lock.recursion")
    @pytest.mark.parametrize("kind", ["RLock", "Condition"])
    def test_only_its_thread_may_release_it(self, children: Children, kind: str) -> None:
        rlock = ACQUIRABLE[kind](children.context)
        with held(rlock), pytest.raises(AssertionError):
            rlock.release()
        remote = Remote(children, rlock)
        with rlock:
            assert remote.call(rlock, "acquire", block=False) is False
            with pytest.raises(AssertionError):
                remote.call(rlock, "release")
            assert isinstance(Worker(rlock.release).end(), AssertionError)
        assert remote.call(rlock, "acquire", timeout=PATIENCE) is True
        with pytest.raises(AssertionError):
            rlock.release()
        assert remote.call(rlock, "release") is None
        remote.end()

    @full("more kinds", kind=["Lock", "Semaphore"])
    @promise("lock.exclusion")
    @pytest.mark.parametrize("kind", EXCLUDING)
    def test_of_four_threads_one_at_a_time_is_inside(self, context: ipcframe.Context, kind: str) -> None:
        obj = ACQUIRABLE[kind](context)
        inside: list[int] = []
        most = 0

        def work() -> None:
            nonlocal most
            for _ in range(ROUNDS):
                with obj:
                    inside.append(threading.get_ident())
                    most = max(most, len(inside))
                    os.sched_yield()
                    inside.pop()

        for worker in [Worker(work) for _ in range(4)]:
            worker.result()
        assert most == 1
        assert nobody_holds(obj)

    @promise("lock.exclusion")
    def test_what_four_processes_count_under_a_lock_is_right(
        self, children: Children, tmp_path: Path
    ) -> None:
        locks = tuple(ACQUIRABLE[kind](children.context) for kind in EXCLUDING)
        path = tmp_path / "numbers"
        path.write_bytes(bytes(len(locks) * sync_targets.WORD))
        counting = [children.start(sync_targets.count_up, locks, str(path), ROUNDS) for _ in range(4)]
        for child in counting:
            children.finish(child)
        numbers = memoryview(path.read_bytes()).cast("Q").tolist()
        assert numbers == [4 * ROUNDS] * len(locks)
        assert all(map(nobody_holds, locks))
