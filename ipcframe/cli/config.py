"""``ipcframe config``: every setting that is in effect, and where its value comes from.

It imports all backends, for the settings that they declare: one that is broken is listed with its error, and
the others with their settings. What it prints is a configuration file.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple, TextIO

from .. import _plugins, config
from .._config_keys import BACKENDS, CHANNELS
from .._toml_lines import dotted
from ..context import _running_start_method
from ..errors import IpcframeError
from ..hookspecs import hookimpl
from ..settings import Duration, Setting, Size, Sourced, validated
from . import named_file, screen
from .config_problems import problems_of, problems_of_file

__all__ = ["ipcframe_cli_commands"]

_DEFAULT = "the default"
"""The source of what `validated` fills in."""


class _Row(NamedTuple):
    path: tuple[str, ...]
    value: Any
    """None: not set, and the backend decides."""
    shown: str
    """The value as the file has it."""
    source: str
    note: str = ""
    """What the setting is, or why nothing is known of it."""


@hookimpl
def ipcframe_cli_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``config``."""
    parser = commands.add_parser(
        "config", help="print each setting and where it comes from, or check a file", allow_abbrev=False
    )
    named_file.add_option(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--check", metavar="FILE", help="say everything that is wrong with this file")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    problems = _check(arguments) if arguments.check is not None else _show(arguments)
    return 2 if problems else 0


def _check(arguments: argparse.Namespace) -> list[IpcframeError]:
    problems = problems_of_file(arguments.check)
    if arguments.json:
        print(json.dumps([_in_json(problem) for problem in problems], indent=2))
    elif problems:
        _print_problems(problems, sys.stdout)
    else:
        print(f"{arguments.check}: nothing is wrong with it")
    return problems


def _show(arguments: argparse.Namespace) -> list[IpcframeError]:
    named_file.settle(arguments.config)
    settings = config.effective()
    settings.setdefault("start_method", Sourced(_running_start_method(), "the running Python"))
    rows, problems = list(_rows(settings)), list(problems_of(settings))
    if arguments.json:
        values = [{**row._asdict(), "path": list(row.path), "key": dotted(row.path)} for row in rows]
        found = [_in_json(problem) for problem in problems]
        print(json.dumps({"settings": values, "problems": found}, indent=2, default=str))
        return problems
    if not (sys.stdout.isatty() and _print_rich(rows)):
        _print_plain(rows)
    _print_problems(problems, sys.stderr)
    return problems


def _print_problems(problems: list[IpcframeError], file: TextIO) -> None:
    for problem in problems:
        print(screen.wrapped(f"{problem.problem}\n  {problem.remedy}".rstrip()), file=file)


def _in_json(problem: IpcframeError) -> dict[str, str]:
    return {"problem": problem.problem, "remedy": problem.remedy, "code": problem.code}


def _rows(settings: config.Settings) -> Iterator[_Row]:
    for key in config.KEYS:
        yield _row((key,), settings[key])
    offers = _plugins.offers("backend")
    names = [offer.name for offer in offers]
    for offer in offers:
        # One name of two distributions: each has the table of its qualified name.
        name = offer.name if names.count(offer.name) == 1 else offer.qualified
        yield from _rows_of(offer, name, config.settings_of(offer, settings))
    for name, asked in config.channels(settings).items():
        yield _row((CHANNELS, name, "backend"), asked)


def _rows_of(offer: _plugins.Offer, name: str, given: dict[str, Sourced]) -> Iterator[_Row]:
    table = BACKENDS, name
    try:
        declared: Sequence[Setting] = _plugins.make(offer, {}).settings
    except IpcframeError as error:
        yield _Row(table, None, "", "", f"broken: {error.problem}")
        return
    for setting in declared:
        try:
            value = validated(offer.name, (setting,), _only(setting.key, given))[setting.key]
        except IpcframeError:
            value = given[setting.key]  # as it stands there; what is wrong with it is said apart
        yield _row((*table, setting.key), value, setting)
    known = {setting.key for setting in declared}
    for key, value in given.items():
        if key not in known:
            yield _row((*table, key), value)


def _only(key: str, given: dict[str, Sourced]) -> dict[str, Sourced]:
    return {key: given[key]} if key in given else {}


def _row(path: tuple[str, ...], value: Sourced, setting: Setting | None = None) -> _Row:
    shown = "" if value.value is None else _shown(value.value, setting and setting.type)
    return _Row(path, value.value, shown, value.source, setting.help if setting else "")


def _shown(value: object, kind: object = None) -> str:
    """The value as it would stand in the file."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(_shown(item) for item in value)}]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return _in_units(value, kind)
    return json.dumps(str(value), ensure_ascii=False)


def _in_units(value: float, kind: object) -> str:
    if kind is Size and value:
        for factor, unit in ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
            if value % factor == 0:
                return f'"{int(value) // factor} {unit}"'
    if kind is Duration and 0 < value < 1:
        return f'"{value * 1000:g} ms"'
    return repr(value)


def _print_plain(rows: list[_Row]) -> None:
    for table, members in groupby(rows, key=lambda row: row.path[:2] if len(row.path) > 1 else ()):
        rows_of_table = list(members)
        if table:
            unknown = "# " if not rows_of_table[0].source else ""
            print(f"\n{unknown}[{dotted(table)}]")
        for row in rows_of_table:
            print(_line(row))


def _line(row: _Row) -> str:
    if not row.shown:
        text = row.note if len(row.path) == 2 else f"{dotted(row.path[-1:])} is not set: {row.note}"
        return screen.wrapped(text, "# ", "# ")
    setting = f"{dotted(row.path[-1:])} = {row.shown}"
    line = f"{setting:<31} # {row.source}"
    if len(line) <= screen.width():
        return line
    return f"{screen.wrapped(row.source, '# ', '# ')}\n{setting}"


def _print_rich(rows: list[_Row]) -> bool:
    try:
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text
    except ImportError:
        return False
    table = Table(box=None, pad_edge=False)
    for column in ("key", "value", "from"):
        table.add_column(column, overflow="fold")
    for row in rows:
        style = "red" if not row.source else "dim" if row.source == _DEFAULT else "green"
        said = row.source if row.shown else ": ".join(filter(None, (row.source, row.note)))
        # Text and not str: what a plugin says of itself is no markup.
        table.add_row(Text(dotted(row.path)), Text(row.shown or "-"), Text(said, style))
    Console().print(table)
    return True
