"""Cases: how objects are made, and which arguments they take."""
# ruff: noqa: D102 - the name of a case is its sentence

from __future__ import annotations

import contextlib
import inspect
import os
from collections.abc import Callable
from typing import Any

import pytest

import ipcframe
from ipcframe import abc
from ipcframe.abc import Channel, Connection, Endpoint

from .case import Case, Pair, full
from .conditions import PATIENCE, open_descriptors
from .in_process import every_object
from .limits import few_descriptors
from .promises import promise

__all__ = ["Making", "takes"]

CONTRACTS: dict[str, type] = {
    "receiver": abc.Connection, "sender": abc.Connection, "Channel": abc.Channel, "Queue": abc.Queue,
    "SimpleQueue": abc.Queue, "JoinableQueue": abc.JoinableQueue, "Lock": abc.Lock, "RLock": abc.RLock,
    "Semaphore": abc.Semaphore, "BoundedSemaphore": abc.BoundedSemaphore, "Condition": abc.Condition,
    "Event": abc.Event, "Barrier": abc.Barrier,
}  # fmt: skip
MOST_DESCRIPTORS = 40
"""More than a pair or a channel may need."""


class Making(Case):
    """How objects are made, and which arguments they take."""

    # --- arguments ---

    @promise("backend.signatures")
    def test_operations_take_the_arguments_of_their_contract_with_its_defaults(
        self, context: ipcframe.Context
    ) -> None:
        wrong = []
        with every_object(context) as objects:
            for kind, obj in objects.items():
                for name in _operations(CONTRACTS[kind]):
                    promised = inspect.signature(getattr(CONTRACTS[kind], name))
                    try:
                        found = inspect.signature(getattr(type(obj), name))
                    except ValueError:
                        continue  # written in C, which does not say
                    if not takes(found, promised):
                        wrong.append(f"{type(obj).__name__}.{name}{found}, and the contract is {promised}")
        assert not wrong, "; ".join(wrong)

    @promise("backend.names")
    def test_every_object_keeps_the_name_that_it_was_made_with(self, context: ipcframe.Context) -> None:
        with every_object(context) as objects:
            nameless = [kind for kind, obj in objects.items() if obj.name is None]
            assert not nameless, f"made with a name, and have none: {', '.join(nameless)}"
            assert {obj.name for obj in objects.values()} == {"kept"}
            silent = [kind for kind, obj in objects.items() if isinstance(obj, Endpoint)]
            silent = [kind for kind in silent if "kept" not in repr(objects[kind])]
            assert not silent, f"their repr does not show their name: {', '.join(silent)}"

    # --- descriptors ---

    @promise("descriptors.not-inherited")
    def test_a_program_that_is_executed_inherits_no_descriptor(
        self, context: ipcframe.Context, pipe: Callable[..., Pair]
    ) -> None:
        before = _inheritable()
        with every_object(context) as objects:
            self._use_each(context, objects, pipe)
            inherited = _inheritable() - before
            assert not inherited, (
                f"not closed on exec: {', '.join(sorted(inherited))}; open with O_CLOEXEC, SOCK_CLOEXEC or "
                "MFD_CLOEXEC, as Python's own functions do"
            )

    def _use_each(
        self, context: ipcframe.Context, objects: dict[str, Any], pipe: Callable[..., Pair]
    ) -> None:
        """Use the objects, so that they open what they open later."""
        objects["sender"].send("x")
        assert objects["receiver"].recv(timeout=PATIENCE) == "x"
        if "Channel" in objects:
            objects["Channel"].send(b"x")
            objects["Channel"].receive(timeout=PATIENCE)
        for kind in ("Queue", "JoinableQueue", "SimpleQueue"):
            if kind in objects:
                objects[kind].put(bytes(100_000))
                objects[kind].get(timeout=PATIENCE)
        for kind in ("Lock", "RLock", "Semaphore", "BoundedSemaphore", "Condition"):
            if kind in objects:
                with objects[kind]:
                    pass
        if "Event" in objects:
            objects["Event"].wait(0.001)
        if not context.backend.capabilities.in_process:
            ours, theirs = pipe()
            ours.send(pipe()[0])
            theirs.recv(timeout=PATIENCE).close()  # what has arrived is open here, too

    @full("more kinds", kind=["Pipe", "Channel"])
    @promise("backend.making")
    @pytest.mark.parametrize("kind", ["Pipe", "one-way Pipe", "Channel"])
    def test_what_cannot_be_made_for_want_of_descriptors_leaves_none(
        self, context: ipcframe.Context, kind: str
    ) -> None:
        make = self._maker(context, kind)
        _close(make())
        before = open_descriptors()
        for free in range(MOST_DESCRIPTORS):
            made = None
            with few_descriptors(free), contextlib.suppress(OSError):
                made = make()
            if made is not None:
                _close(made)
                break
            assert open_descriptors() == before, f"left open where {free} descriptors are free"
        else:
            pytest.fail(f"it cannot be made with {MOST_DESCRIPTORS} descriptors")
        assert open_descriptors() == before

    def _maker(self, context: ipcframe.Context, kind: str) -> Callable[[], Any]:
        if kind != "Channel":
            return lambda: context.backend.connection_pair(kind == "Pipe")
        if self.declared_absent(context, "channel"):
            pytest.skip("declared absent: channel")
        return context.backend.channel


def _operations(contract: type) -> list[str]:
    """The public methods of a contract."""
    names = [
        name for base in contract.__mro__ if base.__module__.startswith(abc.__name__) for name in vars(base)
    ]
    return [
        name for name in names if not name.startswith("_") and inspect.isfunction(getattr(contract, name))
    ]


def takes(found: inspect.Signature, promised: inspect.Signature) -> bool:
    """Whether whoever calls by the promised signature is understood; annotations do not matter."""
    ours = dict(found.parameters)
    for position, (name, wanted) in enumerate(promised.parameters.items()):
        given = ours.pop(name, None)
        if given is None or (given.kind, given.default) != (wanted.kind, wanted.default):
            return False
        if wanted.kind is wanted.POSITIONAL_OR_KEYWORD and list(found.parameters)[position] != name:
            return False
    return all(more.default is not more.empty or more.kind > more.KEYWORD_ONLY for more in ours.values())


def _close(made: Channel | tuple[Connection, Connection]) -> None:
    for one in made if isinstance(made, tuple) else (made,):
        one.close()


def _inheritable() -> set[str]:
    """The open descriptors that a program which is executed would inherit, as ``number -> what``."""
    return {one for one in open_descriptors() if os.get_inheritable(int(one.split()[0]))}
