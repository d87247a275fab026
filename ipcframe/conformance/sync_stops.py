"""Cases: timeouts of primitives, and processes that are stopped."""
# ruff: noqa: D102 - the name of a case is its sentence

from __future__ import annotations

import contextlib
import math
import os
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from threading import BrokenBarrierError
from typing import Any

import pytest

import ipcframe

from . import sync_targets
from .case import Case, Children, Pair, budget, campaign, full
from .conditions import DEATH_BOUND, LATENESS_BOUND, PATIENCE, Worker, eventually, in_time, stopwatch
from .primitives import ACQUIRABLE, WAITS, Remote, in_vain, nobody_holds
from .promises import promise

__all__ = ["SyncStops"]

SOON = 0.02


class SyncStops(Case):
    """Timeouts of primitives, and processes that are stopped."""

    @full(
        "more kinds",
        kind=["Lock", "Semaphore", "Event.wait", "Condition.wait", "Barrier.wait"],
        timeout=[0.05],
    )
    @promise("sync.timeouts")
    @pytest.mark.parametrize("timeout", [0, -1, 0.05])
    @pytest.mark.parametrize("kind", WAITS)
    def test_a_wait_keeps_its_timeout(self, context: ipcframe.Context, kind: str, timeout: float) -> None:
        with in_vain(context, kind) as wait, stopwatch() as elapsed:
            assert not wait(timeout)
            in_time(elapsed(), timeout)

    @promise("sync.timeouts")
    @pytest.mark.parametrize("kind", WAITS)
    def test_a_timeout_that_is_no_number_is_refused_and_takes_nothing(
        self, context: ipcframe.Context, kind: str
    ) -> None:
        with in_vain(context, kind) as wait:
            with pytest.raises(ValueError, match=r"(?i)nan"):
                wait(math.nan)
            with pytest.raises(TypeError):
                wait("1")  # type: ignore[arg-type]
            assert not wait(0)
        if kind in ACQUIRABLE:
            obj = ACQUIRABLE[kind](context)
            with pytest.raises(ValueError, match=r"(?i)nan"):
                obj.acquire(True, math.nan)
            with pytest.raises(TypeError):
                obj.acquire(timeout="1")
            assert nobody_holds(obj)

    @promise("sync.timeouts")
    @pytest.mark.parametrize("kind", ["Lock", "Semaphore"])
    def test_who_is_always_faster_does_not_prolong_the_timeout(
        self, children: Children, kind: str, pipe: Callable[..., Pair]
    ) -> None:
        obj = ACQUIRABLE[kind](children.context)
        remote = Remote(children, obj)
        told, tell = pipe(False)
        child = children.start(sync_targets.use_for_ever, kind, obj, tell, discard=(told,))
        assert told.recv(timeout=PATIENCE) == "ready"
        for _ in range(20):
            with stopwatch() as elapsed:
                if obj.acquire(timeout=SOON):
                    obj.release()
                assert elapsed() < SOON + LATENESS_BOUND
        assert remote.call(obj, "acquire", timeout=PATIENCE) is True, "it has its turn"
        remote.call(obj, "release")
        children.kill(child)
        children.finish(child, -signal.SIGKILL)
        remote.end()

    @full("more kinds", kind=["Lock"])
    @promise("sync.stopped")
    @pytest.mark.parametrize("kind", ["Lock", "RLock", "Semaphore", "BoundedSemaphore, owned"])
    def test_a_waiter_that_is_stopped_keeps_nobody_from_it(self, children: Children, kind: str) -> None:
        obj = ACQUIRABLE[kind](children.context)
        remote = Remote(children, obj)
        obj.acquire()
        remote.park(obj, "acquire")
        remote.stop()
        with stopwatch() as elapsed:
            waiting = Worker(lambda: (obj.acquire(), obj.release()))
            waiting.eventually_asleep()
            obj.release()
            waiting.result()
            for _ in range(10):
                assert obj.acquire(timeout=PATIENCE) is True
                obj.release()
            assert elapsed() < DEATH_BOUND
        remote.resume()
        assert remote.answer() is True
        assert not nobody_holds(obj)
        remote.call(obj, "release")
        remote.end()

    @promise("sync.stopped")
    def test_a_waiter_that_is_stopped_keeps_no_other_from_a_condition(self, children: Children) -> None:
        condition = children.context.Condition()
        remote = Remote(children, condition)
        remote.call(condition, "acquire")
        remote.park(condition, "wait")
        remote.stop()

        def wait() -> bool:
            with condition:
                return condition.wait()

        with stopwatch() as elapsed:
            waiting = Worker(wait)
            eventually(lambda: repr(condition).endswith(", 2)>"))
            with condition:
                condition.notify(2)
            assert waiting.result() is True
            assert elapsed() < DEATH_BOUND
        remote.resume()
        assert remote.answer() is True
        remote.call(condition, "release")
        remote.end()

    @full("more kinds", kind=["Lock", "Semaphore", "Event"])
    @promise("sync.stopped")
    @pytest.mark.parametrize("kind", sync_targets.USES)
    def test_timeouts_hold_while_a_process_is_stopped_at_any_instant(
        self, children: Children, kind: str, pipe: Callable[..., Pair]
    ) -> None:
        obj = _make(children.context, kind)
        told, tell = pipe(False)
        child = children.start(sync_targets.use_for_ever, kind, obj, tell, discard=(told,))
        if kind == "Barrier":
            for _ in range(3):
                with contextlib.suppress(BrokenBarrierError):
                    obj.wait(PATIENCE)
        assert told.recv(timeout=PATIENCE) == "ready"
        assert child.pid is not None
        wait = _timed(obj, kind)
        for _ in range(budget("IPCFRAME_KILLS", 30 if children.cheap else 10)):
            _stop(child.pid, self.random.random() * 0.002)
            with stopwatch() as elapsed:
                wait()
                took = elapsed()
            os.kill(child.pid, signal.SIGCONT)
            assert took < SOON + LATENESS_BOUND, f"{took:.3f} s instead of {SOON}"
        children.kill(child)
        children.finish(child, -signal.SIGKILL)

    @full("longer waits", seconds=[0.25])
    @promise("sync.idle")
    @pytest.mark.parametrize("seconds", [0.25, 1.2])
    def test_who_waits_sleeps_and_is_not_woken_by_a_timer(
        self, children: Children, pipe: Callable[..., Pair], seconds: float
    ) -> None:
        self._stay_asleep(children, pipe, seconds)

    @campaign("10 s")
    @promise("sync.idle")
    def test_who_waits_for_long_costs_nothing(self, children: Children, pipe: Callable[..., Pair]) -> None:
        self._stay_asleep(children, pipe, 10.0)

    def _stay_asleep(self, children: Children, pipe: Callable[..., Pair], seconds: float) -> None:
        if not Path("/proc/self/task").exists():
            pytest.skip("the system does not tell how often a thread wakes up")
        context = children.context
        locks = [ACQUIRABLE[kind](context) for kind in ("Lock", "RLock", "Semaphore", "Condition")]
        for lock in locks:
            lock.acquire()
        waits: list[tuple[Any, str]] = [(lock, "acquire") for lock in locks]
        waits += [(one, "wait") for one in (context.Event(), context.Barrier(2), context.Condition())]
        told, tell = pipe(False)
        child = children.start(sync_targets.park_in_threads, waits, tell, discard=(told,))
        threads = told.recv(timeout=PATIENCE)
        tasks = [Path(f"/proc/{child.pid}/task/{thread}") for thread in threads]
        assert len(tasks) == len(waits)
        before: list[tuple[int, int]] = []

        def settled() -> bool:
            last, before[:] = before[:], [_wakings(task) for task in tasks]
            time.sleep(0.05)  # a spin takes less
            return last == before

        eventually(settled)
        time.sleep(seconds)  # this long nothing is to happen
        after = [_wakings(task) for task in tasks]
        woken = {
            repr(one): now[0] - then[0] for (one, _), now, then in zip(waits, after, before, strict=True)
        }
        assert set(woken.values()) == {0}, f"woken up within {seconds} s: {woken}"
        ticks = sum(now[1] - then[1] for now, then in zip(after, before, strict=True))
        assert ticks == 0, f"{ticks} clock ticks of the processor within {seconds} s"


def _make(context: ipcframe.Context, kind: str) -> Any:
    if kind == "Barrier":
        return context.Barrier(2)
    return context.Event() if kind == "Event" else ACQUIRABLE[kind](context)


def _timed(obj: Any, kind: str) -> Callable[[], object]:
    """What one does with it within a time: wait, or take it, also to give it back."""
    if kind == "Event":
        return partial(obj.wait, SOON)

    def meet() -> None:
        with contextlib.suppress(BrokenBarrierError):
            obj.wait(SOON)

    def wait() -> None:
        # What comes after the wait may take as long as the other process is stopped: it may hold the lock.
        if obj.acquire(timeout=SOON / 2):
            obj.release()

    def take() -> None:
        obj.acquire(timeout=SOON) and obj.release()

    return {"Barrier": meet, "Condition": wait}.get(kind, take)


def _stop(pid: int, after: float) -> None:
    """SIGSTOP after so many seconds."""
    until = time.perf_counter() + after
    while time.perf_counter() < until:
        os.sched_yield()
    os.kill(pid, signal.SIGSTOP)


def _wakings(task: Path) -> tuple[int, int]:
    """How often a thread went to sleep, and its clock ticks of processor time."""
    status = task.joinpath("status").read_text()
    switches = next(line for line in status.splitlines() if line.startswith("voluntary_ctxt"))
    fields = task.joinpath("stat").read_text().rpartition(")")[2].split()
    return int(switches.split()[1]), int(fields[11]) + int(fields[12])
