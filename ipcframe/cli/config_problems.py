"""What is wrong with settings, beyond what their file alone tells: names and settings of plugins.

It imports the backends that have a table, to ask them for the settings that they know.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from .. import _plugins, config
from .._config_file import contents, unreadable
from .._config_keys import BACKENDS, CHANNELS
from ..errors import IpcframeError
from ..settings import Sourced, validated

__all__ = ["problems_of", "problems_of_file"]

_KINDS = {"backend": "backend", "start_method": "start_method", "plugins": "plugin"}
"""By key, the kind of plugin that it names."""


def problems_of_file(path: str) -> list[IpcframeError]:
    """Everything that is wrong with the file; an error that it cannot be read is one of them."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        return [unreadable(path, "--check", error)]
    words = f"the file {path}"
    found = contents(data, words)
    problems = [*found.problems, *problems_of(found.settings, found.backends)]
    line = re.compile(f"{re.escape(words)}, line ([0-9]+)")

    def place(problem: IpcframeError) -> int:
        match = line.search(problem.problem)
        return int(match[1]) if match else 0

    return sorted(problems, key=place)


def problems_of(settings: config.Settings, backends: Iterable[Sourced] = ()) -> Iterator[IpcframeError]:
    """The names that nobody answers to, and the settings of backends that those do not take.

    `backends` are names of tables, where some may have no settings.
    """
    for key, value in settings.items():
        kind = _KINDS.get(key) if isinstance(key, str) else "backend" * (key[0] == CHANNELS)
        if kind:
            names = [value.value] if isinstance(value.value, str) else value.value
            yield from _unknown(kind, [Sourced(name, value.source) for name in names])
    named: dict[str, str] = dict(backends)
    for name, table in config.tables(BACKENDS, settings).items():
        named.setdefault(name, next(iter(table.values())).source)
    for name, source in named.items():
        yield from _refused(Sourced(name, source), config.tables(BACKENDS, settings).get(name, {}))


def _unknown(kind: str, names: Iterable[Sourced]) -> Iterator[IpcframeError]:
    for name in names:
        try:
            _plugins.find(kind, name)
        except IpcframeError as error:
            yield error


def _refused(name: Sourced, table: dict[str, Sourced]) -> Iterator[IpcframeError]:
    try:
        offer = _plugins.find("backend", name)
        with _plugins.asked_for_by(name.source):
            declared = _plugins.make(offer, {}).settings
    except IpcframeError as error:
        yield error
        return
    for key, value in table.items():
        try:
            validated(f"the backend {offer.name!r}", declared, {key: value})
        except IpcframeError as error:
            yield error
