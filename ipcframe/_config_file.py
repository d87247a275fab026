"""One configuration file: its settings with the line of each, and everything that is wrong with it."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from ._config_keys import BACKENDS, CHANNEL_KEYS, CHANNELS, KEYS, Settings, parse, unknown
from .errors import ConfigError
from .settings import Sourced

if TYPE_CHECKING:
    from ._toml_lines import Path

__all__ = ["Contents", "contents", "unreadable"]

_REMEDY = 'expected: KEY = "TEXT", KEY = ["TEXT", "TEXT"], or a table that begins with [backends.NAME]'


class Contents(NamedTuple):
    """What is in a file. With a problem, the settings are those that are right."""

    settings: Settings
    backends: tuple[Sourced, ...]
    """The names of the tables ``[backends.NAME]``, those with nothing in them too."""
    problems: tuple[ConfigError, ...]


def contents(data: bytes, words: str, *, lines: bool = True) -> Contents:
    """Read the bytes of a file, which sources and errors call by these words, such as ``the file x.toml``."""
    try:
        text, table = _loaded(data, words)
    except ConfigError as error:
        return Contents({}, (), (error,))
    return _Reading(words, table, text if lines else None).contents()


def unreadable(path: str, named_by: str, error: OSError) -> ConfigError:
    """The error of a file that cannot be read."""
    return ConfigError(
        f"the configuration file {path} (named by {named_by}) cannot be read: {error.strerror or error}",
        "name a TOML file that this user may read",
    )


def _loaded(data: bytes, words: str) -> tuple[str, dict[str, Any]]:
    import tomllib

    try:
        text = data.removeprefix(codecs.BOM_UTF8).decode("utf-8")
        return text, tomllib.loads(text)
    except UnicodeDecodeError as error:
        at_line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"{words}, line {at_line}, is no valid TOML: the byte 0x{data[error.start]:02x} is no UTF-8",
            "save the file as UTF-8",
        ) from error
    except RecursionError as error:
        raise ConfigError(f"{words} is no valid TOML: it is nested too deeply", _REMEDY) from error
    except ValueError as error:  # a TOMLDecodeError, or that of a number of too many digits
        what, at, line = _reason(str(error), text)
        raise ConfigError(f"{words}{line} is no valid TOML: {what}{at}", _REMEDY) from error


def _reason(error: str, text: str) -> tuple[str, str, str]:
    """What tomllib complains of, the column, and the line; the last two begin with a comma."""
    found = re.fullmatch(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", error, re.DOTALL)
    if found is None:
        return error, "", ""
    what, line, column = found.groups()
    what = what[:1].lower() + what[1:]
    if line is None:
        return f"{what} at the end of the file", "", f", line {text.rstrip().count(chr(10)) + 1},"
    return what, f" at column {column}", f", line {line},"


class _Reading:
    def __init__(self, words: str, table: Mapping[str, Any], text: str | None) -> None:
        self._words = words
        self._table = table
        self._text = text
        self._lines: dict[Path, int] | None = None
        self._settings: Settings = {}
        self._named: list[Sourced] = []
        self._problems: list[ConfigError] = []

    def contents(self) -> Contents:
        for key, value in self._table.items():
            if key == BACKENDS:
                self._backends(value)
            elif key == CHANNELS:
                self._channels(value)
            elif key in KEYS:
                self._take(key, value)
            else:
                self._refuse(self._unknown([*KEYS, BACKENDS, CHANNELS], key))
        return Contents(self._settings, tuple(self._named), tuple(self._problems))

    def _take(self, key: str, value: object) -> None:
        try:
            self._settings[key] = parse(key, Sourced(value, self._at(key)))
        except ConfigError as error:
            self._refuse(error)

    def _backends(self, tables: object) -> None:
        for name, table in self._tables(BACKENDS, tables):
            self._named.append(Sourced(name, self._at(BACKENDS, name)))
            for key, value in table.items():
                path = BACKENDS, name, key
                if isinstance(value, str | int | float | bool):
                    self._settings[path] = Sourced(value, self._at(*path))
                else:
                    self._refuse(
                        ConfigError(
                            f"{self._at(*path)}: expected a text, a number, true or false, not {value!r}"
                        )
                    )

    def _channels(self, tables: object) -> None:
        for name, table in self._tables(CHANNELS, tables):
            for key, value in table.items():
                path = CHANNELS, name, key
                if key not in CHANNEL_KEYS:
                    self._refuse(self._unknown(CHANNEL_KEYS, *path))
                    continue
                try:
                    self._settings[path] = parse(key, Sourced(value, self._at(*path)), CHANNEL_KEYS)
                except ConfigError as error:
                    self._refuse(error)

    def _tables(self, key: str, tables: object) -> Iterator[tuple[str, Mapping[str, Any]]]:
        if not isinstance(tables, Mapping):
            self._refuse(ConfigError(f"{self._at(key)}: expected a table [{key}.NAME], not {tables!r}"))
            return
        for name, table in tables.items():
            if isinstance(table, Mapping):
                yield name, table
            else:
                shown = self._shown(key, name)
                self._refuse(
                    ConfigError(
                        f"{self._at(key, name)}: expected a table [{shown}], not {table!r}",
                        f"a table is begun with [{key}.NAME], and a name that has a dot is quoted",
                    )
                )

    def _refuse(self, error: ConfigError) -> None:
        self._problems.append(error)

    def _unknown(self, known: Iterable[str], *path: str) -> ConfigError:
        return unknown(self._where(*path), path[-1], self._shown(*path), known)

    def _at(self, *path: str) -> str:
        return f"{self._where(*path)}, key {self._shown(*path)}"

    def _where(self, *path: str) -> str:
        """The file, and the line where it is known."""
        line = self._line(path)
        return self._words if line is None else f"{self._words}, line {line}"

    def _shown(self, *path: str) -> str:
        from ._toml_lines import dotted

        return dotted(path)

    def _line(self, path: Path) -> int | None:
        if self._text is None:
            return None
        if self._lines is None:
            from ._toml_lines import lines_of

            self._lines = lines_of(self._text, self._table)
        return self._lines.get(path)
