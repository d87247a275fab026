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
_adopters: dict[str, Callable[..., None]] = {}
"""By module, what takes its part. With no part, it forgets the one that it had."""
_adopted: dict[str, bytes] = {}


def pack(parts: dict[str, tuple[Any, ...]]) -> dict[str, bytes]:
    """In the parent: what is for which module, by the module's name."""
    return {module: pickle.dumps(values) for module, values in parts.items()}


def unpack(parts: dict[str, bytes], at_once: tuple[str, ...], name: str) -> str:
    """In the child, before its main module is imported; returns the process's name.

    The modules `at_once` are imported, and so get their part, now; the others when somebody needs them. Those
    which are there already, for the child is a fork of a process that has imported them, get theirs now too.
    """
    _parts.clear()
    _parts.update(parts)
    for module in list(_adopters):
        _hand_over(module)
    for module in at_once:
        importlib.import_module(module)
    return name


def deliver(module: str, adopt: Callable[..., None]) -> None:
    """Hand a module, at its import, what the parent sent for it."""
    _adopters[module] = adopt
    _hand_over(module)


def _hand_over(module: str) -> None:
    part = _parts.pop(module, None)
    if part == _adopted.get(module):
        return
    if part is None:
        del _adopted[module]
        _adopters[module]()
    else:
        _adopted[module] = part
        _adopters[module](*pickle.loads(part))  # noqa: S301 - it came from our own parent
