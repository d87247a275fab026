"""Cases: an exception out of a signal handler, at every instant of the operations of primitives."""
# ruff: noqa: D102 - the name of a case is its sentence

from __future__ import annotations

import threading
from functools import partial
from threading import BrokenBarrierError
from typing import Any

import pytest

import ipcframe

from .case import Case, budget, full
from .conditions import PATIENCE, Worker, eventually
from .connection_interrupts import INTERRUPTS
from .interrupts import Striker
from .primitives import ACQUIRABLE, nobody_holds
from .promises import promise

__all__ = ["SyncInterrupts"]

FEW = 300


class SyncInterrupts(Case):
    """An exception out of a signal handler, at every instant of the operations of primitives."""

    @full("more kinds", kind=["Lock", "Semaphore", "Condition"])
    @promise("sync.interrupts")
    @pytest.mark.parametrize("kind", ACQUIRABLE)
    def test_an_interrupted_acquire_has_taken_it_and_returned_or_has_not_taken_it(
        self, context: ipcframe.Context, kind: str
    ) -> None:
        obj = ACQUIRABLE[kind](context)
        goal = budget("IPCFRAME_INTERRUPTS", INTERRUPTS)
        taken: list[bool] = []
        with Striker(self.random).armed() as striker:
            while striker.struck < goal:
                striker.strike(lambda: taken.append(obj.acquire()))
                if taken:
                    obj.release()
                assert nobody_holds(obj), f"taken and not returned, at the {striker.struck}th interrupt"
                taken.clear()

    @full("more kinds", kind=["Lock", "Semaphore"])
    @promise("sync.interrupts")
    @pytest.mark.parametrize("kind", ACQUIRABLE)
    def test_an_interrupted_acquire_that_waits_stops_nobody(
        self, context: ipcframe.Context, kind: str
    ) -> None:
        obj = ACQUIRABLE[kind](context)
        goal = budget("IPCFRAME_INTERRUPTS", FEW)
        done: list[bool] = []

        def compete() -> None:
            while not done:
                obj.acquire()
                obj.release()

        competing = [Worker(compete) for _ in range(2)]
        taken: list[bool] = []
        with Striker(self.random).armed() as striker:
            while striker.struck < goal:
                striker.strike(lambda: taken.append(obj.acquire()))
                if taken:
                    obj.release()
                taken.clear()
        done.append(True)
        for one in competing:
            one.result()
        assert nobody_holds(obj)

    @full("more kinds", kind=["Lock", "Semaphore", "Condition"])
    @promise("sync.interrupts")
    @pytest.mark.parametrize("kind", ACQUIRABLE)
    def test_an_interrupted_release_is_done_or_can_be_repeated(
        self, context: ipcframe.Context, kind: str
    ) -> None:
        obj = ACQUIRABLE[kind](context)
        goal = budget("IPCFRAME_INTERRUPTS", INTERRUPTS)
        with Striker(self.random).armed() as striker:
            while striker.struck < goal:
                obj.acquire()
                if striker.strike(obj.release) and not nobody_holds(obj):
                    obj.release()
                assert nobody_holds(obj)

    @full("more kinds", kind=["Lock"])
    @promise("sync.interrupts")
    @pytest.mark.parametrize("kind", ["Lock", "RLock", "Condition"])
    def test_an_interrupted_release_leaves_nobody_asleep(self, context: ipcframe.Context, kind: str) -> None:
        obj = ACQUIRABLE[kind](context)
        goal = budget("IPCFRAME_INTERRUPTS", FEW) // 3
        with Striker(self.random).armed() as striker:
            while striker.struck < goal:
                obj.acquire()
                waiting = Worker(lambda: (obj.acquire(), obj.release()))
                waiting.eventually_asleep()
                if striker.strike(obj.release) and _is_mine(obj):
                    obj.release()
                waiting.result()

    @full("more kinds", lock=["RLock"])
    @promise("sync.interrupts")
    @pytest.mark.parametrize("lock", ["Lock", "RLock"])
    def test_an_interrupted_wait_holds_the_lock_when_the_exception_leaves(
        self, context: ipcframe.Context, lock: str
    ) -> None:
        condition = context.Condition(getattr(context, lock)())
        goal = budget("IPCFRAME_INTERRUPTS", FEW)
        done: list[bool] = []

        def notify() -> None:
            while not done:
                with condition:
                    condition.notify()

        notifying = Worker(notify)
        with Striker(self.random).armed() as striker:
            while striker.struck < goal:
                condition.acquire()
                striker.strike(condition.wait)
                condition.notify(0)  # refused to all but the holder
                condition.release()
        done.append(True)
        notifying.result()
        assert nobody_holds(condition)

        def wait() -> bool:
            with condition:
                return condition.wait(PATIENCE)

        waiting = Worker(wait)
        waiting.eventually_asleep()
        with condition:
            condition.notify()
        assert waiting.result(), "the notification went to one who was interrupted and has left"

    @promise("sync.interrupts")
    def test_an_interrupted_wait_or_set_leaves_the_event_as_it_was_or_set(
        self, context: ipcframe.Context
    ) -> None:
        event = context.Event()
        goal = budget("IPCFRAME_INTERRUPTS", FEW) // 3
        with Striker(self.random).armed() as striker:
            while striker.struck < goal:
                waiting = Worker(event.wait)
                waiting.eventually_asleep()
                striker.strike(partial(event.wait, 0.0001))
                if striker.strike(event.set) and not event.is_set():
                    event.set()
                assert event.is_set()
                assert waiting.result() is True
                striker.strike(event.wait)
                if striker.strike(event.clear) and event.is_set():
                    event.clear()
                assert not event.is_set()

    @promise("sync.interrupts")
    def test_an_interrupted_party_breaks_the_barrier_or_has_passed_it(
        self, context: ipcframe.Context
    ) -> None:
        barrier = context.Barrier(2)
        goal = budget("IPCFRAME_INTERRUPTS", FEW)
        got: list[int] = []
        go = threading.Semaphore(0)
        come: list[int | None] = []
        done: list[bool] = []

        def meet() -> None:
            while go.acquire() and not done:
                try:
                    come.append(barrier.wait(PATIENCE))
                except BrokenBarrierError:
                    come.append(None)

        meeting = Worker(meet)
        with Striker(self.random).armed() as striker:
            while striker.struck < goal:
                go.release()
                struck = striker.strike(lambda: got.append(barrier.wait(PATIENCE)))
                self._other_has_gone_on(come, meeting, struck, barrier)
                assert come in ([0], [1], [None])
                assert struck or come == [1 - got[0]]
                come.clear()
                got.clear()
                barrier.reset()
                assert barrier.n_waiting == 0
        done.append(True)
        go.release()
        meeting.result()

    def _other_has_gone_on(self, come: list[int | None], meeting: Worker, struck: bool, barrier: Any) -> None:
        """Wait for the other party; if this one was interrupted before it came, break the barrier for it."""
        if struck and not barrier.broken:
            eventually(lambda: come or barrier.n_waiting or barrier.broken or not meeting.is_alive())
            if barrier.n_waiting and not come:
                barrier.abort()
        eventually(lambda: come or not meeting.is_alive())
        assert meeting.is_alive(), meeting.error


def _is_mine(obj: Any) -> bool:
    """Whether the main thread holds it."""
    text = repr(obj)
    return "MainProcess" in text and "|" not in text
