"""Cases: what is held comes back when its holder dies."""
# ruff: noqa: D102 - the name of a case is its sentence

from __future__ import annotations

import contextlib
import statistics
import time
import warnings
from collections.abc import Callable
from threading import BrokenBarrierError
from typing import Any

import pytest

from ipcframe.abc import Condition
from ipcframe.errors import OwnerDiedWarning

from .case import Case, Children, budget, full
from .conditions import DEATH_BOUND, PATIENCE, Worker, stopwatch
from .primitives import ACQUIRABLE, Remote, children_in_turn, nobody_holds, when_asleep
from .promises import promise
from .tiers import in_campaign

__all__ = ["LockDeaths"]

OWNED = ("Lock", "RLock", "Condition", "Condition of a Lock", "BoundedSemaphore, owned")
TELLING = OWNED[:-1]
LONG = 5 * DEATH_BOUND
"""How long is waited for what should have come after a tenth of the bound."""


class LockDeaths(Case):
    """What is held comes back when its holder dies."""

    @full("more kinds", kind=["Lock", "Condition", "Barrier, as the last"])
    @promise("lock.dead-owner")
    @pytest.mark.parametrize("kind", [*OWNED, "Barrier, as the first", "Barrier, as the last"])
    def test_who_waits_parked_for_one_that_is_killed_goes_on(self, children: Children, kind: str) -> None:
        times = []
        for _ in range(budget("IPCFRAME_RECOVERIES", children_in_turn(children, 10))):
            if kind.startswith("Barrier"):
                times.append(self._break_by_a_death(children, first=kind.endswith("first")))
            else:
                times.append(self._inherit(children, kind))
            assert 0 <= times[-1] < DEATH_BOUND, f"within {times[-1]} s; before: {times[:-1]}"
        if in_campaign():
            self._print_distribution(kind, times)

    def _inherit(self, children: Children, kind: str) -> float:
        obj = ACQUIRABLE[kind](children.context)
        remote = Remote(children, obj)
        assert remote.call(obj, "acquire") is True

        def kill() -> float:
            now = time.monotonic()
            remote.kill()
            return now

        killing = when_asleep(kill)
        told = contextlib.nullcontext() if "Semaphore" in kind else pytest.warns(OwnerDiedWarning)
        with told:
            taken = obj.acquire(timeout=LONG)
        elapsed: float = time.monotonic() - killing.result()
        assert taken is True
        obj.release()
        assert nobody_holds(obj)
        remote.bury()
        return elapsed

    def _break_by_a_death(self, children: Children, first: bool) -> float:
        barrier = children.context.Barrier(3)
        remote = Remote(children, barrier)

        def kill() -> float:
            if first:
                remote.park(barrier, "wait")
            now = time.monotonic()
            remote.kill()
            return now

        if not first:
            remote.park(barrier, "wait")
        killing = when_asleep(kill)
        try:
            outcome = f"returns {barrier.wait(LONG)}"
        except BrokenBarrierError:
            outcome = ""
        except Exception as error:  # noqa: BLE001 - the next line tells of it
            outcome = f"raises {error!r}"
        assert not outcome, f"a party was killed, and wait {outcome} instead of raising BrokenBarrierError"
        elapsed: float = time.monotonic() - killing.result()
        assert barrier.broken
        remote.bury()
        barrier.reset()
        others = [Worker(barrier.wait) for _ in range(2)]
        assert sorted([barrier.wait(PATIENCE), *(one.result() for one in others)]) == [0, 1, 2]
        return elapsed

    def _print_distribution(self, kind: str, times: list[float]) -> None:
        method = self._request.node.callspec.params["method"]
        late = statistics.quantiles(times, n=100, method="inclusive")[98] if len(times) > 1 else times[0]
        spread = f"p50 {statistics.median(times):.4f}, p99 {late:.4f}, max {max(times):.4f} s"
        terminal = self._request.config.pluginmanager.getplugin("terminalreporter")
        capture = self._request.config.pluginmanager.getplugin("capturemanager")
        if terminal is not None:
            with capture.global_and_fixture_disabled() if capture else contextlib.nullcontext():
                terminal.ensure_newline()
                terminal.write_line(f"recovery of a {kind}, {method}, {len(times)} deaths: {spread}")

    @promise("lock.dead-owner")
    @pytest.mark.parametrize("how", ["SIGKILL", "os._exit"])
    def test_who_comes_after_the_death_of_a_holder_gets_it_and_is_told(
        self, children: Children, how: str
    ) -> None:
        held = {kind: ACQUIRABLE[kind](children.context) for kind in OWNED}
        remote, notified = self._die_with(children, how, held)
        for kind in TELLING:
            obj = held[kind]
            lock = _lock_of(obj)
            with stopwatch() as elapsed, warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                taken = obj.acquire(timeout=LONG)
                took = elapsed()
            assert taken is True, f"the holder of a {kind} is dead, and acquire took {took:.2f} s in vain"
            assert took < DEATH_BOUND, f"the holder of a {kind} was dead, and acquire took {took:.2f} s"
            (told,) = (one for one in caught if one.category is OwnerDiedWarning)
            assert str(remote.pid) in str(told.message)
            assert lock.owner_died
            assert notified == [(lock, remote.pid)]
            notified.clear()
            obj.release()
            assert obj.acquire(block=False) is True
            assert not lock.owner_died
            assert notified == []
        with stopwatch() as elapsed:
            assert held["BoundedSemaphore, owned"].acquire(timeout=LONG) is True
            assert elapsed() < DEATH_BOUND

    def _die_with(
        self, children: Children, how: str, held: dict[str, Any]
    ) -> tuple[Remote, list[tuple[Any, int]]]:
        """A process that held these and has died, and who was notified of what since."""
        remote = Remote(children, *held.values())
        for obj in held.values():
            assert remote.call(obj, "acquire") is True
        if how == "SIGKILL":
            remote.kill()
            remote.bury()
        else:
            remote.end(at_once=True)
        notified: list[tuple[Any, int]] = []
        # As the core does it for the observers of a context; a condition tells by its lock.
        for kind in set(held) & set(TELLING):
            _lock_of(held[kind]).notify = lambda event, **facts: notified.append((facts["obj"], facts["pid"]))
        return remote, notified

    @promise("lock.dead-owner")
    def test_a_warning_that_is_made_an_exception_releases_the_lock(self, children: Children) -> None:
        held = {kind: ACQUIRABLE[kind](children.context) for kind in TELLING}
        self._die_with(children, "SIGKILL", held)
        for kind in TELLING:
            obj = held[kind]
            with warnings.catch_warnings():
                warnings.simplefilter("error", OwnerDiedWarning)
                with pytest.raises(OwnerDiedWarning):
                    obj.acquire(timeout=LONG)
                assert nobody_holds(obj)
                taken = Worker(lambda obj=obj: obj.acquire(timeout=PATIENCE))  # type: ignore[misc]
                assert taken.result() is True, "it was not released"

    @promise("lock.dead-owner")
    def test_an_object_is_recovered_as_often_as_its_holders_die(self, children: Children) -> None:
        rlock = children.context.RLock()
        for _ in range(3):
            remote = Remote(children, rlock)
            assert remote.call(rlock, "acquire", timeout=PATIENCE) is True
            assert remote.call(rlock, "acquire") is True
            remote.kill()
            with pytest.warns(OwnerDiedWarning, match=str(remote.pid)):
                assert rlock.acquire(timeout=LONG) is True
            assert repr(rlock) == "<RLock(MainProcess, 1)>"
            rlock.release()
            assert nobody_holds(rlock)

    @promise("lock.left-held")
    def test_what_a_process_holds_when_it_ends_normally_stays_held(self, children: Children) -> None:
        held = {kind: ACQUIRABLE[kind](children.context) for kind in TELLING}
        remote = Remote(children, *held.values())
        for obj in held.values():
            remote.call(obj, "acquire")
        lock = held["Lock"]
        waiting = Worker(lock.acquire)
        waiting.eventually_asleep()
        remote.end()
        for obj in held.values():
            assert obj.acquire(timeout=0.02) is False
        waiting.eventually_asleep()
        assert waiting.is_alive(), "nobody has released it"
        lock.release()
        assert waiting.result() is True
        assert lock.owner_died is False

    @promise("semaphore.owned")
    def test_an_owned_semaphore_has_the_permits_of_the_dead_back_and_no_others(
        self, children: Children
    ) -> None:
        semaphore = children.context.BoundedSemaphore(5, owned=True)
        dying, living = Remote(children, semaphore), Remote(children, semaphore)
        for remote, count in ((dying, 3), (living, 1)):
            for _ in range(count):
                assert remote.call(semaphore, "acquire") is True
        assert semaphore.acquire() is True
        assert semaphore.get_value() == 0
        assert semaphore.acquire(block=False) is False
        dying.kill()
        dying.bury()
        assert semaphore.get_value() == 3
        takes: list[Callable[[], Any]] = [lambda: semaphore.acquire(timeout=PATIENCE)] * 3
        assert [take() for take in takes] == [True, True, True]
        assert semaphore.acquire(block=False) is False
        living.call(semaphore, "release")
        assert semaphore.get_value() == 1
        with pytest.raises(ValueError, match="released too many times"):
            living.call(semaphore, "release")
        assert semaphore.get_value() == 1, "what another process has taken is not another's to give back"
        living.end()


def _lock_of(obj: Any) -> Any:
    """The lock of a condition, or what is a lock itself."""
    return obj._lock if isinstance(obj, Condition) and hasattr(obj, "_lock") else obj
