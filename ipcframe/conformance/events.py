"""Cases: events."""
# ruff: noqa: D102 - the name of a case is its sentence

from __future__ import annotations

from functools import partial

import pytest

import ipcframe

from . import sync_targets
from .case import Case, Children, Pair
from .conditions import DEATH_BOUND, PATIENCE, Worker, stopwatch
from .primitives import Remote
from .promises import promise

__all__ = ["Events"]

MANY = 1000
SOON = 5.0
FEW_DESCRIPTORS = 1024


class Events(Case):
    """Events: a flag to wait for."""

    @promise("event.api")
    def test_an_event_is_set_and_cleared(self, context: ipcframe.Context) -> None:
        event = context.Event()
        for _ in range(2):
            assert event.is_set() is False
            assert event.wait(0) is False
            assert event.wait(timeout=0.01) is False
            assert "unset" in repr(event)
            for _ in range(2):
                event.set()
                assert event.is_set() is True
                assert [event.wait(), event.wait(0), event.wait(-1)] == [True, True, True]
                assert "unset" not in repr(event)
            event.clear()
            event.clear()

    @promise("event.wakes")
    def test_set_wakes_everybody(self, context: ipcframe.Context) -> None:
        event = context.Event()
        for _ in range(3):
            waiting = [Worker(event.wait) for _ in range(4)]
            for worker in waiting:
                worker.eventually_asleep()
                assert worker.is_alive()
            event.set()
            assert [worker.result(SOON) for worker in waiting] == [True] * 4
            event.clear()

    @promise("event.wakes")
    def test_processes_see_it_set_and_cleared(self, children: Children) -> None:
        event = children.context.Event()
        remotes = [Remote(children, event) for _ in range(2)]
        for remote in remotes:
            assert remote.call(event, "is_set") is False
            remote.park(event, "wait")
        event.set()
        for remote in remotes:
            assert remote.answer() is True
        remotes[0].call(event, "clear")
        assert event.is_set() is False
        waiting = Worker(event.wait)
        waiting.eventually_asleep()
        remotes[1].call(event, "set")
        assert waiting.result() is True
        for remote in remotes:
            remote.end()

    @promise("event.wakes")
    def test_set_does_not_wait_for_a_waiter_that_was_killed_or_stopped(self, children: Children) -> None:
        event = children.context.Event()
        killed, stopped, living = (Remote(children, event) for _ in range(3))
        for remote in (killed, stopped, living):
            remote.park(event, "wait")
        stopped.stop()
        killed.kill()
        killed.bury()
        with stopwatch() as elapsed:
            Worker(event.set).result()
            assert living.answer() is True
            assert elapsed() < DEATH_BOUND
        assert event.is_set() is True
        stopped.resume()
        assert stopped.answer() is True
        living.end()
        stopped.end()

    @promise("event.wakes")
    def test_an_event_passes_back_and_forth_without_a_wake_up_lost(self, context: ipcframe.Context) -> None:
        ping, pong = context.Event(), context.Event()

        def answer() -> None:
            for _ in range(200):
                assert ping.wait(PATIENCE)
                ping.clear()
                pong.set()

        answering = Worker(answer)
        for _ in range(200):
            ping.set()
            assert pong.wait(PATIENCE)
            pong.clear()
        answering.result()

    @promise("sync.descriptors")
    def test_a_thousand_events_are_arguments_of_a_child_where_descriptors_are_few(
        self, children: Children, one_way: Pair
    ) -> None:
        told, tell = one_way
        job = partial(sync_targets.start_with_many, children.context, MANY, FEW_DESCRIPTORS)
        child = children.start(job, tell, discard=(told,))
        tell.close()
        assert told.recv(timeout=PATIENCE) == (True, 0)
        children.finish(child)

    @promise("event.wakes")
    @pytest.mark.parametrize("order", ["before", "after"])
    def test_a_child_sees_what_was_set(self, children: Children, order: str) -> None:
        event = children.context.Event()
        if order == "before":
            event.set()
        remote = Remote(children, event)
        if order == "after":
            event.set()
        assert remote.call(event, "wait", PATIENCE) is True
        remote.end()
