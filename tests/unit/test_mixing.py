"""Contexts nest and mix: other start methods, later generations, processes that were forked by hand."""

from __future__ import annotations

import logging
import multiprocessing
import multiprocessing.connection
import os
from collections.abc import Callable, Iterator
from functools import partial
from itertools import permutations
from typing import Any

import mixing_targets
import pytest

import ipcframe
from ipcframe import dropin
from ipcframe.conformance.conditions import PATIENCE

METHODS = ["fork", "spawn", "forkserver"]
PAIRS = [
    pytest.param(*pair, marks=[] if pair in [("fork", "spawn"), ("spawn", "forkserver")] else pytest.mark.ci)
    for pair in permutations(METHODS, 2)
]


@pytest.mark.parametrize(("makes", "uses"), PAIRS)
def test_what_one_context_makes_the_processes_of_another_use(makes: str, uses: str) -> None:
    made = mixing_targets.make(ipcframe.get_context(makes, backend="pipe"))
    child = ipcframe.get_context(uses, backend="pipe").Process(target=mixing_targets.use, args=(made, 5))
    child.start()
    child.join()
    assert child.exitcode == 0
    mixing_targets.check(made, 5)


@pytest.mark.parametrize(
    "generations", [METHODS, pytest.param(METHODS[::-1], marks=pytest.mark.ci)], ids="-".join
)
def test_great_grandchildren_use_what_their_forebear_made(generations: list[str]) -> None:
    contexts = [ipcframe.get_context(method, backend="pipe") for method in METHODS]
    made = mixing_targets.make(contexts[0])
    mixing_targets.pass_on(generations, made, contexts)
    mixing_targets.check(made, 3)


def test_a_process_forked_by_hand_uses_everything_and_starts_others() -> None:
    ctx = ipcframe.get_context("fork", backend="pipe")
    made = mixing_targets.make(ctx)
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            child = ctx.Process(target=mixing_targets.use, args=(made, 7))
            child.start()
            child.join()
            code = 0 if child.exitcode == 0 else 2
        finally:
            os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0
    mixing_targets.check(made, 7)


@pytest.fixture
def loud() -> Iterator[None]:
    """A logger that a parent has set up."""
    logger = multiprocessing.log_to_stderr(logging.ERROR)
    yield
    logger.handlers.clear()
    logger.setLevel(logging.NOTSET)
    multiprocessing.util._log_to_stderr = False  # type: ignore[attr-defined]


def told(ctx: Any, target: Callable[[Any], None]) -> list[Any]:
    """What a process of the context tells until its end."""
    ours, theirs = ctx.Pipe(duplex=False)
    child = ctx.Process(target=target, args=(theirs,))
    child.start()
    theirs.close()
    heard = []
    with ours:
        try:
            while True:
                heard.append(ours.recv())
        except EOFError:
            child.join()
            return heard


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("target", [mixing_targets.tell_key, mixing_targets.tell_logger, mixing_targets.end])
def test_children_get_and_do_what_those_of_multiprocessing_do(
    loud: None, method: str, target: Callable[[Any], None]
) -> None:
    theirs = told(multiprocessing.get_context(method), target)
    assert told(ipcframe.get_context(method, backend="pipe"), target) == theirs
    assert theirs


@pytest.mark.parametrize("method", METHODS)
def test_a_child_has_its_parents_default_context(method: str) -> None:
    ipcframe.set_start_method(method, force=True)
    try:
        assert ipcframe.get_start_method() == method
        with pytest.raises(RuntimeError, match="already been set"):
            ipcframe.set_start_method(method)
        for other in METHODS:
            ctx = ipcframe.get_context(other, backend="pipe")
            assert told(ctx, mixing_targets.tell_default) == [(method, method, "unix", True)]
    finally:
        ipcframe.set_start_method(None, force=True)


def test_a_forked_child_is_told_that_the_sentinels_of_its_siblings_are_not_its_own() -> None:
    ctx: Any = ipcframe.get_context("fork", backend="pipe")
    go = ctx.Event()
    sibling = ctx.Process(target=go.wait)
    sibling.start()
    assert told(ctx, partial(mixing_targets.tell_sentinel, sibling)) == [
        "only the process that has started this one holds its sentinel"
    ]
    assert not multiprocessing.connection.wait([sibling.sentinel], 0)
    go.set()
    assert multiprocessing.connection.wait([sibling.sentinel], PATIENCE)
    sibling.join()


def test_nothing_is_chosen_before_somebody_chooses() -> None:
    ipcframe.set_start_method(None, force=True)
    assert ipcframe.get_start_method(allow_none=True) is None
    assert ipcframe.get_start_method() in ipcframe.get_all_start_methods()
    with pytest.raises(ValueError, match="no start method is called 'no such'"):
        ipcframe.set_start_method("no such", force=True)
    ipcframe.set_start_method(None, force=True)


def test_while_installed_there_is_one_default_context() -> None:
    ipcframe.install(backend="pipe", start_method="fork", plugins=["trace"])
    try:
        for method in METHODS:
            ipcframe.set_start_method(method, force=True)
            ctx = ipcframe.Process._context()
            assert ctx is ipcframe._default._context.get_context()
            assert (ctx.get_start_method(), ctx.spec.plugins.value) == (method, ("trace",))
        ipcframe.set_start_method(None, force=True)
        multiprocessing.set_start_method("spawn", force=True)
        theirs: Any = multiprocessing.get_context()
        assert ipcframe.Process._context() is theirs
        assert ipcframe.get_start_method() == "spawn"
    finally:
        ipcframe.set_start_method(None, force=True)
        multiprocessing.set_start_method(None, force=True)
        dropin.uninstall()


def test_a_daemon_has_threads_and_no_children() -> None:
    ctx = ipcframe.get_context("fork", backend="pipe")
    ours, theirs = ctx.Pipe()
    child = ctx.Process(target=mixing_targets.be_daemon, args=(ctx, theirs), daemon=True)
    child.start()
    theirs.close()
    assert ours.recv(timeout=30) == (True, [1])
    assert "daemonic processes are not allowed to have children" in ours.recv(timeout=30)
    child.join()
