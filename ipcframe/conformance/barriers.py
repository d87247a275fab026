"""Cases: barriers."""
# ruff: noqa: D102 - the name of a case is its sentence

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import partial
from threading import BrokenBarrierError

import pytest

import ipcframe
from ipcframe.abc import Barrier, Connection

from . import sync_targets
from .case import Case, Children, Pair
from .conditions import DEATH_BOUND, PATIENCE, Worker, eventually, in_time, stopwatch
from .primitives import Remote
from .promises import promise

__all__ = ["Barriers"]

ROUNDS = 30


def _meet(barrier: Barrier) -> list[int]:
    """All parties meet, in threads; the numbers they got, in order."""
    others = [Worker(partial(barrier.wait, PATIENCE)) for _ in range(barrier.parties - 1)]
    return sorted([barrier.wait(PATIENCE), *(other.result() for other in others)])


def _arrive(barrier: Barrier, count: int, timeout: float | None = PATIENCE) -> list[Worker]:
    """So many parties wait, in threads."""
    waiting = []
    for number in range(1, count + 1):
        waiting.append(Worker(partial(barrier.wait, timeout)))
        eventually(lambda number=number: barrier.n_waiting == number)  # type: ignore[misc]
    return waiting


def _broken(waiting: list[Worker]) -> bool:
    return all(isinstance(one.end(), BrokenBarrierError) for one in waiting)


class Barriers(Case):
    """Barriers: a number of parties that wait for each other."""

    @promise("barrier.api")
    @pytest.mark.parametrize("parties", [0, -1])
    def test_a_barrier_has_a_party_at_least(self, context: ipcframe.Context, parties: int) -> None:
        with pytest.raises(ValueError, match="parties"):
            context.Barrier(parties)
        assert context.Barrier(1).wait(0) == 0

    @promise("barrier.api")
    def test_a_barrier_tells_of_its_state(self, context: ipcframe.Context) -> None:
        barrier = context.Barrier(3)
        assert (barrier.parties, barrier.n_waiting, barrier.broken) == (3, 0, False)
        waiting = _arrive(barrier, 2)
        assert (barrier.parties, barrier.n_waiting, barrier.broken) == (3, 2, False)
        assert "waiters=2/3" in repr(barrier)
        barrier.wait(PATIENCE)
        assert sorted(one.result() for one in waiting) != [2, 2]
        assert (barrier.n_waiting, barrier.broken) == (0, False)
        barrier.abort()
        assert (barrier.n_waiting, barrier.broken) == (0, True)
        assert "broken" in repr(barrier)

    @promise("barrier.passes")
    def test_each_party_gets_a_number_of_its_own_time_after_time(self, context: ipcframe.Context) -> None:
        for parties in (1, 2, 5):
            barrier = context.Barrier(parties)
            for _ in range(10):
                assert _meet(barrier) == list(range(parties))

    @promise("barrier.passes")
    def test_nobody_passes_before_the_last_has_come(self, context: ipcframe.Context) -> None:
        barrier = context.Barrier(3)
        waiting = _arrive(barrier, 2)
        for one in waiting:
            one.eventually_asleep()
            assert one.is_alive()
        barrier.wait(PATIENCE)
        for one in waiting:
            one.result()

    @promise("barrier.passes")
    def test_the_action_is_done_once_before_anybody_goes_on(self, context: ipcframe.Context) -> None:
        done: list[str] = []
        barrier = context.Barrier(3, action=lambda: done.append("action"))

        def wait() -> None:
            barrier.wait(PATIENCE)
            done.append("on")

        waiting = [Worker(wait) for _ in range(3)]
        for one in waiting:
            one.result()
        assert done == ["action", "on", "on", "on"]

    @promise("barrier.passes")
    def test_processes_meet_again_and_again(self, children: Children, pipe: Callable[..., Pair]) -> None:
        barrier = children.context.Barrier(3)
        told: list[Connection] = []
        meeting = []
        for _ in range(2):
            hear, tell = pipe(False)
            meeting.append(children.start(sync_targets.meet, barrier, ROUNDS, tell, discard=(hear, *told)))
            tell.close()
            told.append(hear)
        ours = [barrier.wait(PATIENCE) for _ in range(ROUNDS)]
        numbers = [ours, *(hear.recv(timeout=PATIENCE) for hear in told)]
        assert [sorted(together) for together in zip(*numbers, strict=True)] == [[0, 1, 2]] * ROUNDS
        for child in meeting:
            children.finish(child)

    @promise("barrier.breaks")
    def test_an_action_that_raises_breaks_it(self, context: ipcframe.Context) -> None:
        def action() -> None:
            raise KeyError

        barrier = context.Barrier(2, action)
        waiting = _arrive(barrier, 1)
        with pytest.raises(KeyError):
            barrier.wait(PATIENCE)
        assert _broken(waiting)
        assert barrier.broken

    @promise("barrier.breaks")
    @pytest.mark.parametrize("where", ["argument", "constructor"])
    def test_a_timeout_breaks_it_for_everybody(self, context: ipcframe.Context, where: str) -> None:
        barrier = context.Barrier(3, timeout=0.05 if where == "constructor" else PATIENCE)
        waiting = _arrive(barrier, 1) if where == "argument" else []
        with stopwatch() as elapsed:
            with pytest.raises(BrokenBarrierError):
                barrier.wait() if where == "constructor" else barrier.wait(0.05)
            in_time(elapsed(), 0.05)
        assert _broken(waiting)
        assert barrier.broken
        with pytest.raises(BrokenBarrierError):
            barrier.wait(PATIENCE)
        barrier.reset()
        assert _meet(barrier) == [0, 1, 2]

    @promise("barrier.breaks")
    def test_abort_breaks_it_and_reset_makes_it_new(self, context: ipcframe.Context) -> None:
        barrier = context.Barrier(3)
        for _ in range(3):
            waiting = _arrive(barrier, 2)
            barrier.abort()
            assert _broken(waiting)
            for _ in range(2):
                with pytest.raises(BrokenBarrierError):
                    barrier.wait()
            barrier.reset()
            assert not barrier.broken
            assert _meet(barrier) == [0, 1, 2]

    @promise("barrier.breaks")
    def test_abort_breaks_it_also_when_the_last_party_is_just_coming(self, context: ipcframe.Context) -> None:
        aborting: list[Worker] = []

        def action() -> None:
            aborting.append(Worker(barrier.abort))
            aborting[-1].eventually_asleep()

        barrier = context.Barrier(1, action)
        for _ in range(5):
            with contextlib.suppress(BrokenBarrierError):
                barrier.wait(PATIENCE)
            aborting.pop().result()
            assert barrier.broken, "abort has returned, and the barrier is whole"
            barrier.reset()

    @promise("barrier.breaks")
    def test_every_reset_of_many_sends_those_away_who_wait(self, context: ipcframe.Context) -> None:
        barrier = context.Barrier(2)
        for number in range(70):
            waiting = _arrive(barrier, 1)
            if number % 7:
                barrier.reset()
                assert _broken(waiting), f"reset number {number} was taken for a meeting"
            else:
                barrier.wait(PATIENCE)
                waiting[0].result()

    @promise("barrier.breaks")
    def test_reset_sends_those_away_who_wait_and_nobody_else(self, context: ipcframe.Context) -> None:
        barrier = context.Barrier(3)
        for _ in range(3):
            barrier.reset()
            waiting = _arrive(barrier, 2)
            barrier.reset()
            assert not barrier.broken
            assert _meet(barrier) == [0, 1, 2]
            assert _broken(waiting)

    @promise("barrier.breaks")
    def test_abort_and_reset_reach_other_processes(self, children: Children) -> None:
        barrier = children.context.Barrier(3)
        remote = Remote(children, barrier)
        for operation in ("abort", "reset"):
            remote.begin(barrier, "wait")
            eventually(lambda: barrier.n_waiting == 1)
            waiting = Worker(barrier.wait)
            eventually(lambda: barrier.n_waiting == 2)
            getattr(barrier, operation)()
            assert _broken([waiting])
            with pytest.raises(BrokenBarrierError):
                remote.answer()
            assert remote.call(barrier, "broken") is (operation == "abort")
            remote.call(barrier, "reset")
            assert barrier.broken is False
        remote.end()

    @promise("barrier.breaks")
    def test_a_party_that_died_waiting_alone_breaks_it_for_those_who_come(self, children: Children) -> None:
        barrier = children.context.Barrier(2)
        remote = Remote(children, barrier)
        remote.park(barrier, "wait")
        remote.kill()
        remote.bury()
        with stopwatch() as elapsed:
            with pytest.raises(BrokenBarrierError):
                barrier.wait(PATIENCE)
            assert elapsed() < DEATH_BOUND
        barrier.reset()
        assert _meet(barrier) == [0, 1]

    @promise("barrier.breaks")
    def test_reset_makes_it_new_after_a_party_died_unnoticed(self, children: Children) -> None:
        barrier = children.context.Barrier(2)
        remote = Remote(children, barrier)
        remote.park(barrier, "wait")
        remote.kill()
        remote.bury()
        barrier.reset()
        assert barrier.n_waiting == 0
        assert _meet(barrier) == [0, 1]
        assert _meet(barrier) == [0, 1]

    @promise("barrier.breaks")
    def test_the_death_of_a_party_that_came_last_breaks_it_for_all(self, children: Children) -> None:
        barrier = children.context.Barrier(4)
        waiting = _arrive(barrier, 2, None)
        remote = Remote(children, barrier)
        remote.park(barrier, "wait")
        assert barrier.n_waiting == 3
        with stopwatch() as elapsed:
            remote.kill()
            assert _broken(waiting)
            assert elapsed() < DEATH_BOUND
        assert barrier.broken

    @promise("barrier.breaks")
    def test_a_party_that_is_stopped_keeps_nobody_back(self, children: Children) -> None:
        barrier = children.context.Barrier(3)
        remote = Remote(children, barrier)
        remote.park(barrier, "wait")
        remote.stop()
        waiting = Worker(barrier.wait)
        with stopwatch() as elapsed:
            ours = barrier.wait(PATIENCE)
            theirs = waiting.result()
            assert elapsed() < DEATH_BOUND
        remote.resume()
        assert sorted([ours, theirs, remote.answer()]) == [0, 1, 2]
        remote.end()

    @promise("barrier.breaks")
    def test_a_party_that_comes_round_late_has_passed_whatever_was_reset_since(
        self, children: Children
    ) -> None:
        barrier = children.context.Barrier(2)
        remote = Remote(children, barrier)
        remote.park(barrier, "wait")
        eventually(lambda: barrier.n_waiting == 1)
        remote.stop()
        ours = barrier.wait(PATIENCE)
        waiting = _arrive(barrier, 1)
        barrier.reset()
        assert _broken(waiting)
        remote.resume()
        try:
            theirs = remote.answer()
        except BrokenBarrierError:
            pytest.fail("a reset broke a meeting that was over before")
        assert sorted([ours, theirs]) == [0, 1]
        remote.end()
