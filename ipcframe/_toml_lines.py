"""The line on which each key of a TOML document stands, which `tomllib` does not tell.

It reads keys, and skips values. What it found is compared with what `tomllib` found, key by key: where the
two differ, it does not know any line.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["Path", "dotted", "lines_of"]

Path = tuple[str | int, ...]
"""The keys that lead to a value; in an array, its index."""

_SPACE = re.compile(r"[ \t]*")
_BETWEEN = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_TEXT = re.compile(
    # A text of several lines ends with the last quote of three to five.
    r'"""(?:[^"\\]|\\.|"(?!""))*"{3,5}' r"|'''(?:[^']|'(?!''))*'{3,5}"
    r'|"(?:[^"\\\n]|\\.)*"' r"|'[^'\n]*'",
    re.DOTALL,
)  # fmt: skip
_PLAIN = re.compile(r"[^,\[\]{}#\n]+")
"""A number, a time or a truth value, with the space inside or after it."""


def lines_of(text: str, table: Mapping[str, Any]) -> dict[Path, int]:
    """By path, the line on which a key first stands in `text`; `table` is what `tomllib` makes of it.

    It is empty when that cannot be told for sure.
    """
    scanner = _Scanner(text)
    try:
        scanner.document()
    except (_Lost, RecursionError):
        return {}
    return scanner.lines if set(scanner.lines) == set(_paths(table)) else {}


def dotted(path: Path) -> str:
    """The path as TOML writes it, with quotes where they are needed."""
    return ".".join(str(part) if _BARE.fullmatch(str(part)) else _quoted(str(part)) for part in path)


def _quoted(part: str) -> str:
    import json

    return json.dumps(part, ensure_ascii=False)


def _paths(value: object, path: Path = ()) -> Iterator[Path]:
    """Every key of a document, and each table in an array."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield (*path, key)
            yield from _paths(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _paths(inner, (*path, index))


class _Lost(Exception):
    """Something stands here that a valid document does not have, as far as this module knows."""


class _Scanner:
    def __init__(self, text: str) -> None:
        self.lines: dict[Path, int] = {}
        self._text = text
        self._at = 0
        self._counted = (0, 1)
        """A place, and its line."""
        self._arrays: dict[Path, int] = {}
        """How many tables each array of tables has so far."""

    def document(self) -> None:
        table: Path = ()
        self._skip(_BETWEEN)
        while self._at < len(self._text):
            if self._found("["):
                table = self._header()
            else:
                self._pair(table)
            self._skip(_BETWEEN)

    def _header(self) -> Path:
        line, array = self._line(), self._found("[")
        *outer, last = self._key()
        self._expect("]]" if array else "]")
        path: Path = ()
        for part in outer:
            path = self._newest(self._note((*path, part), line))
        path = self._note((*path, last), line)
        if array:
            self._arrays[path] = self._arrays.get(path, 0) + 1
        return self._newest(path)

    def _newest(self, path: Path) -> Path:
        """The table that is meant: of an array of tables, its last."""
        return (*path, self._arrays[path] - 1) if path in self._arrays else path

    def _pair(self, table: Path) -> None:
        line, path = self._line(), table
        for part in self._key():
            path = self._note((*path, part), line)
        self._expect("=")
        self._skip(_SPACE)
        self._value(path)

    def _key(self) -> list[str]:
        parts = []
        while True:
            self._skip(_SPACE)
            if quoted := self._match(_TEXT):
                parts.append(str(tomllib.loads(f"key = {quoted}")["key"]))
            elif bare := self._match(_BARE):
                parts.append(bare)
            else:
                raise _Lost
            self._skip(_SPACE)
            if not self._found("."):
                return parts

    def _value(self, path: Path) -> None:
        if self._found("["):
            for index, _ in enumerate(self._items("]")):
                self._value((*path, index))
        elif self._found("{"):
            for _ in self._items("}"):
                self._pair(path)
        elif not (self._match(_TEXT) or self._match(_PLAIN)):
            raise _Lost

    def _items(self, end: str) -> Iterator[None]:
        """Stand before each item of an array or inline table, until its end."""
        self._skip(_BETWEEN)
        while not self._found(end):
            yield
            self._skip(_BETWEEN)
            if not self._found(","):
                self._expect(end)
                return
            self._skip(_BETWEEN)

    def _note(self, path: Path, line: int) -> Path:
        self.lines.setdefault(path, line)
        return path

    def _line(self) -> int:
        place, line = self._counted
        self._counted = self._at, line + self._text.count("\n", place, self._at)
        return self._counted[1]

    def _skip(self, pattern: re.Pattern[str]) -> None:
        self._match(pattern)

    def _match(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self._text, self._at)
        if match is None:
            return ""
        self._at = match.end()
        return match[0]

    def _found(self, word: str) -> bool:
        if not self._text.startswith(word, self._at):
            return False
        self._at += len(word)
        return True

    def _expect(self, word: str) -> None:
        self._skip(_SPACE)
        if not self._found(word):
            raise _Lost
