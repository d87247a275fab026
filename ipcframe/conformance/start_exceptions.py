"""Cases: the exception that ended a child."""
# ruff: noqa: D102 - the name of a case is its sentence

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import ipcframe
from ipcframe.errors import RemoteError

from . import targets
from .case import Case, Children
from .conditions import PATIENCE
from .promises import promise

__all__ = ["StartExceptions"]


class StartExceptions(Case):
    """The exception that ended a child."""

    @promise("start.exception")
    @pytest.mark.parametrize(
        "error",
        [ValueError("text", 5), KeyError("key"), OSError(2, "no such thing"), KeyboardInterrupt()],
        ids=repr,
    )
    def test_the_parent_finds_the_exception_with_its_traceback(
        self, children: Children, error: BaseException
    ) -> None:
        found = self._exception(children, 1, targets.fail, type(error), *error.args)
        assert type(found) is type(error)
        assert found.args == error.args
        assert isinstance(found.__cause__, RemoteError)
        assert "Traceback" in str(found.__cause__)
        assert "in fail" in str(found.__cause__)
        assert "targets.py" in str(found.__cause__)

    @promise("start.exception")
    @pytest.mark.parametrize(
        ("kind", "args", "text"),
        [
            (targets.Unpicklable, ("some text",), "some text"),
            (targets.Unloadable, ("one", "two"), "one and two"),
        ],
        ids=["unpicklable", "unloadable"],
    )
    def test_one_that_cannot_be_carried_over_comes_with_its_text(
        self, children: Children, kind: type[Exception], args: tuple[str, ...], text: str
    ) -> None:
        found = self._exception(children, 1, targets.fail, kind, *args)
        assert isinstance(found, RemoteError)
        assert text in str(found)
        assert kind.__name__ in str(found)
        assert "in fail" in str(found.__cause__)

    @promise("start.exception")
    def test_there_is_none_when_the_child_ended_otherwise(self, children: Children) -> None:
        ways: list[tuple[int, Callable[..., Any], tuple[Any, ...]]] = [
            (0, targets.return_silently, ()), (3, targets.leave, (3,)),
            (1, targets.leave_silently, ("text",)), (7, targets.exit_now, (7,)),
            (-9, targets.kill_self, (9,)),
        ]  # fmt: skip
        started = [(code, children.start(job, *args)) for code, job, args in ways]
        for code, child in started:
            child.join(PATIENCE)
            assert (child.exitcode, child.exception) == (code, None)

    @promise("start.exception")
    def test_an_exception_does_not_need_the_parent_to_be_waiting(
        self, children: Children, context: ipcframe.Context
    ) -> None:
        found = self._exception(children, 1, targets.fail, ValueError, "x" * 2**20)
        assert isinstance(found, ValueError)
        assert len(found.args[0]) == 2**20

    def _exception(
        self, children: Children, code: int, job: Callable[..., Any], *args: object
    ) -> BaseException:
        child = children.start(job, *args)
        assert child.exception is None or not child.is_alive()
        child.join(PATIENCE)
        assert child.exitcode == code
        found = child.exception
        assert found is not None
        assert child.exception is found, "asked twice, it is the same"
        children.finish(child, code)
        return found
