"""The lines of keys, told for documents whose lines are known, and compared with what tomllib reads."""

from __future__ import annotations

import json
import tomllib
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipcframe._toml_lines import Path, dotted, lines_of


class Written(NamedTuple):
    """A value as it is written, and the keys inside it with their lines below its first."""

    text: str
    keys: tuple[tuple[Path, int], ...] = ()


TRICKY = [
    "1", "-inf", "true", "1979-05-27 07:32:00", "1979-05-27T00:32:00.9-07:00", "07:32:00", "0x1F", "1_000",
    '""', "''", '"# a = b"', "'[x]'", '"\\"] \\\\"', "'\\'", '"{,}"',
    '"""\na = 1\n[b]\n"""', "'''\n# c\n'''''", '"""""x"""""', '"""a\\"""\\\n   \n"""', "'''\"\"\"'''",
    '""""""', "[]", "{}", "[ # ]\n]", "[[1, 2], ['a', \"]\"],]",
]  # fmt: skip
LETTERS = st.characters(exclude_categories=("Cs", "Cc"), max_codepoint=0xFFFF)
TEXTS = st.text(LETTERS, max_size=8)
FILLERS = st.sampled_from(["", "\n", "# k = 1\n", "  # [t]\n\n", "\t\n"])
ENDS = st.sampled_from(["", ' # e = """', "\t"])


@st.composite
def quoted(draw: st.DrawFn, part: str) -> str:
    """One part of a key, in one of the ways to write it."""
    ways = [json.dumps(part, ensure_ascii=draw(st.booleans()))]
    if "'" not in part:
        ways.append(f"'{part}'")
    if part.isascii() and part.replace("-", "").isalnum():
        ways.append(part)
    return draw(st.sampled_from(ways))


@st.composite
def keys(draw: st.DrawFn, parts: list[str]) -> str:
    dot = draw(st.sampled_from([".", " . ", ".\t"]))
    return dot.join([draw(quoted(part)) for part in parts])


@st.composite
def key_parts(draw: st.DrawFn, number: int) -> list[str]:
    """A plain or dotted key that is like no other of its table."""
    parts = [f"k{number}{draw(TEXTS)}"]
    return parts + draw(st.lists(TEXTS, max_size=2))


@st.composite
def pairs(draw: st.DrawFn, number: int, depth: int) -> Written:
    """``key = value``, with all the paths that it makes."""
    parts = draw(key_parts(number))
    value = draw(values(depth))
    before = f"{draw(keys(parts))}{draw(st.sampled_from(['=', ' = ']))}"
    found: list[tuple[Path, int]] = [(tuple(parts[: size + 1]), 0) for size in range(len(parts))]
    found += [((*parts, *path), line) for path, line in value.keys]
    return Written(before + value.text, tuple(found))


@st.composite
def values(draw: st.DrawFn, depth: int) -> Written:
    kind = draw(st.sampled_from(["tricky", "text", *["array", "inline"] * (depth > 0)]))
    if kind == "tricky":
        return Written(draw(st.sampled_from(TRICKY)))
    if kind == "text":
        return Written(json.dumps(draw(TEXTS)))
    text, found = "[" if kind == "array" else "{", list[tuple[Path, int]]()
    for index in range(draw(st.integers(0, 3))):
        if kind == "array":
            text += draw(FILLERS)
            item = draw(values(depth - 1))
            prefix: Path = (index,)
        else:
            text += ", " if index else ""
            item = draw(pairs(index, depth - 1))
            prefix = ()
        line = text.count("\n")
        found += [((*prefix, *path), line + below) for path, below in item.keys]
        text += item.text + ("," if kind == "array" else " ")
    return Written(text.rstrip(" ") + ("]" if kind == "array" else "}"), tuple(found))


@st.composite
def documents(draw: st.DrawFn) -> tuple[str, dict[Path, int]]:
    """A document, and the line of each of its keys."""
    text, lines = draw(FILLERS), dict[Path, int]()
    arrays: dict[str, int] = {}

    def line() -> int:
        return text.count("\n") + 1

    for number in range(draw(st.integers(1, 4))):
        table: Path = ()
        if number:
            array = draw(st.booleans())
            name = f"table {number if not array else 'of several'}"
            below = draw(st.lists(TEXTS, max_size=2)) if not array else []
            parts = [name, *below]
            header = draw(keys(parts))
            for size in range(len(parts)):
                lines.setdefault(tuple(parts[: size + 1]), line())
            text += f"[[ {header} ]]" if array else f"[{header}]"
            text += draw(ENDS) + "\n"
            arrays[name] = arrays.get(name, -1) + 1
            table = (name, arrays[name]) if array else tuple(parts)
        for index in range(draw(st.integers(0, 3))):
            text += draw(FILLERS)
            pair = draw(pairs(index, 2))
            for path, lower in pair.keys:
                lines.setdefault((*table, *path), line() + lower)
            text += pair.text + draw(ENDS) + "\n"
    return text, lines


@settings(max_examples=150, deadline=None)
@given(documents())
def test_each_key_is_on_the_line_on_which_it_was_written(document: tuple[str, dict[Path, int]]) -> None:
    text, lines = document
    for end in ("\n", "\r\n"):
        written = text.replace("\n", end)
        assert lines_of(written, tomllib.loads(written)) == lines, written


FRAGMENTS = [
    *("a", "b", " ", ".", "=", '"', "'", '"""', "[", "]", "{", "}", "#", ",", "\n", "\\", "\r\n"),
    *("a = 1\n", "b = ", "[a]\n", "[[b]]\n", "c.d = {", 'e = """', "f = [", "g = ''"),
]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(FRAGMENTS), max_size=14).map("".join))
def test_what_tomllib_takes_has_all_its_lines_or_none(text: str) -> None:
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    lines = lines_of(text, table)
    assert all(1 <= line <= text.count("\n") + 1 for line in lines.values())
    assert not table or set(table) == {path[0] for path in lines}


def test_no_line_is_told_where_the_reading_is_another() -> None:
    assert lines_of("a = 1\n", {"b": 1}) == {}
    assert lines_of("a = \n", {"a": 1}) == {}
    assert lines_of(f"a = {'[' * 5000}", {}) == {}


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        (("backends", "pipe"), "backends.pipe"),
        (("channels", "frames.left", "backend"), 'channels."frames.left".backend'),
        (("channels", 'say "x"\n'), r'channels."say \"x\"\n"'),
        (("", "é"), '""."é"'),
    ],
)
def test_a_path_is_shown_as_toml_writes_it(path: Path, shown: str) -> None:
    assert dotted(path) == shown
