"""What tests of handles in flight share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import ipcframe
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
