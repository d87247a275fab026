"""What in a program breaks where a child does not inherit its parent's memory.

The program is read, and never run. Each finding is one that can be shown in the text; what is made, named or
assigned in ways that reading cannot follow is passed over.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple

from .crossings import Crossing, Refusal, crossings, refusal
from .late import Late, late_globals
from .scopes import Names
from .starts import Calls, Way
from .values import Reader

__all__ = ["Finding", "examine"]


class Finding(NamedTuple):
    """Something that breaks."""

    line: int
    what: str
    why: str
    remedy: str
    needs: str
    """What has to hold of a start method for it to break: "pickling" (a child gets its target and arguments
    pickled, and its globals from the import), "import" (it imports the program), "always"."""
    method: str | None
    """The start method that the program names at this place; None: the one it is started with."""


def examine(tree: ast.Module, *, imported: bool = True) -> list[Finding]:
    """Everything that breaks in a program, by its lines.

    `imported`: whether children import its main module; they do not where it is a ``__main__.py``.
    """
    reader = Reader(Names(tree))
    calls = Calls(reader)
    crossing = list(crossings(reader))
    found = [*_unpicklable(reader, crossing, imported)]
    if imported:
        found += _at_import(calls, reader.default_method)
        found += [_late(late) for late in late_globals(reader, calls, crossing)]
    return sorted(set(found))


def _unpicklable(reader: Reader, crossing: list[Crossing], imported: bool) -> Iterator[Finding]:
    for one in crossing:
        found = refusal(reader, one.node, one.scope)
        value = None if imported else reader.read(one.node, one.scope)
        needs = "pickling" if one.at_start else "always"
        if found is not None:
            what, why, remedy = _in_words(one, found)
            yield Finding(one.node.lineno, what, why, remedy, needs, one.method)
        elif (
            value is not None and value.kind in ("function", "class", "instance") and value.scope is not None
        ):
            yield Finding(
                one.node.lineno,
                f"{one.what} is {value.scope.name}, defined in the main module of a package",
                "children do not import a __main__.py, and do not find it",
                f"move {value.scope.name} to a module beside it",
                "pickling",
                one.method,
            )


def _in_words(crossing: Crossing, found: Refusal) -> tuple[str, str, str]:
    if crossing.what.startswith("in "):
        return f"{crossing.what}: {found.is_}", found.why, found.remedy
    if crossing.what.startswith("the "):
        return f"{crossing.what} is {found.is_}", found.why, found.remedy
    return f"a process of {crossing.what} cannot be pickled", f"it is {found.is_}: {found.why}", found.remedy


def _at_import(calls: Calls, default: str | None) -> Iterator[Finding]:
    starting = list(calls.at_import(calls.starts_processes))
    if starting:
        first, *others = starting
        more = sorted({way[0].call.lineno for way in others} - {first[0].call.lineno})
        also = (
            f" (and so {'do lines' if len(more) > 1 else 'does line'} {', '.join(map(str, more))})"
            if more
            else ""
        )
        yield Finding(
            first[0].call.lineno,
            f"importing the program starts {calls.started_by(first[-1])}{_via(first)}{also}",
            "each child imports the program, and would start processes of its own: it fails, or never ends",
            'put it under: if __name__ == "__main__":',
            "import",
            calls.method_of(first[-1]) or default,
        )
    for way in calls.at_import(calls.sets_start_method):
        yield Finding(
            way[0].call.lineno,
            f"importing the program sets the start method{_via(way)}",
            "a child imports the program and has its start method already: RuntimeError",
            'put it under: if __name__ == "__main__":',
            "import",
            default,
        )


def _via(way: Way) -> str:
    return "" if len(way) == 1 else f", in line {way[-1].call.lineno}"


def _late(late: Late) -> Finding:
    where = (
        'under `if __name__ == "__main__"`'
        if late.set_.scope.is_module
        else f"by {late.set_.scope.unit.title}"
    )
    there = f"has there what line {late.imported.line} gave it" if late.imported else "is not there"
    return Finding(
        late.read.lineno,
        f"{late.reader} reads the global {late.name}, which is set {where} (line {late.set_.line})",
        f"{late.reader} runs in a child, which imports the program anew: {late.name} {there}",
        f"pass {late.name} to it as an argument, or set it at the top level",
        "pickling",
        late.crossing.method,
    )
