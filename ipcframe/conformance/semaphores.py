"""Cases: semaphores."""
# ruff: noqa: D102 - the name of a case is its sentence

from __future__ import annotations

import os
from functools import partial

import pytest

import ipcframe

from . import sync_targets
from .case import Case, Children
from .conditions import PATIENCE, Worker, eventually
from .primitives import Remote
from .promises import promise

__all__ = ["Semaphores"]

LARGEST = 2**31 - 1
ROUNDS = 200
SOON = 5.0


class Semaphores(Case):
    """Semaphores: a number of permits."""

    @promise("semaphore.api")
    def test_a_semaphore_counts_its_permits(self, context: ipcframe.Context) -> None:
        assert context.Semaphore().get_value() == 1
        for semaphore in (context.Semaphore(2), context.BoundedSemaphore(2, owned=True)):
            assert [semaphore.get_value(), semaphore.acquire(), semaphore.get_value()] == [2, True, 1]
            assert [semaphore.acquire(False), semaphore.acquire(False)] == [True, False]
            assert semaphore.get_value() == 0
            semaphore.release()
            assert semaphore.get_value() == 1
            semaphore.release()
            assert semaphore.get_value() == 2

    @promise("semaphore.api")
    def test_a_semaphore_may_have_more_permits_than_it_began_with_and_a_bounded_one_not(
        self, context: ipcframe.Context
    ) -> None:
        semaphore, empty = context.Semaphore(1), context.Semaphore(0)
        for one in (semaphore, empty):
            one.release()
            one.release()
        assert (semaphore.get_value(), empty.get_value()) == (3, 2)
        for owned in (False, True):
            bounded = context.BoundedSemaphore(2, owned=owned)
            with pytest.raises(ValueError, match="released too many times"):
                bounded.release()
            assert bounded.get_value() == 2
            with bounded:
                assert bounded.get_value() == 1
            assert bounded.get_value() == 2

    @promise("semaphore.api")
    def test_values_from_zero_to_the_largest_are_taken_and_others_refused(
        self, context: ipcframe.Context
    ) -> None:
        for make in (context.Semaphore, context.BoundedSemaphore):
            with pytest.raises(ValueError):  # noqa: PT011 - the texts differ
                make(-1)
            with pytest.raises((TypeError, ValueError)):
                make("1")  # type: ignore[arg-type]
            assert make(0).acquire(block=False) is False
            largest = make(LARGEST)
            assert largest.get_value() == LARGEST
            assert largest.acquire() is True
            assert largest.get_value() == LARGEST - 1
            largest.release()
            with pytest.raises(ValueError, match="released too many times"):
                largest.release()

    @promise("semaphore.api")
    def test_semaphores_show_their_values_as_those_of_multiprocessing_do(
        self, context: ipcframe.Context
    ) -> None:
        semaphore, bounded = context.Semaphore(3), context.BoundedSemaphore(2)
        with semaphore, bounded:
            assert repr(semaphore) == "<Semaphore(value=2)>"
            assert repr(bounded) == "<BoundedSemaphore(value=1, maxvalue=2)>"

    @promise("semaphore.permits")
    @pytest.mark.parametrize("kind", ["Semaphore", "BoundedSemaphore, owned"])
    def test_each_release_lets_one_waiter_go_on(self, context: ipcframe.Context, kind: str) -> None:
        semaphore = context.Semaphore(4) if kind == "Semaphore" else context.BoundedSemaphore(4, owned=True)
        for _ in range(4):
            semaphore.acquire()
        waiting = [Worker(semaphore.acquire) for _ in range(4)]
        for gone_on in range(4):
            for worker in waiting:
                worker.eventually_asleep()
            assert sum(not worker.is_alive() for worker in waiting) == gone_on
            semaphore.release()
            eventually(
                lambda gone_on=gone_on: sum(not one.is_alive() for one in waiting) > gone_on,  # type: ignore[misc]
                SOON,
                f"{gone_on + 1} permits were given back, and {gone_on} of those who wait have gone on",
            )
        assert all(worker.result() is True for worker in waiting)
        assert semaphore.get_value() == 0

    @promise("semaphore.permits")
    def test_what_timed_out_has_taken_nothing(self, context: ipcframe.Context) -> None:
        for semaphore in (context.Semaphore(1), context.BoundedSemaphore(1, owned=True)):
            semaphore.acquire()
            for timeout in (0, 0.01):
                assert semaphore.acquire(timeout=timeout) is False
            semaphore.release()
            left = semaphore.get_value()
            assert left == 1, f"of 1 permit {left} are left when two have waited in vain: those took some"

    @promise("semaphore.permits")
    def test_permits_are_taken_here_and_given_back_there(self, children: Children) -> None:
        semaphore, bounded = children.context.Semaphore(2), children.context.BoundedSemaphore(2)
        remote = Remote(children, semaphore, bounded)
        for one in (semaphore, bounded):
            one.acquire()
            assert remote.call(one, "acquire") is True
            assert one.get_value() == remote.call(one, "get_value") == 0
            remote.park(one, "acquire")
            one.release()
            assert remote.answer() is True
            remote.call(one, "release")
            remote.call(one, "release")
            assert one.get_value() == 2
        with pytest.raises(ValueError, match="released too many times"):
            remote.call(bounded, "release")
        remote.call(semaphore, "acquire")
        remote.end(at_once=True)
        assert semaphore.get_value() == 1, "nobody owns the permits of a semaphore"

    @promise("semaphore.permits")
    def test_no_more_than_there_are_permits_are_inside(self, context: ipcframe.Context) -> None:
        semaphore = context.Semaphore(2)
        inside: list[int] = []
        most = 0

        def work(number: int) -> None:
            nonlocal most
            for _ in range(ROUNDS):
                with semaphore:
                    inside.append(number)
                    most = max(most, len(inside))
                    os.sched_yield()
                    inside.pop()

        for worker in [Worker(partial(work, number)) for number in range(4)]:
            worker.result()
        assert most <= 2
        assert semaphore.get_value() == 2

    @promise("semaphore.permits")
    def test_four_processes_lose_and_make_no_permit(self, children: Children) -> None:
        context = children.context
        semaphores = (
            context.Semaphore(2),
            context.BoundedSemaphore(3),
            context.BoundedSemaphore(2, owned=True),
        )
        using = [children.start(sync_targets.take_and_give, semaphores, ROUNDS) for _ in range(4)]
        for child in using:
            children.finish(child)
        assert [one.get_value() for one in semaphores] == [2, 3, 2]
        for one in semaphores:
            assert one.acquire(timeout=PATIENCE) is True
