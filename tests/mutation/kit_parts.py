"""The parts of the kit that judge one target: what has to do with it comes first, and nothing else is run."""

from __future__ import annotations

from typing import Any

from ipcframe.conformance import BackendSuite

_TRANSPORT = ("Connection", "Channel")
_SECONDS = 20.0
"""How long a case may hang: none takes half of that."""
_parts: tuple[Any, ...] = BackendSuite.__bases__

_chosen: dict[str, Any] = {"__module__": __name__, "backend": "pipe", "seconds": _SECONDS}

TestVirtual = type(
    "TestVirtual",
    tuple(part for part in _parts if not part.__name__.startswith(_TRANSPORT)),
    {**_chosen, "pytestmark": BackendSuite.pytestmark},  # type: ignore[attr-defined]
)
TestPipe = type("TestPipe", (BackendSuite,), _chosen)
