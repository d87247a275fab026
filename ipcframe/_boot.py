"""What a started child takes over from its parent, kept packed until somebody asks for it.

A child that only runs its target loads nothing but this and `ipcframe.process`: plugins and configuration
are unpacked when their modules are imported. It imports nothing heavier than pickle.
"""

from __future__ import annotations

import importlib
import pickle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["deliver", "pack", "unpack"]

_parts: dict[str, bytes] = {}


def pack(parts: dict[str, tuple[Any, ...]]) -> dict[str, bytes]:
    """In the parent: what is for which module, by the module's name."""
    return {module: pickle.dumps(values) for module, values in parts.items()}


def unpack(parts: dict[str, bytes], at_once: tuple[str, ...], name: str) -> str:
    """In the child, before its main module is imported; returns the process's name.

    The modules `at_once` are imported, and so get their part, now; the others when somebody needs them.
    """
    _parts.clear()
    _parts.update(parts)
    for module in at_once:
        importlib.import_module(module)
    return name


def deliver(module: str, adopt: Callable[..., None]) -> None:
    """Hand a module, at its import, what the parent sent for it."""
    if module in _parts:
        adopt(*pickle.loads(_parts.pop(module)))  # noqa: S301 - it came from our own parent
