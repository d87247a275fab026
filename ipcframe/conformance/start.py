"""Cases: how processes start, live and end."""
# ruff: noqa: D102 - the name of a case is its sentence

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import signal
import threading
from collections.abc import Callable
from select import POLLIN, poll
from typing import Any

import pytest

import ipcframe
from ipcframe.abc import StartMethod
from ipcframe.connection import wait
from ipcframe.errors import UnsupportedOperation

from . import targets
from .case import Case, Children, Pair
from .conditions import DEATH_BOUND, PATIENCE, eventually, in_time, lives, open_descriptors, stopwatch
from .promises import promise

__all__ = ["Starts"]


class Starts(Case):
    """How processes start, live and end."""

    @promise("start.exit-codes")
    def test_exit_codes_are_what_the_child_ended_with(self, children: Children) -> None:
        ways: list[tuple[int, Callable[..., Any], tuple[Any, ...]]] = [
            (0, targets.return_silently, ()), (7, targets.exit_now, (7,)), (0, targets.leave, (0,)),
            (0, targets.leave, (None,)), (3, targets.leave, (3,)), (1, targets.leave_silently, ("text",)),
            (1, targets.fail, (ValueError, "text")), (1, targets.leave_silently, ([1, 2],)),
            (1, targets.leave, (True,)), (0, targets.leave, (False,)), (0, targets.leave, (256,)),
            (-signal.SIGKILL, targets.kill_self, (signal.SIGKILL,)),
            (-signal.SIGTERM, targets.kill_self, (signal.SIGTERM,)),
        ]  # fmt: skip
        started = [(code, children.start(job, *args)) for code, job, args in ways]
        for code, child in started:
            children.finish(child, code)

    @promise("start.life")
    def test_a_child_is_alive_until_its_end_is_noticed(
        self, children: Children, context: ipcframe.Context, pipe: Callable[..., Pair]
    ) -> None:
        ours, theirs = pipe()
        fresh = context.Process(target=targets.wait_for_end_of, args=(theirs,))
        assert (fresh.is_alive(), fresh.pid, fresh.exitcode, fresh.exception) == (False, None, None, None)
        with pytest.raises(ValueError, match="not started"):
            _ = fresh.sentinel
        child = children.start(targets.wait_for_end_of, theirs, discard=(ours,))
        theirs.close()
        assert (child.is_alive(), child.exitcode, child.exception) == (True, None, None)
        assert child.pid == child.ident
        assert child in multiprocessing.active_children()
        assert "started" in repr(child)
        ours.close()
        eventually(lambda: not child.is_alive())
        assert (child.exitcode, child.exception) == (0, None)
        assert child not in multiprocessing.active_children()
        children.finish(child)

    @promise("start.life")
    def test_the_sentinel_shows_the_end_of_the_child(
        self, children: Children, pipe: Callable[..., Pair]
    ) -> None:
        ours, theirs = pipe()
        child = children.start(targets.wait_for_end_of, theirs, discard=(ours,))
        theirs.close()
        poller = poll()
        poller.register(child.sentinel, POLLIN)
        assert not poller.poll(0)
        children.kill(child)
        with stopwatch() as elapsed:
            assert wait([child.sentinel], PATIENCE) == [child.sentinel]
            assert elapsed() < DEATH_BOUND
        assert poller.poll(0)
        children.finish(child, -signal.SIGKILL)

    @promise("start.join")
    def test_join_keeps_its_timeout_and_sees_the_end(
        self, children: Children, context: ipcframe.Context, pipe: Callable[..., Pair]
    ) -> None:
        with pytest.raises(AssertionError):
            context.Process(target=targets.return_silently).join()
        ours, theirs = pipe()
        child = children.start(targets.wait_for_end_of, theirs, discard=(ours,))
        theirs.close()
        for timeout in (0, -1, 0.05):
            with stopwatch() as elapsed:
                child.join(timeout)
                in_time(elapsed(), timeout)
            assert child.exitcode is None
        ours.close()
        child.join()
        assert child.exitcode == 0
        child.join()
        child.join(0)
        children.finish(child)

    @promise("start.signals")
    def test_terminate_and_kill_end_the_child(self, children: Children) -> None:
        terminated, killed = (children.start(targets.wait_for_ever) for _ in range(2))
        terminated.terminate()
        killed.kill()
        children.finish(terminated, -signal.SIGTERM)
        children.finish(killed, -signal.SIGKILL)
        ended = children.start(targets.return_silently)
        ended.join(PATIENCE)
        ended.terminate()
        ended.kill()
        children.finish(ended)

    @promise("start.close")
    def test_close_is_refused_while_the_child_runs_and_final_after(self, children: Children) -> None:
        child = children.start(targets.wait_for_ever)
        with pytest.raises(ValueError, match="still running"):
            child.close()
        child.kill()
        child.join(PATIENCE)
        children.forget(child)
        child.close()
        child.close()
        operations: list[Callable[[], Any]] = [child.is_alive, child.join, child.kill]
        operations += [lambda: child.exitcode, lambda: child.sentinel, lambda: child.pid]
        for operation in operations:
            with pytest.raises(ValueError, match="closed"):
                operation()
        assert "closed" in repr(child)

    @promise("start.arguments")
    def test_name_daemon_flag_arguments_and_parent_arrive(
        self, children: Children, context: ipcframe.Context, one_way: Pair
    ) -> None:
        told, tell = one_way
        child = children.adopt(
            context.Process(
                target=targets.tell_identity, args=(tell, 1, "b"), kwargs={"c": [2]}, name="mine", daemon=True
            )
        )
        child.start()
        name, daemon, pid, parent, args, kwargs = told.recv(timeout=PATIENCE)
        assert (name, daemon, args, kwargs) == ("mine", True, (1, "b"), {"c": [2]})
        assert pid == child.pid != os.getpid()
        assert parent == os.getpid()
        children.finish(child)

    @promise("start.arguments")
    def test_a_process_starts_once_and_only_from_its_own_parent(self, children: Children) -> None:
        child = children.start(targets.return_silently)
        with pytest.raises(AssertionError, match="twice"):
            child.start()
        children.finish(child)

    @promise("start.daemon")
    def test_daemonic_children_end_with_their_parent(
        self, children: Children, pipe: Callable[..., Pair]
    ) -> None:
        (hold, held), (told, tell) = pipe(), pipe(False)
        child = children.start(targets.hold_child, children.context, True, held, tell, discard=(hold, told))
        held.close()
        tell.close()
        grandchild = told.recv(timeout=PATIENCE)
        children.finish(child)
        eventually(lambda: not lives(grandchild))

    @promise("start.daemon")
    def test_daemonic_children_end_when_their_parent_is_killed_and_no_others(
        self, children: Children, pipe: Callable[..., Pair]
    ) -> None:
        (hold, held), (told, tell) = pipe(), pipe(False)
        child = children.start(targets.hold_children, children.context, held, tell, discard=(hold, told))
        held.close()
        tell.close()
        daemon, later = told.recv(timeout=PATIENCE)
        try:
            children.kill(child)
            with stopwatch() as elapsed:
                children.finish(child, -signal.SIGKILL)
                assert elapsed() < DEATH_BOUND, "its own children have what it is seen by"
            eventually(lambda: not lives(daemon))
            assert lives(later), "it is not daemonic"
            hold.close()
            eventually(lambda: not lives(later))
        finally:
            for left in (daemon, later):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(left, signal.SIGKILL)

    @promise("start.daemon")
    def test_other_children_are_waited_for(self, children: Children, pipe: Callable[..., Pair]) -> None:
        (hold, held), (told, tell) = pipe(), pipe(False)
        child = children.start(targets.hold_child, children.context, False, held, tell, discard=(hold, told))
        held.close()
        tell.close()
        grandchild = told.recv(timeout=PATIENCE)
        assert lives(grandchild)
        child.join(0.05)
        assert child.exitcode is None, "it did not wait for its child"
        hold.close()
        children.finish(child)
        eventually(lambda: not lives(grandchild))

    @promise("start.daemon")
    def test_daemons_have_no_children(self, children: Children, one_way: Pair) -> None:
        told, tell = one_way
        child = children.start(targets.start_from_daemon, children.context, tell, daemon=True)
        assert "daemonic" in told.recv(timeout=PATIENCE)
        children.finish(child)

    @promise("start.memory")
    def test_memory_is_inherited_if_declared_and_only_then(self, children: Children, one_way: Pair) -> None:
        told, tell = one_way
        targets._inherited["mark"] = "seen"
        try:
            child = children.start(targets.tell_inherited, tell)
            seen = told.recv(timeout=PATIENCE) == "seen"
            children.finish(child)
        finally:
            targets._inherited.clear()
        assert seen is children.context.start_method.capabilities.inherits_memory

    @promise("start.memory")
    def test_targets_need_pickling_only_where_memory_is_not_inherited(
        self, children: Children, context: ipcframe.Context, one_way: Pair
    ) -> None:
        told, tell = one_way
        child = children.adopt(context.Process(target=lambda: tell.send("ran")))
        if context.start_method.capabilities.inherits_memory:
            child.start()
            assert told.recv(timeout=PATIENCE) == "ran"
            children.finish(child)
        else:
            with pytest.raises((AttributeError, TypeError, pickle.PicklingError)):
                child.start()

    @promise("start.refusal")
    def test_a_start_that_fails_leaves_nothing_behind(
        self, children: Children, context: ipcframe.Context
    ) -> None:
        if context.start_method.capabilities.inherits_memory:
            pytest.skip("nothing is pickled, and nothing else makes a start fail at will")
        children.finish(children.start(targets.return_silently))
        before = open_descriptors(), threading.active_count(), multiprocessing.active_children()
        for _ in range(3):
            child = context.Process(target=targets.return_silently, args=(threading.Lock(),))
            with pytest.raises(TypeError, match="pickle"):
                child.start()
            del child
        assert (open_descriptors(), threading.active_count(), multiprocessing.active_children()) == before
        children.finish(children.start(targets.return_silently))

    @promise("start.descendants")
    def test_children_start_children(self, children: Children, one_way: Pair) -> None:
        told, tell = one_way
        child = children.start(targets.start_grandchild, children.context, tell)
        name, _, pid, parent, _, _ = told.recv(timeout=PATIENCE)
        assert name == "grandchild"
        assert parent == child.pid
        assert told.recv(timeout=PATIENCE) == (child.pid, 0)
        assert pid not in (child.pid, os.getpid())
        children.finish(child)

    @promise("start.descendants")
    def test_many_children_at_once(self, children: Children, pipe: Callable[..., Pair]) -> None:
        started = []
        for _ in range(16 if children.cheap else 4):
            ours, theirs = pipe()
            started.append((ours, children.start(targets.echo, theirs, discard=(ours,))))
            theirs.close()
        for number, (ours, _) in enumerate(started):
            ours.send(number)
        for number, (ours, _) in enumerate(started):
            assert ours.recv(timeout=PATIENCE) == number
        for ours, child in reversed(started):  # a fork's later children hold the ends of earlier ones
            ours.close()
            children.finish(child)

    @promise("start.descendants")
    def test_threads_start_children_at_the_same_time(self, children: Children) -> None:
        started: list[ipcframe.Process] = []
        threads = [
            threading.Thread(target=lambda: started.append(children.start(targets.exit_now, 5)))
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        assert len(started) == 4
        for child in started:
            children.finish(child, 5)

    @promise("start.capabilities")
    def test_a_start_method_has_a_name_and_a_label(self, context: ipcframe.Context, method: str) -> None:
        start = context.start_method
        assert isinstance(start, StartMethod)
        assert method.endswith(start.name)
        assert start.label.isidentifier()
        assert type(start).unavailable_reason() is None
        assert type(context).__name__ == f"{start.label}Context"
        assert context.Process.__name__ == f"{start.label}Process"
        assert not start.capabilities.inherits_memory or start.capabilities.forked

    @promise("start.capabilities")
    def test_preload_is_there_if_declared_and_only_then(self, context: ipcframe.Context, method: str) -> None:
        start = context.start_method
        if start.capabilities.preloads:
            start.preload(["ipcframe.conformance.targets"])
        else:
            with pytest.raises(UnsupportedOperation):
                start.preload(["json"])
