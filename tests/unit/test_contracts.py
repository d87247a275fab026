"""The docstrings of the contracts answer every question, in order."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from ipcframe import abc

QUESTIONS = ["Blocks", "Threads", "Buffers", "Raises", "Interrupted", "Peer death", "After fork"]


def abstract_methods() -> list[Any]:
    found = {}
    for name in abc.__all__:
        cls = getattr(abc, name)
        for method in getattr(cls, "__abstractmethods__", ()):
            function = getattr(cls, method)
            if not isinstance(function, property):
                found[function.__qualname__] = function
    return [pytest.param(function, id=name) for name, function in sorted(found.items())]


@pytest.mark.parametrize("method", abstract_methods())
def test_every_abstract_method_answers_every_question_in_order(method: Any) -> None:
    text = inspect.getdoc(method)
    assert text is not None
    first, *lines = text.splitlines()
    assert first.endswith("."), "it begins with one sentence"
    asked = [line.split(":")[0] for line in lines if line and not line.startswith(" ") and ":" in line]
    assert asked == QUESTIONS


def test_every_contract_fails_at_construction_when_something_is_missing() -> None:
    class Half(abc.Channel):
        def _fileno(self) -> int:
            return 0

    with pytest.raises(TypeError, match="abstract"):
        Half()  # type: ignore[abstract]
