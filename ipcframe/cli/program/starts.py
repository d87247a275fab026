"""What a program does when a child imports it: whether that starts processes, or sets the start method."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator

from .scopes import Scope, Site
from .values import Reader, argument

__all__ = ["Calls", "Way"]

Way = list[Site]
"""The calls that lead from a line of a unit to what it does in the end."""


class Calls:
    """Which unit of a program calls which."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.by_unit: dict[Scope, list[Site]] = {}
        for site in reader.names.sites:
            self.by_unit.setdefault(site.scope.unit, []).append(site)
        for node, scope, guarded in reader.names.entered:
            if isinstance(node, ast.Call):
                entered = ast.Call(
                    func=ast.Attribute(value=node, attr="__enter__", ctx=ast.Load()), args=[], keywords=[]
                )
                self.by_unit.setdefault(scope.unit, []).append(
                    Site(ast.copy_location(entered, node), scope, guarded, False)
                )

    def called(self, site: Site) -> list[Scope]:
        """The units of the program that a call runs."""
        value = self.reader.read(site.call.func, site.scope)
        if value is None or value.scope is None:
            return []
        if value.kind in ("function", "bound"):
            return [] if value.scope.yields else [value.scope]
        if value.kind == "class":
            found = [one.bindings.get("__init__", []) for one in self.reader.lineage(value.scope)]
            first = next((bindings for bindings in found if bindings), [])
            return [self.reader.names.scopes[one.node] for one in first if one.kind == "function"]
        return []

    def reachable(self, units: list[Scope], *, guarded: bool = True) -> set[Scope]:
        """These units and all that they call, directly or not."""
        found: set[Scope] = set()
        queue = list(units)
        while queue:
            unit = queue.pop()
            if unit not in found:
                found.add(unit)
                sites = self.by_unit.get(unit, [])
                queue += [one for site in sites if guarded or not site.guarded for one in self.called(site)]
        return found

    def at_import(self, does: Callable[[Site], bool]) -> Iterator[Way]:
        """The ways by which importing the program comes to a call that does this."""
        for site in self.by_unit.get(self.reader.names.module, []):
            if not site.guarded:
                way = self._way(site, does, set())
                if way:
                    yield way

    def _way(self, site: Site, does: Callable[[Site], bool], seen: set[Scope]) -> Way | None:
        if does(site):
            return [site]
        for unit in self.called(site):
            if unit in seen:
                continue
            seen.add(unit)
            for inner in self.by_unit.get(unit, []):
                rest = None if inner.guarded else self._way(inner, does, seen)
                if rest:
                    return [site, *rest]
        return None

    # --- what a call does ---

    def sets_start_method(self, site: Site) -> bool:
        """It would raise in a child, which has one already."""
        value = self.reader.read(site.call.func, site.scope)
        if value is None or (value.kind, value.name) != ("api", "set_start_method") or site.caught:
            return False
        force = argument(site.call, 1, "force")
        return force is None or (isinstance(force, ast.Constant) and not force.value)

    def starts_processes(self, site: Site) -> bool:
        """It starts a process, or makes what does."""
        return self.started_by(site) is not None

    def started_by(self, site: Site) -> str | None:
        """The words for what a call starts, or None."""
        value = self.reader.read(site.call.func, site.scope)
        if value is not None and value.kind == "api" and value.name in ("Pool", "Manager"):
            return f"{value.name}()"
        function = site.call.func
        if not isinstance(function, ast.Attribute):
            return None
        owner = self.reader.read(function.value, site.scope)
        name = function.attr
        if owner is None:
            alone = name == "start" and not site.call.args and not site.call.keywords
            return "a Process" if alone and self._makes_a_process(site.scope.unit) else None
        if owner.kind == "made":
            if owner.name == "Process" and name == "start":
                return "a Process"
            if owner.name == "BaseManager" and name in ("start", "__enter__"):
                return "a manager"
            if owner.name == "Executor" and name in ("submit", "map"):
                return "a worker of the executor"
        if owner.kind == "instance":
            if name == "start" and self.reader.derives(owner.scope, "Process") is not None:
                return "a Process"
            if name in ("start", "__enter__") and self.reader.derives(owner.scope, "BaseManager") is not None:
                return "a manager"
        return None

    def method_of(self, site: Site) -> str | None:
        """The start method that the program names for what a call starts."""
        value = self.reader.read(site.call.func, site.scope)
        while value is not None and value.method is None and value.of:
            value = value.of[0]
        return None if value is None else value.method

    def _makes_a_process(self, unit: Scope) -> bool:
        for site in self.by_unit.get(unit, []):
            value = self.reader.read(site.call, site.scope)
            if value is None:
                continue
            if (value.kind, value.name) == ("made", "Process"):
                return True
            if value.kind == "instance" and self.reader.derives(value.scope, "Process") is not None:
                return True
        return False
