"""``ipcframe backends``: what is installed, what it can do, and why one cannot run here.

It is the one command that imports all plugins: one that is broken is listed with its error, and the
others with theirs.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import textwrap
from collections.abc import Mapping
from typing import Any, NamedTuple

from .. import _plugins
from ..errors import IpcframeError
from ..hookspecs import hookimpl

__all__ = ["declared", "ipcframe_cli_commands"]


class _Row(NamedTuple):
    kind: str
    name: str
    distribution: str
    version: str
    reference: str
    status: str
    """"available", "unavailable" or "broken"."""
    reason: str | None
    capabilities: dict[str, Any]


@hookimpl
def ipcframe_cli_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``backends``."""
    parser = commands.add_parser(
        "backends", help="list backends and start methods, and why one cannot run here", allow_abbrev=False
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    rows = [_examine(offer) for kind in ("backend", "start_method") for offer in _plugins.offers(kind)]
    if arguments.json:
        print(json.dumps([row._asdict() for row in rows], indent=2))
    elif not (sys.stdout.isatty() and _print_rich(rows)):
        _print_plain(rows)
    return 0


def _examine(offer: _plugins.Offer) -> _Row:
    capabilities: dict[str, Any] = {}
    try:
        made = _plugins.make(offer, {})
        capabilities = made.capabilities._asdict()
        reason = _plugins.unavailable_reason(offer, made)
        status = "available" if reason is None else "unavailable"
    except IpcframeError as error:
        reason, status = error.problem, "broken"
    return _Row(
        offer.kind,
        offer.name,
        offer.distribution,
        offer.version,
        offer.reference,
        status,
        reason,
        capabilities,
    )


def declared(capabilities: Mapping[str, Any]) -> str:
    """The capabilities that say more than nothing, in a few words."""
    words = []
    for key, value in capabilities.items():
        if value is True:
            words.append(key)
        elif value not in (False, None, 0):
            words.append(f"{key}={value}")
    return ", ".join(words) or "-"


def _declared(row: _Row) -> str:
    return "" if row.status == "broken" else declared(row.capabilities)


_TITLES = {"backend": "backends", "start_method": "start methods"}


def _print_plain(rows: list[_Row]) -> None:
    width = max(min(shutil.get_terminal_size((80, 24)).columns, 100), 40)
    named = max((len(row.name) for row in rows), default=0)
    for kind, title in _TITLES.items():
        print(title)
        for row in (row for row in rows if row.kind == kind):
            head = f"  {row.name:<{named}}  {row.status}, {row.distribution} {row.version}"
            print(head)
            for text in filter(None, (_declared(row), row.reason)):
                indent = " " * (named + 4)
                print(textwrap.fill(text, width, initial_indent=indent, subsequent_indent=indent))


def _print_rich(rows: list[_Row]) -> bool:
    try:
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text
    except ImportError:
        return False
    console = Console()
    colours = {"available": "green", "unavailable": "yellow", "broken": "red"}
    for kind, title in _TITLES.items():
        table = Table(title=title, title_justify="left", box=None, pad_edge=False)
        for column in ("name", "status", "from", "declares"):
            table.add_column(column, overflow="fold")
        for row in (row for row in rows if row.kind == kind):
            origin = f"{row.distribution} {row.version}"
            # Text and not str: what a plugin says of itself is no markup.
            table.add_row(
                Text(row.name), Text(row.status, colours[row.status]), Text(origin), Text(_declared(row))
            )
        console.print(table)
        for row in rows:
            if row.kind == kind and row.reason:
                console.print(Text(f"{row.name}: {row.reason}", colours[row.status]))
    return True
