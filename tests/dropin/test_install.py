"""`install`: programs written for multiprocessing get our objects, in children and grandchildren too."""

from __future__ import annotations

import inspect
import multiprocessing
import multiprocessing.connection
import multiprocessing.context
import multiprocessing.managers
import multiprocessing.queues
import multiprocessing.synchronize
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import pytest
from pipe_targets import answer_multiprocessing, start_grandchild

import ipcframe
from ipcframe import dropin

METHODS = ["fork", "spawn", "forkserver"]
standard: Any = multiprocessing.context


@pytest.fixture
def installed() -> Iterator[None]:
    ipcframe.install(backend="pipe")
    yield
    dropin.uninstall()


def test_the_module_hands_out_ours(installed: None) -> None:
    ours, theirs = multiprocessing.Pipe()
    assert type(ours).__module__ == "ipcframe_pipe.endpoints"
    assert isinstance(multiprocessing.get_context("spawn"), ipcframe.Context)
    assert isinstance(multiprocessing.Process(), ipcframe.Process)
    assert multiprocessing.Process().name.startswith("Process-")
    ours.send("there")
    assert multiprocessing.connection.wait([theirs, ours], 5) == [theirs]


def test_names_bound_before_the_installation_reach_ours() -> None:
    pipe, queue = multiprocessing.Pipe, multiprocessing.SimpleQueue
    ipcframe.install(backend="pipe")
    try:
        assert type(pipe()[0]).__module__ == "ipcframe_pipe.endpoints"
        through: Any = queue()
        assert isinstance(through, ipcframe.abc.Queue)
        through.put([1, 2])
        assert through.get() == [1, 2]
        through.close()
    finally:
        dropin.uninstall()


def test_uninstall_gives_everything_back() -> None:
    names: list[Any] = [multiprocessing, standard, multiprocessing.connection, standard._default_context]
    names += [multiprocessing.queues, multiprocessing.synchronize, type(standard._default_context)]
    before = [dict(vars(owner)) for owner in names]
    ipcframe.install(backend="pipe", start_method="spawn")
    ipcframe.install(backend="pipe")
    dropin.uninstall()
    assert [dict(vars(owner)) for owner in names] == before


def test_no_public_name_is_added(installed: None) -> None:
    owners: list[Any] = [multiprocessing, standard, multiprocessing.connection]
    ours = [set(vars(owner)) for owner in owners]
    dropin.uninstall()
    assert [set(vars(owner)) for owner in owners] == ours


def test_the_start_method_given_is_a_default_and_no_choice_made() -> None:
    chosen = standard._default_context._actual_context
    standard._default_context._actual_context = None
    try:
        ipcframe.install(backend="pipe", start_method="spawn")
        assert multiprocessing.get_start_method(allow_none=True) is None
        multiprocessing.set_start_method("forkserver")
        assert multiprocessing.get_start_method() == "forkserver"
        with pytest.raises(RuntimeError, match="context has already been set"):
            multiprocessing.set_start_method("fork")
    finally:
        dropin.uninstall()
        standard._default_context._actual_context = chosen


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("target", [answer_multiprocessing, start_grandchild])
def test_children_and_grandchildren_have_it_too(installed: None, method: str, target: Any) -> None:
    ctx = multiprocessing.get_context(method)
    ours, theirs = ctx.Pipe()
    child: Any = ctx.Process(target=target, args=(theirs,))  # type: ignore[attr-defined]
    child.start()
    assert ours.recv() == [
        "ipcframe_pipe.endpoints",
        "ipcframe.dropin",
        "ipcframe.context",
        "ipcframe.connection",
        method,
    ]
    child.join()
    assert child.exitcode == 0


@pytest.mark.parametrize("method", METHODS)
def test_queues_and_pools_work(installed: None, method: str) -> None:
    ctx: Any = multiprocessing.get_context(method)
    queue = ctx.Queue()
    child = ctx.Process(target=queue.put, args=("from the child",))
    child.start()
    assert queue.get(timeout=30) == "from the child"
    child.join()
    queue.close()
    queue.join_thread()
    with ctx.Pool(2) as pool:
        assert pool.map(abs, [-1, -2]) == [1, 2]
        pool.close()
        pool.join()


def test_the_survey_names_every_public_name(installed: None) -> None:
    listed = dict(dropin.survey())
    assert set(multiprocessing.__all__) <= set(listed)
    ours = {name for name, whose in listed.items() if whose == "ipcframe"}
    primitives = {"Lock", "RLock", "Semaphore", "BoundedSemaphore", "Condition", "Event", "Barrier"}
    assert primitives | {"Queue", "JoinableQueue", "SimpleQueue", "Process", "connection.wait"} <= ours
    assert {f"synchronize.{name}" for name in primitives} <= ours
    assert {"Pool", "Value", "Manager", "connection.Listener", "shared_memory.SharedMemory"} <= ours
    assert listed["cpu_count"] == listed["get_logger"] == "multiprocessing"


@pytest.mark.parametrize("name", ["Queue", "SimpleQueue", "Lock", "BoundedSemaphore", "Condition", "Barrier"])
def test_names_keep_their_signature_and_documentation(name: str) -> None:
    before = getattr(multiprocessing, name)
    ipcframe.install(backend="pipe")
    try:
        now = getattr(multiprocessing, name)
        assert now is not before
        assert inspect.signature(now) == inspect.signature(before)
        assert (now.__name__, now.__doc__) == (before.__name__, before.__doc__)
    finally:
        dropin.uninstall()


@pytest.mark.parametrize("kind", ["Queue", "JoinableQueue"])
def test_queues_made_before_the_installation_go_on_as_they_began(kind: str) -> None:
    queue: Any = getattr(multiprocessing, kind)()
    pool = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork"))
    ipcframe.install(backend="pipe")
    try:
        for obj in (1, [2]):
            queue.put(obj)
            assert queue.get(timeout=30) == obj
        queue.close()
        queue.join_thread()
        with pool:
            assert list(pool.map(abs, [-1, -2])) == [1, 2]
    finally:
        dropin.uninstall()


@pytest.mark.parametrize("method", METHODS)
def test_a_context_obtained_before_the_installation_gives_ours(method: str) -> None:
    ctx: Any = multiprocessing.get_context(method)
    ipcframe.install(backend="pipe")
    try:
        queue, lock = ctx.Queue(), ctx.Lock()
        assert isinstance(queue, ipcframe.abc.Queue)
        assert isinstance(ctx.Condition(lock), ipcframe.abc.Condition)
        child = ctx.Process(target=queue.put, args=("from its child",))
        child.start()
        assert queue.get(timeout=30) == "from its child"
        child.join()
        queue.close()
    finally:
        dropin.uninstall()
    with pytest.raises(TypeError, match="ctx"):
        type(lock)(ctx=ctx)


def test_a_class_derived_before_the_installation_is_mended_and_given_back() -> None:
    class Derived(multiprocessing.queues.Queue):  # type: ignore[type-arg]
        pass

    bases = Derived.__bases__
    ipcframe.install(backend="pipe")
    try:
        queue: Any = Derived(ctx=multiprocessing.get_context())
        assert isinstance(queue, ipcframe.abc.Queue)
        queue.put(1)
        assert queue.get(timeout=30) == 1
        queue.close()
    finally:
        dropin.uninstall()
    assert Derived.__bases__ == bases
    multiprocessing.queues.Queue(ctx=multiprocessing.get_context()).close()


def test_a_manager_derived_before_the_installation_is_mended_and_given_back() -> None:
    class Derived(multiprocessing.managers.SyncManager):
        pass

    Derived.register("answer", callable=lambda: 42)
    ipcframe.install(backend="pipe", start_method="fork")
    try:
        assert Derived.__bases__ == (ipcframe.managers.SyncManager,)
        manager: Any = Derived()
        with manager:
            assert str(manager.answer()) == "42"
            assert manager.address[0] == 0, "an abstract address"
    finally:
        dropin.uninstall()
    assert Derived.__bases__ == (multiprocessing.managers.SyncManager,)


PROGRAMS = {
    "a child that asks for no queue loads none": (
        "import sys, multiprocessing, ipcframe; ipcframe.install(backend='pipe')\n"
        "late = ('.queues', '.synchronize', '.virtual.queue')\n"
        "print([name for name in sys.modules if name.endswith(late)])\n"
        "from multiprocessing.queues import Queue; from multiprocessing.synchronize import Lock\n"
        "print(issubclass(Queue, ipcframe.abc.Queue), issubclass(Lock, ipcframe.abc.Lock))\n",
        "[]\nTrue True\n",
    ),
    "a machine without semaphores": (
        "import _multiprocessing; del _multiprocessing.SemLock\n"
        "import multiprocessing, ipcframe; ipcframe.install(backend='pipe')\n"
        "queue = multiprocessing.Queue(1); queue.put(1); print(queue.get(timeout=30))\n"
        "with multiprocessing.Lock(), multiprocessing.Condition(): print(multiprocessing.Event().is_set())\n"
        "with multiprocessing.Pool(1) as pool: print(pool.map(abs, [-3]))\n",
        "1\nFalse\n[3]\n",
    ),
    "submodules are imported while it is installed only": (
        "import multiprocessing, ipcframe; from ipcframe import dropin\n"
        "ipcframe.install(backend='pipe'); dropin.uninstall()\n"
        "print(isinstance(multiprocessing.Queue(), ipcframe.abc.Queue))\n"
        "ipcframe.install(backend='pipe'); print(isinstance(multiprocessing.Queue(), ipcframe.abc.Queue))\n",
        "False\nTrue\n",
    ),
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_in_a_process_of_its_own(program: str) -> None:
    text, expected = PROGRAMS[program]
    done = subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.stdout, done.stderr) == (expected, "")
