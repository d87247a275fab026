"""``ipcframe doctor``: what will not work, and what to do about it; on this machine, or in a program.

Checks of the machine come through the hook `ipcframe_doctor_checks`, the core's own included. A program is
read, and never run.
"""

from __future__ import annotations

import argparse
import json
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from .. import _plugins
from ..capabilities import StartCapabilities
from ..errors import IpcframeError
from ..hookspecs import hookimpl
from . import machine, packages, screen

__all__ = ["ipcframe_cli_commands", "ipcframe_doctor_checks"]

_BAD, _NOTE, _GOOD = "bad", "note", "good"
_COLOURS = {_BAD: "red", _NOTE: "yellow", _GOOD: "green"}


class _Verdict(NamedTuple):
    verdict: str
    sentence: str
    remedy: str = ""
    """What to do."""
    details: Mapping[str, Any] = {}
    """What JSON has of it instead of the sentence."""


@hookimpl
def ipcframe_cli_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``doctor``."""
    parser = commands.add_parser(
        "doctor",
        help="say what will not work, on this machine or in a program, and what to do",
        allow_abbrev=False,
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("-m", dest="module", action="store_true", help="the program is a module's name")
    parser.add_argument(
        "program",
        nargs="?",
        metavar="script.py|module",
        help="read this program instead, and say what in it breaks where a child starts without its "
        "parent's memory",
    )
    parser.set_defaults(run=_run)


@hookimpl
def ipcframe_doctor_checks() -> Iterable[machine.Check]:
    """Offer the core's own checks."""
    return [*machine.checks(), *packages.checks()]


def _run(arguments: argparse.Namespace) -> int:
    if arguments.module and arguments.program is None:
        print("ipcframe: error: -m wants the name of a module", file=sys.stderr)
        return 2
    if arguments.program is None:
        verdicts = list(_of_machine(arguments.hook.ipcframe_doctor_checks))
    else:
        from .program.source import Unreadable, read

        try:
            source = read(arguments.program, module=arguments.module)
        except Unreadable as error:
            print(f"ipcframe: error: {error}", file=sys.stderr)
            return 2
        verdicts = list(_of_program(source, _start_methods()))
    if arguments.json:
        rows = [one.details or {**one._asdict(), "details": None} for one in verdicts]
        print(json.dumps([{k: v for k, v in row.items() if v is not None} for row in rows], indent=2))
    elif not (sys.stdout.isatty() and _print_rich(verdicts)):
        _print_plain(verdicts)
    return int(any(one.verdict == _BAD for one in verdicts))


# --- the machine ---


def _of_machine(caller: Any) -> Iterator[_Verdict]:
    # Not the hook itself: one plugin that raises would take the answers of all the others with it.
    for answer in caller.get_hookimpls():
        if answer.hookwrapper or answer.wrapper:
            continue
        whose = answer.plugin_name
        try:
            checks = list(answer.function())
        except (Exception, SystemExit) as error:  # noqa: BLE001 - it stops nobody else
            yield _Verdict(_NOTE, f"{whose} has no checks: {type(error).__name__}: {error}")
            continue
        for check in checks:
            try:
                verdict, sentence, *remedy = check()
                yield _Verdict(verdict, sentence, *remedy[:1])
            except (Exception, SystemExit) as error:  # noqa: BLE001 - it stops nobody else
                yield _Verdict(_NOTE, f"a check of {whose} failed: {type(error).__name__}: {error}")


# --- a program ---


def _start_methods() -> dict[str, StartCapabilities]:
    found = {}
    for offer in _plugins.offers("start_method"):
        try:
            found[offer.name] = _plugins.make(offer, {}).capabilities
        except IpcframeError:
            continue  # without a script, the doctor says so
    return found


def _of_program(source: Any, methods: Mapping[str, StartCapabilities]) -> Iterator[_Verdict]:
    from .program import examine

    breaking = [name for name, facts in methods.items() if not facts.inherits_memory or facts.imports_main]
    left_out: dict[str, list[int]] = {}
    findings = examine(source.tree, imported=source.imported)
    found = 0
    for finding in findings:
        under = [name for name, facts in methods.items() if _breaks(finding.needs, facts)]
        if finding.method in methods:
            if finding.method not in under:
                left_out.setdefault(finding.method or "", []).append(finding.line)
                continue
            under = [finding.method]
        found += 1
        words = "with every start method" if finding.needs == "always" else f"under {_listed(under)}"
        yield _Verdict(
            _BAD,
            f"{source.shown}:{finding.line}: {finding.what}\n{words}: {finding.why}",
            finding.remedy,
            {
                "verdict": _BAD, "file": source.shown, "line": finding.line, "what": finding.what,
                "why": finding.why, "remedy": finding.remedy, "start_methods": under,
            },
        )  # fmt: skip
    for method, lines in left_out.items():
        where = f"line{'s' * (len(set(lines)) > 1)} {_listed(map(str, sorted(set(lines))))}"
        yield _Verdict(
            _NOTE,
            f"{source.shown}: {where} would break, but the program itself chooses the start method "
            f"{method!r} there",
        )
    if not found:
        yield _Verdict(_GOOD, f"{source.shown}: nothing was found that breaks under {_listed(breaking)}")


def _breaks(needs: str, facts: StartCapabilities) -> bool:
    if needs == "import":
        return facts.imports_main
    return needs == "always" or not facts.inherits_memory


def _listed(words: Iterable[str]) -> str:
    *first, last = [*words] or ["no start method that is installed"]
    return f"{', '.join(first)} and {last}" if first else last


# --- printing ---


def _print_plain(verdicts: list[_Verdict]) -> None:
    for one in verdicts:
        head = f"{one.verdict:<4}  "
        for text in filter(None, (*one.sentence.splitlines(), one.remedy)):
            print(_filled(text, head, screen.width()))
            head = " " * len(head)
    print(_summary(verdicts))


def _filled(text: str, head: str, width: int) -> str:
    # A path, or what is to be typed, stays whole.
    return textwrap.fill(
        text, width, initial_indent=head, subsequent_indent=" " * len(head),
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip


def _summary(verdicts: list[_Verdict]) -> str:
    counts = {word: sum(one.verdict == word for one in verdicts) for word in _COLOURS}
    return ", ".join(f"{count} {word}" for word, count in counts.items() if count)


def _print_rich(verdicts: list[_Verdict]) -> bool:
    try:
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text
    except ImportError:
        return False
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column()
    table.add_column(overflow="fold")
    for one in verdicts:
        # Text and not str: what a plugin says of itself is no markup.
        said = Text(one.sentence)
        if one.remedy:
            said.append(f"\n{one.remedy}", "bold")
        table.add_row(Text(one.verdict, _COLOURS.get(one.verdict, "")), said)
    console = Console()
    console.print(table)
    console.print(Text(_summary(verdicts)))
    return True
