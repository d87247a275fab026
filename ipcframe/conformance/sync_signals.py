"""Cases: signal handlers that use the very primitive that their thread is using."""
# ruff: noqa: D102 - the name of a case is its sentence

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import pytest

import ipcframe

from .case import Case, budget, full
from .conditions import PATIENCE, Worker, in_time, stopwatch
from .primitives import ACQUIRABLE, held, nobody_holds, when_asleep
from .promises import promise

__all__ = ["SyncSignals"]

FEW = 500


@contextlib.contextmanager
def handling(action: Callable[[], object]) -> Iterator[Callable[[], None]]:
    """SIGALRM does this; gives what sends that signal to the main thread."""

    def handler(number: int, frame: FrameType | None) -> None:
        action()

    main = threading.main_thread().ident
    assert main is not None
    before = signal.signal(signal.SIGALRM, handler)
    try:
        yield lambda: signal.pthread_kill(main, signal.SIGALRM)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        time.sleep(0.02)  # a signal may be on its way
        signal.signal(signal.SIGALRM, before)


class SyncSignals(Case):
    """Signal handlers that use the very primitive that their thread is using."""

    @promise("sync.signals")
    def test_a_handler_may_set_the_event_that_its_thread_waits_for(self, context: ipcframe.Context) -> None:
        event = context.Event()
        with handling(event.set) as send:
            for _ in range(3):
                sending = when_asleep(send)
                assert event.wait(PATIENCE) is True
                sending.result()
                event.clear()

    @promise("sync.signals")
    @pytest.mark.parametrize("kind", ["Lock", "Semaphore"])
    def test_a_handler_may_release_what_its_thread_waits_for(
        self, context: ipcframe.Context, kind: str
    ) -> None:
        obj = ACQUIRABLE[kind](context)
        obj.acquire()
        with handling(obj.release) as send:
            for _ in range(3):
                sending = when_asleep(send)
                assert obj.acquire(timeout=PATIENCE) is True
                sending.result()

    @promise("sync.signals")
    def test_a_handler_may_notify_the_condition_that_its_thread_waits_on(
        self, context: ipcframe.Context
    ) -> None:
        condition = context.Condition()

        def notify() -> None:
            with condition:
                condition.notify()

        with handling(notify) as send, condition:
            for _ in range(3):
                sending = when_asleep(send)
                assert condition.wait(PATIENCE) is True
                sending.result()

    @full("more kinds", kind=["RLock", "Semaphore"])
    @promise("sync.signals")
    @pytest.mark.parametrize("kind", ACQUIRABLE)
    def test_a_handler_may_take_what_its_thread_takes_at_any_instant(
        self, context: ipcframe.Context, kind: str
    ) -> None:
        obj = ACQUIRABLE[kind](context)
        goal = budget("IPCFRAME_INTERRUPTS", FEW)
        handled = 0

        def take() -> None:
            nonlocal handled
            handled += 1
            if obj.acquire(block=False):
                obj.release()

        with handling(take):
            while handled < goal:
                signal.setitimer(signal.ITIMER_REAL, 1e-6 + self.random.random() * 1e-4)
                for _ in range(5):
                    assert obj.acquire() is True
                    obj.release()
        assert nobody_holds(obj)

    @promise("sync.signals")
    def test_a_handler_may_set_and_clear_an_event_at_any_instant(self, context: ipcframe.Context) -> None:
        event = context.Event()
        goal = budget("IPCFRAME_INTERRUPTS", FEW)
        handled = 0

        def toggle() -> None:
            nonlocal handled
            handled += 1
            event.clear()
            event.set()

        with handling(toggle):
            while handled < goal:
                before = handled
                # Again after a moment: one that comes right before a system call is handled right after it.
                signal.setitimer(signal.ITIMER_REAL, 1e-6 + self.random.random() * 1e-4, 0.001)
                while handled == before:
                    event.clear()
                    if handled == before:  # the signal is yet to come
                        assert event.wait(PATIENCE) is True
                signal.setitimer(signal.ITIMER_REAL, 0)
        event.set()
        assert event.wait(0) is True

    @full("more kinds", kind=["Lock"])
    @promise("sync.signals")
    @pytest.mark.parametrize("kind", ACQUIRABLE)
    def test_handlers_that_run_during_a_wait_do_not_prolong_it(
        self, context: ipcframe.Context, kind: str
    ) -> None:
        obj: Any = ACQUIRABLE[kind](context)
        with handling(lambda: None), held(obj):
            signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
            with stopwatch() as elapsed:
                assert obj.acquire(timeout=0.05) is False
                in_time(elapsed(), 0.05)
            signal.setitimer(signal.ITIMER_REAL, 0)
        assert Worker(lambda: obj.acquire(timeout=PATIENCE)).result() is True
