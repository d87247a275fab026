"""Cases: conditions."""
# ruff: noqa: D102 - the name of a case is its sentence

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

import ipcframe
from ipcframe.abc import Condition

from .case import Case, Children
from .conditions import DEATH_BOUND, PATIENCE, Worker, eventually, in_time, stopwatch
from .primitives import Remote, nobody_holds
from .promises import promise

__all__ = ["ConditionWaits"]

MAKE: dict[str, Callable[[ipcframe.Context], Condition]] = {
    "its own RLock": lambda context: context.Condition(),
    "an RLock": lambda context: context.Condition(context.RLock()),
    "a Lock": lambda context: context.Condition(context.Lock()),
}


def _wait(condition: Condition, timeout: float | None = None) -> bool:
    with condition:
        return condition.wait(timeout)


def _waiting(condition: Condition, count: int) -> bool:
    """Whether so many wait, as the representation tells."""
    return repr(condition).endswith(f", {count})>")


class ConditionWaits(Case):
    """Conditions: a lock, and a place to wait for what it guards to change."""

    @promise("condition.api")
    @pytest.mark.parametrize("lock", MAKE)
    def test_waiting_and_notifying_need_the_lock(self, context: ipcframe.Context, lock: str) -> None:
        condition = MAKE[lock](context)
        operations: list[Callable[[], Any]] = [
            condition.wait,
            partial(condition.wait, 0),
            partial(condition.wait_for, lambda: False, 0.01),
            condition.notify,
            condition.notify_all,
        ]
        for operation in operations:
            with pytest.raises(AssertionError):
                operation()
        with condition:
            for operation in operations[1:]:
                assert isinstance(Worker(operation).end(), AssertionError), "another thread holds it"
                operation()
        assert nobody_holds(condition)

    @promise("condition.api")
    @pytest.mark.parametrize("lock", [threading.Lock(), threading.RLock(), object(), 1])
    def test_a_lock_of_another_library_is_refused(self, context: ipcframe.Context, lock: Any) -> None:
        with pytest.raises(TypeError, match="Lock"):
            context.Condition(lock)

    @promise("condition.api")
    def test_a_condition_shares_the_lock_that_it_was_made_around(self, context: ipcframe.Context) -> None:
        for lock in (context.Lock(), context.RLock()):
            condition = context.Condition(lock)
            with lock:
                condition.notify()
                assert condition.wait(0) is False
            with condition:
                assert Worker(partial(lock.acquire, False)).result() is False
            assert nobody_holds(lock)

    @promise("condition.api")
    @pytest.mark.parametrize("timeout", [0, -1, 0.02])
    def test_a_wait_that_nobody_ends_is_false_and_holds_the_lock_again(
        self, context: ipcframe.Context, timeout: float
    ) -> None:
        condition = context.Condition()
        with condition, condition:
            assert condition.wait(timeout) is False
            assert condition.wait(timeout=timeout) is False
            assert repr(condition) == "<Condition(<RLock(MainProcess, 2)>, 0)>"
        assert nobody_holds(condition)

    @promise("condition.api")
    def test_wait_for_returns_the_last_value_of_its_predicate(self, context: ipcframe.Context) -> None:
        condition = context.Condition()
        values = iter([0, "", "now"])
        with condition:
            assert condition.wait_for(lambda: "at once") == "at once"
            assert condition.wait_for(list, timeout=0) == []
            with stopwatch() as elapsed:
                assert condition.wait_for(lambda: None, timeout=0.05) is None
                in_time(elapsed(), 0.05)
            with pytest.raises(KeyError):
                condition.wait_for({}.popitem)

        def wait() -> Any:
            with condition:
                return condition.wait_for(lambda: next(values), PATIENCE)

        waiting = Worker(wait)
        while waiting.is_alive():
            with condition:
                condition.notify_all()
        assert waiting.result() == "now"

    @promise("condition.notify")
    @pytest.mark.parametrize("count", [0, 1, 2, 3])
    def test_notify_wakes_as_many_as_it_says(self, context: ipcframe.Context, count: int) -> None:
        condition = context.Condition()
        with condition:
            condition.notify()  # nobody waits, and it is not kept
        waiting = [Worker(partial(_wait, condition)) for _ in range(4)]
        eventually(lambda: _waiting(condition, 4))
        with condition:
            condition.notify(count) if count != 1 else condition.notify()
            assert _waiting(condition, 4 - count), "as soon as notify has returned"
        eventually(lambda: sum(not one.is_alive() for one in waiting) >= count)
        for worker in waiting:
            worker.eventually_asleep()
        assert sum(not one.is_alive() for one in waiting) == count
        with condition:
            condition.notify_all()
        assert all(one.result() is True for one in waiting)
        assert _waiting(condition, 0)

    @promise("condition.notify")
    def test_waiting_gives_up_every_hold_of_the_lock_and_takes_as_many_back(
        self, context: ipcframe.Context
    ) -> None:
        condition = context.Condition()

        def wait() -> str:
            with condition, condition, condition:
                assert condition.wait(PATIENCE) is True
                return repr(condition)

        waiting = Worker(wait)
        eventually(lambda: _waiting(condition, 1))
        with condition:  # it is to be had
            condition.notify()
            waiting.eventually_asleep()
            assert waiting.is_alive(), "it goes on with the lock only"
        assert waiting.result() == f"<Condition(<RLock(MainProcess|{waiting.name}, 3)>, 0)>"

    @promise("condition.notify")
    def test_notify_reaches_waiters_in_other_processes(self, children: Children) -> None:
        condition = children.context.Condition(children.context.Lock())
        remotes = [Remote(children, condition) for _ in range(2)]
        for remote in remotes:
            assert remote.call(condition, "acquire") is True
            remote.begin(condition, "wait")
        eventually(lambda: _waiting(condition, 2))
        with condition:
            condition.notify()
        eventually(lambda: any(remote.answered() for remote in remotes))
        first, second = sorted(remotes, key=lambda remote: not remote.answered())
        assert first.answer() is True
        assert not second.answered(), "it waits for the lock, or for a notification"
        first.call(condition, "release")
        second.parked()
        assert first.call(condition, "acquire") is True
        first.call(condition, "notify_all")
        first.call(condition, "release")
        assert second.answer() is True
        second.call(condition, "release")
        first.end()
        second.end()

    @promise("condition.killed")
    @pytest.mark.parametrize("how", ["before", "after"])
    def test_a_waiter_that_is_killed_swallows_no_notification(self, children: Children, how: str) -> None:
        condition = children.context.Condition()
        dying, living = (Remote(children, condition) for _ in range(2))
        for count, remote in enumerate((dying, living), 1):  # in this order
            remote.call(condition, "acquire")
            remote.begin(condition, "wait")
            eventually(lambda count=count: _waiting(condition, count))  # type: ignore[misc]
        living.parked()
        if how == "before":
            dying.kill()
            dying.bury()
        else:
            dying.stop()
        with condition:
            condition.notify()
        if how == "after":
            dying.kill()
        with stopwatch() as elapsed:
            assert living.answer() is True
            assert elapsed() < DEATH_BOUND
        living.call(condition, "release")
        living.end()
        assert _waiting(condition, 0)
        waiting = Worker(partial(_wait, condition))
        eventually(lambda: _waiting(condition, 1))
        with condition:
            condition.notify()
        assert waiting.result() is True
