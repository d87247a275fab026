"""Mutants of our own code, each of which some test must kill: what survives shows what is not tested.

    pip install '.[test,mutation]'
    python tests/mutation/mutate.py virtual --number 200 --seed 1 >> mutants.jsonl

Cosmic Ray makes the mutants. Here they are drawn by a seed, one for each place in the code before any
place has two, and each is tried on a copy of the checkout. A line of JSON is printed for each: which it was,
its outcome ("killed", "timeout", "survived"), the seconds, and for a survivor the difference. Those that have
survived are listed in docs/decisions/mutants.md, with why.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from cosmic_ray.commands.init import init
from cosmic_ray.mutating import use_mutation
from cosmic_ray.plugins import get_operator
from cosmic_ray.testing import run_tests
from cosmic_ray.work_db import use_db
from cosmic_ray.work_item import TestOutcome

ROOT = Path(__file__).parents[2]
SOURCES = ("ipcframe", "backends", "plugins", "tests", "docs/examples", "pyproject.toml", "README.md")
_TOOLKIT = "ipcframe/toolkit"
TARGETS = {
    "virtual": [f"{_TOOLKIT}/virtual"],
    # The backend itself is small: what it hands out are the toolkit's endpoints.
    "pipe": [
        "backends/ipcframe_pipe",
        *(f"{_TOOLKIT}/{name}.py" for name in ("stream", "intake", "outlet", "packets")),
    ],
}
SUITES = {"virtual": "TestVirtual", "pipe": "TestPipe"}
SAME = {"Is_Eq", "IsNot_NotEq"}
"""Operators whose mutants are the same program: nothing here that is compared by `is` defines equality."""
CASES = "not spawn and not forkserver"
SECONDS = 90.0
"""More than the tests take, and what a machine that is busy adds."""


class Mutant(NamedTuple):
    """One change of one place."""

    module: str
    line: int
    column: int
    operator: str
    occurrence: int
    arguments: dict[str, Any]

    @property
    def name(self) -> str:
        """What `--only` takes."""
        return f"{self.module}:{self.line}:{self.operator.removeprefix('core/')}:{self.occurrence}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--number", type=int, default=200, help="how many mutants (200)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--skip", type=int, default=0, help="go on behind so many that were tried already")
    parser.add_argument("--only", metavar="MUTANT", help="try this one, and show what the tests say")
    parser.add_argument("--list", action="store_true", help="print the mutants, and try none")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for source in SOURCES:
            _copy(ROOT / source, copy / source)
        chosen = drawn(list(mutants(copy, TARGETS[arguments.target])), arguments.seed)
        chosen = chosen[arguments.skip : arguments.number]
        if arguments.only:
            chosen = [one for one in chosen if one.name == arguments.only]
        if arguments.list:
            print(*(one.name for one in chosen), sep="\n")
            return
        suite = SUITES[arguments.target]
        outcome, output = tested(copy, suite)
        if outcome is not TestOutcome.SURVIVED:
            sys.exit(f"without a mutant the tests fail:\n{output}")
        for one in chosen:
            print(json.dumps(attempt(copy, one, suite, shown=bool(arguments.only))), flush=True)


def mutants(copy: Path, target: list[str]) -> Iterator[Mutant]:
    """Every mutant of these modules and packages, but for those of annotations."""
    paths = [copy / one for one in target]
    modules = [
        module for path in paths for module in (sorted(path.glob("*.py")) if path.is_dir() else [path])
    ]
    unused = {module: set(_unused_lines(module)) for module in modules}
    with use_db(":memory:") as database:
        init(modules, database, {})
        for item in database.work_items:
            (change,) = item.mutations
            line, column = change.start_pos
            path = Path(change.module_path)
            same = change.operator_name.partition("Operator_")[2] in SAME
            if (line, column) not in unused[path] and not same:
                yield Mutant(
                    str(path.relative_to(copy)), line, column, change.operator_name, change.occurrence,
                    dict(change.operator_args),
                )  # fmt: skip


def drawn(everything: list[Mutant], seed: int) -> list[Mutant]:
    """In a random order: one for each place, then the second of each place, and so on."""
    everything.sort(key=lambda one: one.name)
    random.Random(seed).shuffle(everything)
    seen: dict[tuple[str, int, int], int] = {}
    ranked = []
    for one in everything:
        place = one.module, one.line, one.column
        seen[place] = seen.get(place, 0) + 1
        ranked.append((seen[place], one))
    ranked.sort(key=lambda pair: pair[0])
    return [one for _, one in ranked]


def attempt(copy: Path, mutant: Mutant, suite: str, shown: bool = False) -> dict[str, Any]:
    """What became of the mutant in the copy, which is as before afterwards."""
    operator = get_operator(mutant.operator)(**mutant.arguments)
    started = time.monotonic()
    with use_mutation(copy / mutant.module, operator, mutant.occurrence) as (before, after):
        outcome, output = tested(copy, suite)
    verdict = "timeout" if output == "timeout" else outcome.value
    result = {"mutant": mutant.name, "outcome": verdict, "seconds": round(time.monotonic() - started, 1)}
    if shown:
        sys.stderr.write(output)
    if verdict == "survived" or shown:
        result["difference"] = _difference(before, after)
    return result


def tested(copy: Path, suite: str) -> tuple[TestOutcome, str]:
    """What the tests say of the copy as it is now."""
    os.environ["PYTHONPATH"] = os.pathsep.join(str(copy / root) for root in ("", "backends", "plugins"))
    options = f"-x -q -p no:cacheprovider --rootdir {copy} -k '{CASES}'"
    where = copy / "tests" / "mutation" / "kit_parts.py"
    outcome, output = run_tests(f"{sys.executable} -P -m pytest {options} {where}::{suite}", SECONDS)
    return outcome, output


def _copy(source: Path, destination: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, destination, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    else:
        shutil.copy(source, destination)


def _unused_lines(module: Path) -> Iterator[tuple[int, int]]:
    """The positions of what is never evaluated: annotations, which these modules all put off."""
    for node in ast.walk(ast.parse(module.read_text("utf-8"))):
        found = [getattr(node, "annotation", None), getattr(node, "returns", None)]
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            found += [node.test, *node.body]
        for part in filter(None, found):
            assert part.end_lineno is not None
            assert part.end_col_offset is not None
            for line in range(part.lineno, part.end_lineno + 1):
                first = part.col_offset if line == part.lineno else 0
                last = part.end_col_offset if line == part.end_lineno else 200
                yield from ((line, column) for column in range(first, last + 1))


def _difference(before: str, after: str) -> list[str]:
    old, new = before.splitlines(), after.splitlines()
    return [f"- {a.strip()}\n+ {b.strip()}" for a, b in zip(old, new, strict=False) if a != b][:1]


if __name__ == "__main__":
    main()
