"""Globals that a program sets after its import, and that what it runs in children reads."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple

from .crossings import Crossing
from .scopes import Binding, Scope
from .starts import Calls
from .values import Reader, Value

__all__ = ["Late", "late_globals"]


class Late(NamedTuple):
    """A global that a child does not see as its parent does."""

    name: str
    read: ast.Name
    reader: str
    """The function that reads it."""
    set_: Binding
    imported: Binding | None
    """What it is in the child."""
    crossing: Crossing


def late_globals(reader: Reader, calls: Calls, crossings: list[Crossing]) -> Iterator[Late]:
    """One for each global, and function that reads it in a child."""
    runs = [(crossing, _units(reader, crossing)) for crossing in crossings if crossing.runs]
    in_children = calls.reachable([unit for _, units in runs for unit in units])
    module = reader.names.module
    in_parent = calls.reachable([module])
    seen: set[tuple[str, Scope]] = set()
    for crossing, units in runs:
        reached = calls.reachable(units)
        for load in reader.names.loads:
            unit, name = load.scope.unit, load.name.id
            if unit not in reached or unit.is_module or load.scope.home(name) is not module:
                continue
            bindings = module.bindings.get(name, [])
            if (name, unit) in seen or any(one.scope.unit in in_children for one in bindings):
                continue
            at_import = [one for one in bindings if one.scope.unit.is_module and not one.guarded]
            later = [one for one in bindings if one not in at_import and one.scope.unit in in_parent]
            later = [one for one in later if not _is_the_same(one, at_import)]
            if later:
                seen.add((name, unit))
                first = at_import[-1] if at_import else None
                yield Late(name, load.name, unit.title, later[0], first, crossing)


def _units(reader: Reader, crossing: Crossing) -> list[Scope]:
    """What is called in the child."""
    return [
        unit for unit in _of_value(reader, reader.read(crossing.node, crossing.scope)) if unit is not None
    ]


def _of_value(reader: Reader, value: Value | None) -> list[Scope | None]:
    if value is None:
        return []
    if value.kind in ("function", "bound"):
        return [value.scope]
    if value.kind == "partial" and value.call is not None and value.call.args and value.inside is not None:
        return _of_value(reader, reader.read(value.call.args[0], value.inside))
    if value.kind in ("instance", "class"):
        for one in reader.lineage(value.scope):
            name = "run" if reader.derives(one, "Process") is not None else "__call__"
            if name in one.bindings:
                return [reader.names.scopes.get(binding.node) for binding in one.bindings[name]]
    return []


def _is_the_same(binding: Binding, others: list[Binding]) -> bool:
    """It gives the name again what it has."""
    return any(
        binding.kind == other.kind == "value" and ast.dump(binding.node) == ast.dump(other.node)
        for other in others
    )
