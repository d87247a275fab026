"""Cases: a process killed at every step of every operation.

A child runs the operation, counts the bytecodes of this library and of the backend, and is killed at the nth,
for each n until the operation is through. So there is no instant in Python code, before or after any system
call, at which nobody died. (What a backend does in C counts as one step.)
A quick run takes some of the n at random; IPCFRAME_STEPS says how many, 0 all of them.
"""
# ruff: noqa: D102 - the name of a case is its sentence

from __future__ import annotations

import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable
from functools import partial
from types import CodeType, FrameType
from typing import Any

import pytest

import ipcframe
from ipcframe import abc
from ipcframe.errors import OwnerDiedWarning

from .case import Case, budget, full, needs_processes
from .conditions import DEATH_BOUND, PATIENCE, Worker
from .promises import promise
from .queue_targets import drain

__all__ = ["Steps"]

_STEPS, _MOST_STEPS = 12, 100_000
_OURS = f"{os.sep}ipcframe"


def _kill_at(last: int) -> None:
    """Count bytecodes from now on, and kill this process at the last one."""
    left = last

    def count() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    if sys.version_info >= (3, 12):
        # There a trace function is not told of the bytecodes of a function's first call.
        monitoring = sys.monitoring
        monitoring.use_tool_id(monitoring.DEBUGGER_ID, __name__)
        monitoring.register_callback(
            monitoring.DEBUGGER_ID,
            monitoring.events.INSTRUCTION,
            lambda code, at: count() if _is_counted(code) else monitoring.DISABLE,
        )
        monitoring.set_events(monitoring.DEBUGGER_ID, monitoring.events.INSTRUCTION)
        return

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        if event == "call":
            if not _is_counted(frame.f_code):
                return None
            frame.f_trace_opcodes = True
        elif event == "opcode":
            count()
        return trace

    sys.settrace(trace)


def _is_counted(code: CodeType) -> bool:
    return _OURS in code.co_filename and "conformance" not in code.co_filename


def _run_killed(
    operation: Callable[[], object],
    step: int,
    prepare: Callable[[], object] | None = None,
    meanwhile: Callable[[], object] = lambda: None,
) -> bool:
    """Run the operation in a child that is killed at this step; False when it was through before.

    The child does `prepare` unharmed; then `meanwhile` is done here, before the operation begins there.
    """
    (ready, tell), (go, start) = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            warnings.simplefilter("ignore")
            if prepare is not None:
                prepare()
                os.write(tell, b"r")
                os.read(go, 1)
            _kill_at(step)
            operation()
            os._exit(0)
        except BaseException:  # noqa: BLE001 - of a child that must not go on
            os._exit(1)
    try:
        if prepare is not None:
            os.read(ready, 1)
            meanwhile()
            os.write(start, b"g")
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    finally:
        for fd in (ready, tell, go, start):
            os.close(fd)
    assert status in (0, -signal.SIGKILL), f"the operation failed by itself at step {step}"
    return status != 0


class Steps(Case):
    """A process killed at every step of every operation."""

    def _each_step(
        self, operation: Callable[[], object], check: Callable[[], object], **around: Callable[[], object]
    ) -> None:
        """Kill a child at each step of the operation, and check each time how the others are."""
        wanted = budget("IPCFRAME_STEPS", _STEPS)

        def killed_at(step: int) -> bool:
            try:
                killed = _run_killed(operation, step, **around)
                check()
            except BaseException as error:
                error.add_note(f"killed at step {step}")
                raise
            return killed

        assert killed_at(1), "no bytecode is seen"
        high = 64
        while killed_at(high):
            high *= 2
            assert high < _MOST_STEPS
        if wanted == 0:
            step = 1
            while killed_at(step):
                step += 1
        else:
            for step in self.random.sample(range(1, high), min(wanted, high - 1)):
                killed_at(step)

    def _queue(self, context: ipcframe.Context, maxsize: int = 0) -> abc.Queue:
        if not context.backend.capabilities.channel:
            pytest.skip("declared absent: channel")
        return context.Queue(maxsize)

    @needs_processes
    @full("more kinds", where=["behind"])
    @promise("steps.put")
    @pytest.mark.parametrize("where", ["channel", "behind", "large", "bounded"])
    def test_who_is_killed_while_it_puts_has_put_the_object_or_not(
        self, context: ipcframe.Context, where: str
    ) -> None:
        before = list(range(400)) if where == "behind" else [0]
        obj: Any = b"x" * 100_000 if where == "large" else ["new"]
        with self._queue(context, 5 if where == "bounded" else 0) as shared:
            for one in before:
                shared.put(one)

            def check() -> None:
                inside = shared.qsize()
                shared.put("next", timeout=PATIENCE)
                got = drain(shared)
                assert got in ([*before, "next"], [*before, obj, "next"])
                assert inside + 1 == len(got)
                assert shared.qsize() == 0
                assert shared.empty()
                for one in before:
                    shared.put(one)

            self._each_step(partial(shared.put, obj), check)

    @needs_processes
    @full("more kinds", where=["behind"])
    @promise("steps.get")
    @pytest.mark.parametrize("where", ["channel", "behind", "large", "bounded"])
    def test_who_is_killed_while_it_gets_takes_along_one_object_at_most(
        self, context: ipcframe.Context, where: str
    ) -> None:
        objects: list[Any] = [b"y" * 100_000] * 3 if where == "large" else ["a", "b", "c"]
        with self._queue(context, 3 if where == "bounded" else 0) as shared:

            def fill() -> None:
                if where == "behind":
                    for _ in range(300):  # so that the rest lies behind the channel
                        shared.put("before")
                for one in objects:
                    shared.put(one, timeout=PATIENCE)
                if where == "behind":
                    for _ in range(300):
                        assert shared.get(timeout=PATIENCE) == "before"

            def check() -> None:
                inside = shared.qsize()
                got = drain(shared)
                assert got in (objects, objects[1:])
                assert inside == len(got)
                assert shared.empty()
                fill()

            fill()
            self._each_step(partial(shared.get, timeout=PATIENCE), check)

    @needs_processes
    @promise("steps.get")
    def test_who_is_killed_while_it_gets_or_reports_does_not_hang_who_joins(
        self, context: ipcframe.Context
    ) -> None:
        if not context.backend.capabilities.channel:
            pytest.skip("declared absent: channel")
        with context.JoinableQueue() as shared:

            def get_and_report() -> None:
                shared.get(timeout=PATIENCE)
                shared.task_done()

            def check() -> None:
                got = len(drain(shared))
                for _ in range(got):
                    shared.task_done()
                # What the dead one had taken stays open, for it never reports: at most one more each time.
                while True:
                    try:
                        shared.task_done()
                    except ValueError:
                        break
                Worker(shared.join).result()
                shared.put(1)
                shared.put(2)

            check()
            self._each_step(get_and_report, check)

    # --- primitives ---

    @needs_processes
    @full("more kinds", kind=["RLock"])
    @promise("steps.lock")
    @pytest.mark.parametrize("kind", ["Lock", "RLock", "Condition"])
    def test_who_is_killed_while_it_takes_or_gives_back_a_lock_leaves_it_to_the_next(
        self, context: ipcframe.Context, kind: str
    ) -> None:
        lock: Any = getattr(context, kind)()

        def use() -> None:
            with lock:
                pass

        def check() -> None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", OwnerDiedWarning)
                assert lock.acquire(timeout=DEATH_BOUND)
            lock.release()

        self._each_step(use, check)

    @needs_processes
    @full("more kinds", kind=["Lock"])
    @promise("steps.lock")
    @pytest.mark.parametrize("kind", ["Lock", "RLock"])
    def test_who_is_killed_while_it_gives_a_lock_back_wakes_who_waits(
        self, context: ipcframe.Context, kind: str
    ) -> None:
        lock: Any = getattr(context, kind)()
        waits: list[Worker] = []

        def take() -> None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", OwnerDiedWarning)
                lock.acquire()
            lock.release()

        def wait() -> None:
            waits.append(Worker(take))
            waits[0].eventually_asleep()

        def check() -> None:
            waits.pop().result(DEATH_BOUND)

        self._each_step(lock.release, check, prepare=lock.acquire, meanwhile=wait)

    @needs_processes
    @promise("steps.semaphore")
    @pytest.mark.parametrize("owned", [False, True])
    def test_who_is_killed_while_it_takes_or_gives_back_a_permit_takes_along_one_at_most(
        self, context: ipcframe.Context, owned: bool
    ) -> None:
        semaphore = context.BoundedSemaphore(50, owned=owned)

        def use() -> None:
            semaphore.acquire()
            semaphore.release()

        def check() -> None:
            left = semaphore.get_value()
            assert left == 50 if owned else left in (49, 50)
            assert semaphore.acquire(timeout=DEATH_BOUND)
            semaphore.release()
            if left < 50:
                semaphore.release()
            assert semaphore.get_value() == 50

        self._each_step(use, check)

    @needs_processes
    @promise("steps.event")
    def test_who_is_killed_while_it_sets_an_event_hangs_nobody(self, context: ipcframe.Context) -> None:
        event = context.Event()
        waits = [Worker(event.wait)]

        def check() -> None:
            event.set()
            assert waits.pop().result(DEATH_BOUND + 1)
            event.clear()
            waits.append(Worker(event.wait))
            waits[0].eventually_asleep()

        waits[0].eventually_asleep()
        self._each_step(event.set, check)
        event.set()

    @needs_processes
    @promise("steps.condition")
    @pytest.mark.parametrize("how", ["notify", "wait"])
    def test_who_is_killed_while_it_notifies_or_waits_hangs_nobody(
        self, context: ipcframe.Context, how: str
    ) -> None:
        condition = context.Condition()

        def wait() -> bool:
            with condition:
                return condition.wait(PATIENCE)

        def operation() -> None:
            with condition:
                if how == "notify":
                    condition.notify()
                else:
                    condition.wait(0.001)

        waits = [Worker(wait)]

        def check() -> None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", OwnerDiedWarning)
                assert condition.acquire(timeout=DEATH_BOUND)
            condition.notify()  # one: the dead do not take it
            condition.release()
            assert waits.pop().result(DEATH_BOUND + 1)
            waits.append(Worker(wait))
            waits[0].eventually_asleep()

        waits[0].eventually_asleep()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", OwnerDiedWarning)
            self._each_step(operation, check)
        check()
        with condition:
            condition.notify_all()

    @needs_processes
    @promise("steps.barrier")
    def test_who_is_killed_while_it_waits_at_a_barrier_hangs_nobody(self, context: ipcframe.Context) -> None:
        barrier = context.Barrier(2)

        def wait() -> str:
            try:
                barrier.wait()
            except threading.BrokenBarrierError:
                return "broken"
            return "open"

        waits = [Worker(wait)]

        def check() -> None:
            # It had come, and the barrier opened or broke; or it had not, and then it is reset.
            waits[0].join(0.05)
            barrier.reset()
            assert waits.pop().result(DEATH_BOUND + 1) in ("broken", "open")
            assert not barrier.broken
            waits.append(Worker(wait))
            waits[0].eventually_asleep()

        waits[0].eventually_asleep()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", OwnerDiedWarning)
            self._each_step(wait, check)
        barrier.abort()
