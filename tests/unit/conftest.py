"""What tests of handles in flight share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import ipcframe
from ipcframe import _plugins, config, context
from ipcframe.conformance.conditions import eventually
from ipcframe.toolkit import arrival, sharer


@pytest.fixture
def nothing_in_flight() -> Iterator[None]:
    """Nothing is left of the handles that were sent."""
    yield
    eventually(lambda: not sharer._flights)  # who does not need a descriptor says so, and waits for no answer
    eventually(lambda: not sharer._duplicates)  # a duplicate is closed right after it was given
    assert arrival._arrivals == {}


@pytest.fixture
def ends() -> Iterator[tuple[Any, Any]]:
    """Two ends: one to keep, and one to send."""
    kept, end = ipcframe.get_context("fork", backend="pipe").Pipe()
    with kept, end:
        yield kept, end


@pytest.fixture
def fresh_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is configured, and no file has been read."""
    empty: dict[str, Any] = {
        "_configured": {},
        "_configured_file": None,
        "_configured_by": None,
        "_inherited": {},
        "_inherited_file": None,
        "_inherited_variable": None,
        "_found_file": None,
        "_files": {},
    }
    for name, value in empty.items():
        monkeypatch.setattr(config, name, value)


@pytest.fixture
def fresh_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """No plugin has been found, loaded or registered, and no context made."""
    empty: dict[str, Any] = {"known": {}, "_listed": {}, "_in_code": [], "_loaded": {}}
    for name, value in empty.items():
        monkeypatch.setattr(_plugins, name, value)
    for name in ("_contexts", "_start_methods", "_reasons"):
        monkeypatch.setattr(context, name, {})
