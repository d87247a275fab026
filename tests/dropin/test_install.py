"""`install`: programs written for multiprocessing get our objects, in children and grandchildren too."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import multiprocessing.context
from collections.abc import Iterator
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
        through.put([1, 2])
        assert through.get() == [1, 2]
        assert type(through._reader).__module__ == "ipcframe_pipe.endpoints"
        through.close()
    finally:
        dropin.uninstall()


def test_uninstall_gives_everything_back() -> None:
    names = [multiprocessing, standard, multiprocessing.connection, standard._default_context]
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
def test_the_standard_librarys_objects_go_on_working(installed: None, method: str) -> None:
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
    assert listed["Process"] == listed["connection.wait"] == "ipcframe"
    assert listed["Queue"] == "multiprocessing"
