"""Cases: processes that are killed while they wait for primitives, or use them, at any instant."""
# ruff: noqa: D102 - the name of a case is its sentence

from __future__ import annotations

import contextlib
import signal
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from threading import BrokenBarrierError
from typing import Any

import pytest

from ipcframe.errors import OwnerDiedWarning

from . import sync_targets
from .case import Case, Children, Pair, budget, full
from .conditions import DEATH_BOUND, PATIENCE, Worker, stopwatch
from .primitives import ACQUIRABLE, Remote, children_in_turn, nobody_holds
from .promises import promise

__all__ = ["SyncKills"]

USED = [kind for kind in sync_targets.USES if kind in ACQUIRABLE and kind != "Condition"]
PERMITS = 1000


class SyncKills(Case):
    """Processes that are killed while they wait for primitives, or use them, at any instant."""

    @full("more kinds", kind=["Lock", "Semaphore"])
    @promise("sync.killed")
    @pytest.mark.parametrize("how", ["before", "after"])
    @pytest.mark.parametrize("kind", ["Lock", "RLock", "Semaphore", "BoundedSemaphore, owned"])
    def test_a_waiter_that_is_killed_takes_nothing_and_swallows_no_wake_up(
        self, children: Children, kind: str, how: str
    ) -> None:
        obj = ACQUIRABLE[kind](children.context)
        obj.acquire()
        dying, living = (Remote(children, obj) for _ in range(2))
        for remote in (dying, living):  # in this order
            remote.park(obj, "acquire")
        if how == "before":
            dying.kill()
            dying.bury()
        else:
            dying.stop()
        with stopwatch() as elapsed:
            obj.release()
            if how == "after":
                dying.kill()
            assert living.answer() is True
            assert elapsed() < DEATH_BOUND
        assert obj.acquire(block=False) is False
        living.call(obj, "release")
        assert nobody_holds(obj)
        living.end()

    @full("more kinds", kind=["Lock", "Semaphore"])
    @promise("sync.killed")
    @pytest.mark.parametrize("kind", USED)
    def test_whoever_is_killed_at_any_instant_of_acquire_and_release_stops_nobody(
        self, children: Children, kind: str, pipe: Callable[..., Pair]
    ) -> None:
        context = children.context
        obj: Any = context.Semaphore(PERMITS) if kind == "Semaphore" else ACQUIRABLE[kind](context)
        with _deaths_expected():
            competing = self._competitor(children, kind, obj, pipe)
            killed = 0
            for killed in self._kill_at_random(children, kind, obj):
                for _ in range(3):
                    assert obj.acquire(timeout=PATIENCE) is True, f"after {killed} kills"
                    obj.release()
            children.kill(competing)
            children.finish(competing, -signal.SIGKILL)
            if kind == "Semaphore":
                assert PERMITS - killed - 1 <= obj.get_value() <= PERMITS, "a permit was made"
            else:
                assert obj.acquire(timeout=PATIENCE) is True
                obj.release()
                assert nobody_holds(obj)

    @promise("condition.killed")
    def test_whoever_is_killed_at_any_instant_of_wait_and_notify_stops_nobody(
        self, children: Children, pipe: Callable[..., Pair]
    ) -> None:
        condition = children.context.Condition()

        def wait() -> bool:
            with condition:
                return condition.wait(PATIENCE)

        with _deaths_expected():
            competing = self._competitor(children, "Condition", condition, pipe)
            for killed in self._kill_at_random(children, "Condition", condition):
                waiting = Worker(wait)
                with stopwatch() as elapsed:
                    while waiting.is_alive():
                        with condition:
                            condition.notify_all()
                        assert elapsed() < PATIENCE, f"after {killed} kills"
                assert waiting.result() is True
            children.kill(competing)
            children.finish(competing, -signal.SIGKILL)
            assert condition.acquire(timeout=PATIENCE) is True
            condition.release()
        # The dead are not counted: if one is notified, it is the one that waits; or it has got a dead one's.
        waiting = Worker(wait)
        waiting.eventually_asleep()
        with condition:
            condition.notify(1)
        assert waiting.result() is True

    @promise("event.wakes")
    def test_whoever_is_killed_at_any_instant_of_set_and_wait_stops_nobody(
        self, children: Children, pipe: Callable[..., Pair]
    ) -> None:
        event = children.context.Event()
        for killed in self._kill_at_random(children, "Event", event):
            event.clear()
            waiting = Worker(partial(event.wait, PATIENCE))
            waiting.eventually_asleep()
            event.set()
            with stopwatch() as elapsed:
                assert waiting.result() is True
                assert elapsed() < DEATH_BOUND, f"after {killed} kills"

    @promise("barrier.breaks")
    def test_whoever_is_killed_at_any_instant_of_a_barrier_keeps_nobody_waiting(
        self, children: Children
    ) -> None:
        barrier = children.context.Barrier(2)
        ended: list[bool] = []

        def meet() -> None:
            while not ended:
                with contextlib.suppress(BrokenBarrierError):
                    barrier.wait(0.1)  # who is killed elsewhere is not missed
                if barrier.broken:
                    barrier.reset()

        meeting = Worker(meet)
        for _ in self._kill_at_random(children, "Barrier", barrier):
            assert meeting.is_alive(), meeting.error
        ended.append(True)
        meeting.result()
        barrier.reset()
        other = Worker(partial(barrier.wait, PATIENCE))
        assert sorted([barrier.wait(PATIENCE), other.result()]) == [0, 1]

    def _kill_at_random(self, children: Children, kind: str, obj: Any) -> Iterator[int]:
        """Let children use it that end at a random instant of that; gives the number of deaths so far."""
        for number in range(1, 1 + budget("IPCFRAME_KILLS", children_in_turn(children, 40))):
            seconds = 1e-6 + self.random.random() * 0.003
            child = children.start(sync_targets.use_until_struck, kind, obj, seconds)
            children.finish(child, -signal.SIGALRM)
            yield number

    def _competitor(self, children: Children, kind: str, obj: Any, pipe: Callable[..., Pair]) -> Any:
        """A child that uses it all the time."""
        told, tell = pipe(False)
        child = children.start(sync_targets.use_for_ever, kind, obj, tell, discard=(told,))
        tell.close()
        assert told.recv(timeout=PATIENCE) == "ready"
        return child


@contextlib.contextmanager
def _deaths_expected() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OwnerDiedWarning)
        yield
