"""Cases: primitives in other processes, after a fork, and what they leave behind."""
# ruff: noqa: D102 - the name of a case is its sentence

from __future__ import annotations

import gc
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import ipcframe

from . import sync_targets
from .case import Case, Children, Pair, full
from .conditions import PATIENCE, Worker, eventually, open_descriptors
from .leftovers import _held
from .primitives import ACQUIRABLE, Remote, held, nobody_holds
from .promises import promise

__all__ = ["SyncHandoff"]

MANY = 1000
ONE_SEGMENT = 2
"""The descriptors of what objects come from: the file's, and the duplicate that `mmap` keeps."""


class SyncHandoff(Case):
    """Primitives in other processes, after a fork, and what they leave behind."""

    @promise("sync.handoff")
    def test_every_primitive_can_be_an_argument(self, children: Children) -> None:
        context = children.context
        objects = {kind: make(context) for kind, make in ACQUIRABLE.items()}
        event, barrier = context.Event(), context.Barrier(2)
        remote = Remote(children, *objects.values(), event, barrier)
        self._use_together(remote, objects, event, barrier)
        remote.end()

    @promise("sync.handoff")
    def test_every_primitive_can_be_sent_to_a_child_that_runs_already(self, children: Children) -> None:
        context = children.context
        remote = Remote(children)
        objects = {kind: make(context) for kind, make in ACQUIRABLE.items()}
        event, barrier = context.Event(), context.Barrier(2)
        remote.give(*objects.values(), event, barrier)
        self._use_together(remote, objects, event, barrier)
        remote.end()

    def _use_together(self, remote: Remote, objects: dict[str, Any], event: Any, barrier: Any) -> None:
        for obj in objects.values():
            assert remote.call(obj, "acquire", timeout=PATIENCE) is True
            assert obj.acquire(block=False) is False
            remote.call(obj, "release")
            with obj:
                assert remote.call(obj, "acquire", block=False) is False
            assert nobody_holds(obj)
        remote.begin(event, "wait")
        event.set()
        assert remote.answer() is True
        remote.begin(barrier, "wait", PATIENCE)
        assert sorted([barrier.wait(PATIENCE), remote.answer()]) == [0, 1]

    @promise("sync.handoff")
    def test_what_shares_a_lock_shares_it_after_the_handoff(self, children: Children) -> None:
        lock = children.context.Lock()
        condition = children.context.Condition(lock)
        remote = Remote(children, lock, condition)
        remote.call(lock, "acquire")
        remote.begin(condition, "wait")
        eventually(lambda: repr(condition).endswith(", 1)>"))
        with lock:
            condition.notify_all()
        assert remote.answer() is True
        assert lock.acquire(block=False) is False
        remote.call(lock, "release")
        remote.end()

    @promise("sync.handoff")
    def test_names_are_kept_and_two_handles_are_one_lock(self, children: Children) -> None:
        lock = children.context.Lock(name="door")
        assert lock.name == "door"
        assert children.context.Event().name is None
        remote = Remote(children, lock, [lock])
        assert remote.call(lock, "name") == "door"
        remote.end()

    @promise("sync.fork")
    def test_a_child_works_while_the_parents_threads_hold_wait_and_are_inside(
        self, children: Children
    ) -> None:
        context = children.context
        taken, busy, event, condition = context.Lock(), context.RLock(), context.Event(), context.Condition()
        semaphore = context.Semaphore(0)
        done: list[bool] = []

        def wait_on_condition() -> bool:
            with condition:
                return condition.wait()

        def hammer() -> None:
            while not done:
                busy.acquire()
                busy.release()

        waits: tuple[Callable[[], Any], ...] = taken.acquire, event.wait, semaphore.acquire, wait_on_condition
        with held(taken):
            waiting = [Worker(wait) for wait in waits]
            for worker in waiting:
                worker.eventually_asleep()
            hammering = [Worker(hammer) for _ in range(2)]
            for _ in range(5 if children.cheap else 1):
                remote = Remote(children, taken, busy, event, semaphore, condition)
                assert remote.call(taken, "acquire", timeout=0.01) is False
                for _ in range(20):
                    assert remote.call(busy, "acquire", timeout=PATIENCE) is True
                    remote.call(busy, "release")
                assert remote.call(event, "wait", 0.01) is False
                with condition:
                    assert remote.call(condition, "acquire", block=False) is False
                remote.end()
            last = Remote(children, taken, event, semaphore, condition)
            done.append(True)
            for worker in hammering:
                worker.result()
        assert waiting[0].result() is True
        last.call(taken, "release")
        last.call(event, "set")
        last.call(semaphore, "release")
        assert last.call(condition, "acquire", timeout=PATIENCE) is True
        last.call(condition, "notify")
        last.call(condition, "release")
        assert [worker.result() for worker in waiting] == [True] * len(waits)
        assert last.call(taken, "acquire", timeout=PATIENCE) is True
        last.call(taken, "release")
        last.end()
        assert all(map(nobody_holds, (taken, busy, condition)))

    @promise("sync.fork")
    def test_a_child_does_not_hold_what_its_parent_holds(self, children: Children) -> None:
        objects = {kind: make(children.context) for kind, make in ACQUIRABLE.items()}
        for obj in objects.values():
            obj.acquire()
        remote = Remote(children, *objects.values())
        for kind, obj in objects.items():
            assert remote.call(obj, "acquire", block=False) is False
            if kind in ("RLock", "Condition"):
                with pytest.raises(AssertionError):
                    remote.call(obj, "release")
        remote.kill()
        remote.bury()
        for obj in objects.values():
            assert not nobody_holds(obj)
            obj.release()
            assert nobody_holds(obj)
            assert obj.acquire(block=False) is True

    @full("1,000 of each")
    @promise("leftovers.none")
    def test_a_thousand_of_each_primitive_leave_no_descriptor(self, context: ipcframe.Context) -> None:
        makes: dict[str, Callable[[ipcframe.Context], Any]] = {
            **ACQUIRABLE,
            "Event": lambda one: one.Event(),
            "Barrier": lambda one: one.Barrier(1),
        }
        context.Event().wait(0.001)  # what a process keeps in order to wait is no leftover
        context.Barrier(1).wait(0)
        gc.collect()
        before, threads = open_descriptors(), threading.active_count()
        for make in makes.values():
            for number in range(MANY):
                obj = make(context)
                if number % 10 == 0:
                    (obj.acquire if hasattr(obj, "acquire") else partial(obj.wait, 0))()
            del obj
            gc.collect()
            left = open_descriptors() - before
            assert len(left) <= ONE_SEGMENT, "more than what the next objects come from"
        assert threading.active_count() == threads

    @promise("sync.descriptors")
    def test_a_thousand_primitives_that_are_kept_cost_few_descriptors(
        self, context: ipcframe.Context
    ) -> None:
        before = open_descriptors()
        kept = [context.Event() for _ in range(MANY)]
        assert len(open_descriptors() - before) <= MANY // 20
        kept[-1].set()
        assert not kept[0].is_set()

    @promise("leftovers.none")
    def test_waiting_leaves_no_descriptor_and_no_thread(self, context: ipcframe.Context) -> None:
        objects = [make(context) for make in ACQUIRABLE.values()]
        event, barrier, condition = context.Event(), context.Barrier(2), context.Condition()

        def wait_in_vain() -> None:
            for obj in objects:
                with held(obj):
                    assert obj.acquire(timeout=0.001) is False
            assert event.wait(0.001) is False
            with condition:
                assert condition.wait(0.001) is False
            other = Worker(partial(barrier.wait, PATIENCE))
            barrier.wait(PATIENCE)
            other.result()

        wait_in_vain()
        before = open_descriptors(), threading.active_count()
        for _ in range(5):
            wait_in_vain()
        assert (open_descriptors(), threading.active_count()) == before

    @promise("leftovers.none")
    def test_a_program_whose_child_was_killed_with_every_primitive_leaves_nothing(
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
                sync_targets.lose_a_holder, children.context, str(folder), str(stderr), tell, discard=(told,)
            )
            tell.close()
            descriptors, threads = told.recv(timeout=PATIENCE)
            assert (descriptors, threads) == (0, 1)
            children.finish(child)
            eventually(lambda folder=folder: not list(folder.iterdir()))  # type: ignore[misc]
            assert stderr.read_text() == ""
            abandoned = names() - before - _held(shared)
            if not abandoned:
                return
        raise AssertionError(f"left in /dev/shm: {abandoned}")
