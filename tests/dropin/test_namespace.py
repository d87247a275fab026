"""Names and signatures: whatever `multiprocessing` of the running Python offers, `ipcframe` offers too.

Places are compared in pairs: modules, contexts, classes' instances. In each, every public name of theirs is
one of ours, and what can be called takes every argument that theirs takes, by the same name and with the
same default. Ours may take more, by keyword. What differs stands in `REASONS`.
"""

from __future__ import annotations

import importlib
import inspect
import multiprocessing
import multiprocessing.connection
import pkgutil
from collections.abc import Callable
from contextlib import ExitStack
from inspect import Parameter
from typing import Any

import pytest

import ipcframe

METHODS = ["fork", "spawn", "forkserver"]
SUBMODULES = [
    "connection",
    "dummy",
    "managers",
    "pool",
    "process",
    "queues",
    "shared_memory",
    "sharedctypes",
    "synchronize",
]
NOT_OFFERED = {
    "context": "ours has contexts of other names, which `get_context` makes; theirs has no public name",
    "forkserver": "a plugin's own affair; programs call set_forkserver_preload",
    "heap": "how theirs allocates; see ipcframe.sharedctypes for what is made of it",
    "reduction": "one for both: a reducer registered with multiprocessing.reduction is honoured by ours",
    "resource_sharer": "how theirs hands descriptors over",
    "resource_tracker": "one for both, for shared memory has names",
    "spawn": "one for both: how an interpreter is started is not replaced",
    "util": "one for both: finalizers and the logger belong to the process",
    **dict.fromkeys(
        ["popen_fork", "popen_forkserver", "popen_spawn_posix", "popen_spawn_win32"],
        "the start methods' own affair",
    ),
}
REASONS: dict[str, str] = {}


def arguments(function: Any) -> list[Parameter] | None:
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # some functions written in C do not tell
        return None


def lacks(theirs: Any, ours: Any) -> str:
    """What a caller of theirs misses when it calls ours; empty if nothing."""
    their_arguments, our_arguments = arguments(theirs), arguments(ours)
    if their_arguments is None or our_arguments is None:
        return ""
    known = {one.name: one for one in our_arguments}
    for at, one in enumerate(their_arguments):
        mine = known.get(one.name)
        if mine is None:
            return f"no argument {one.name!r}"
        if mine.kind is not one.kind:
            return f"argument {one.name!r} is {mine.kind.description}, not {one.kind.description}"
        if mine.default != one.default:
            return f"argument {one.name!r} defaults to {mine.default!r}, not {one.default!r}"
        if one.kind is Parameter.POSITIONAL_OR_KEYWORD and our_arguments[at].name != one.name:
            return f"argument {one.name!r} is in another place"
    more = {one.name for one in our_arguments if one.default is Parameter.empty} - {
        one.name for one in their_arguments
    }
    return f"{more} must be given too" if more else ""


def differences(place: str, names: list[str], theirs: Any, ours: Any) -> dict[str, str]:
    found = {}
    for name in names:
        key = f"{place}.{name}"
        if not hasattr(ours, name):
            found[key] = "missing"
        elif callable(getattr(theirs, name)):
            lacking = lacks(getattr(theirs, name), getattr(ours, name))
            if lacking:
                found[key] = lacking
    return found


def public(obj: Any) -> list[str]:
    return [name for name in dir(obj) if not name.startswith("_")]


def judge(found: dict[str, str], *places: str) -> None:
    """What was found, and no more, has a reason."""
    reasoned = {key for key in REASONS if key.rpartition(".")[0] in places}
    assert {key: what for key, what in found.items() if key not in reasoned} == {}
    assert reasoned - set(found) == set(), "reasons that are not needed any more"


def test_the_package_has_every_name_of_theirs() -> None:
    judge(
        differences("multiprocessing", list(multiprocessing.__all__), multiprocessing, ipcframe),
        "multiprocessing",
    )


@pytest.mark.parametrize("method", METHODS)
def test_a_context_has_every_name_of_theirs(method: str) -> None:
    theirs, ours = multiprocessing.get_context(method), ipcframe.get_context(method)
    judge(differences("context", public(theirs), theirs, ours), "context")
    assert type(ours).__name__ == type(theirs).__name__


def test_every_submodule_is_offered_or_has_a_reason() -> None:
    theirs = {module.name for module in pkgutil.iter_modules(multiprocessing.__path__)}
    assert theirs - set(SUBMODULES) - set(NOT_OFFERED) == set()
    assert set(SUBMODULES) & set(NOT_OFFERED) == set()
    assert set(SUBMODULES) <= theirs


@pytest.mark.parametrize("name", SUBMODULES)
def test_a_submodule_has_every_name_of_theirs(name: str) -> None:
    theirs = importlib.import_module(f"multiprocessing.{name}")
    ours = importlib.import_module(f"ipcframe.{name}")
    place = f"multiprocessing.{name}"
    judge(differences(place, list(theirs.__all__), theirs, ours), place)
    assert set(theirs.__all__) <= set(ours.__all__)


Makes = Callable[[Any], Any]
"""Something of a context, or of the package with the submodules; both have the same names."""
MADE_BY_CONTEXTS: dict[str, Makes] = {
    "Queue": lambda ctx: ctx.Queue(),
    "JoinableQueue": lambda ctx: ctx.JoinableQueue(),
    "SimpleQueue": lambda ctx: ctx.SimpleQueue(),
    "Lock": lambda ctx: ctx.Lock(),
    "RLock": lambda ctx: ctx.RLock(),
    "Semaphore": lambda ctx: ctx.Semaphore(),
    "BoundedSemaphore": lambda ctx: ctx.BoundedSemaphore(),
    "Condition": lambda ctx: ctx.Condition(),
    "Event": lambda ctx: ctx.Event(),
    "Barrier": lambda ctx: ctx.Barrier(2),
    "Value": lambda ctx: ctx.Value("i"),
    "Array": lambda ctx: ctx.Array("i", 2),
    "Array of characters": lambda ctx: ctx.Array("c", 2),
    "RawValue": lambda ctx: ctx.RawValue("i"),
    "RawArray": lambda ctx: ctx.RawArray("i", 2),
    "Process": lambda ctx: ctx.Process(),
    "Connection": lambda ctx: ctx.Pipe()[0],
}


@pytest.mark.parametrize("kind", MADE_BY_CONTEXTS)
def test_what_a_context_makes_has_every_name_of_theirs(kind: str) -> None:
    theirs, ours = (
        MADE_BY_CONTEXTS[kind](module.get_context("spawn")) for module in (multiprocessing, ipcframe)
    )
    names = [name for name in public(theirs) if kind != "Process" or name not in ("exitcode", "sentinel")]
    judge(differences(kind, names, theirs, ours), kind)


CLASSES = [
    (name, one)
    for name in SUBMODULES
    for theirs in [importlib.import_module(f"multiprocessing.{name}")]
    for one in theirs.__all__
    if isinstance(getattr(theirs, one), type)
]


@pytest.mark.parametrize(("submodule", "name"), CLASSES)
def test_a_class_has_every_name_of_theirs(submodule: str, name: str) -> None:
    theirs, ours = (
        getattr(importlib.import_module(f"{package}.{submodule}"), name)
        for package in ("multiprocessing", "ipcframe")
    )
    place = f"{submodule}.{name}"
    found = differences(place, public(theirs), theirs, ours)
    lacking = lacks(theirs, ours)
    judge(found | ({f"{place}.()": lacking} if lacking else {}), place)


def test_what_is_accepted_and_connected_has_every_name_of_theirs() -> None:
    with ExitStack() as stack:
        made = []
        for package in ("multiprocessing", "ipcframe"):
            connection: Any = importlib.import_module(f"{package}.connection")
            listener = stack.enter_context(connection.Listener())
            made.append((listener, stack.enter_context(connection.Client(listener.address))))
            stack.enter_context(listener.accept())
        for place, theirs, ours in zip(("Listener", "Connection"), *made, strict=True):
            judge(differences(place, public(theirs), theirs, ours), place)
