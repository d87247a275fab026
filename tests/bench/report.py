"""The command line and the table of the benchmarks; `pairing` says how, and `rows` what, is measured."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pairing import Result, measure_row
from rows import all_rows
from scale import Scale

HEADINGS = ("row", "reference", "ours", "ratio", "90 %", "A/A", "target", "verdict")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="bench.py", description="paired benchmarks against the standard library"
    )
    parser.add_argument(
        "--rows", nargs="+", default=[""], metavar="PART", help="rows whose name contains this"
    )
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--backend", default="pipe")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results to a file, too")
    parser.add_argument("--smoke", action="store_true", help="as little work as shows that it works")
    arguments = parser.parse_args(argv)
    scale = Scale.smoke(arguments.backend) if arguments.smoke else Scale(backend=arguments.backend)
    rows = [row for row in all_rows(scale) if any(part in row.name for part in arguments.rows)]
    if not rows:
        parser.error(f"no row's name contains any of {arguments.rows}")
    results = []
    for row in rows:
        show_progress(f"{row.name} …")
        settle = 0.0 if arguments.smoke else 10.0
        result = measure_row(row, arguments.rounds, settle=settle)
        if result.verdict == "not judged" and not arguments.smoke:
            result = measure_row(row, arguments.rounds, settle=settle)  # one repeat, no more
        results.append(result)
        show_progress("")
        if not sys.stdout.isatty():
            print_plain(result, first=len(results) == 1)
    if sys.stdout.isatty():
        print_table(results)
    if arguments.json:
        arguments.json.write_text(json.dumps(document(scale, results), indent=2) + "\n")
    return 0


def show_progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r{text:<79}\r", end="", file=sys.stderr, flush=True)


def cells(result: Result) -> tuple[str, ...]:
    aa = "-" if result.aa is None else f"{result.aa:.2f}"
    paired = result.aa is not None
    target = "-" if result.target is None else f"{'>=' if paired else '<='} {result.target:g}"
    values = (f"{value:.4g} {result.unit}" for value in (result.reference, result.ours))
    bound = f"{result.bound:.2f}" if paired else f"{result.bound:.3g} {result.unit}"
    crowd = f" (others used {result.busy:.0%})" if result.busy > 0.1 else ""
    ratio = f"{result.ratio:.2f}" if paired else "-"
    return (result.name, *values, ratio, bound, aa, target, result.verdict + crowd)


def print_plain(result: Result, *, first: bool) -> None:
    widths = (58, 12, 12, 7, 9, 6, 8, 0)
    for line in (HEADINGS, cells(result)) if first else (cells(result),):
        name, *others = (
            cell.ljust(width) if at in (0, len(widths) - 1) else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        print("  ".join((name, *others)).rstrip(), flush=True)


def print_table(results: list[Result]) -> None:
    try:
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text
    except ImportError:
        for number, result in enumerate(results):
            print_plain(result, first=number == 0)
        return
    colours = {"met": "green", "missed": "red", "not judged": "yellow", "no target": "dim"}
    table = Table(box=None, pad_edge=False)
    for heading in HEADINGS:
        table.add_column(heading, justify="left" if heading in ("row", "verdict") else "right")
    for result in results:
        *others, verdict = cells(result)
        table.add_row(*map(Text, others), Text(verdict, colours[result.verdict]))
    Console().print(table)


def document(scale: Scale, results: list[Result]) -> dict[str, Any]:
    machine = {
        "python": platform.python_version(),
        "system": platform.platform(),
        "cores": len(os.sched_getaffinity(0)),
    }
    return {
        "machine": machine,
        "scale": scale._asdict(),
        "results": [result.as_json() for result in results],
    }
