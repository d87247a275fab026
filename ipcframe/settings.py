"""What a plugin declares to be configurable: `Setting`, and the units `Size` and `Duration`.

A plugin lists its settings; the core parses, checks and hands it the values. Nothing here reads files
or variables: that is `ipcframe.config`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from .errors import ConfigError

__all__ = ["Duration", "Setting", "Size", "Sourced", "nearest", "validated"]

_NUMBER = re.compile(r"\s*([0-9]{1,30})(?:\.([0-9]{1,30}))?\s*([A-Za-z]*)\s*\Z")
_SIZE_UNITS = {
    "B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40,
    "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
}  # fmt: skip
_LARGEST_SIZE = 2**63 - 1
_DURATION_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0}
_LONGEST_DURATION = 2**63 / 1e9
"""What the system's clocks count to, in seconds."""


def Size(value: object) -> int:  # noqa: N802 - it stands where a type does
    """A number of bytes from ``65536``, ``"64 KiB"`` or ``"1.5 GB"``, rounded down; ValueError otherwise."""
    expected = 'expected a size such as 65536, "64 KiB" or "1.5 GB"'
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        size = int(value)
    else:
        whole, fraction, unit = _number(value, "B", _SIZE_UNITS, expected)
        size = int(whole + fraction) * _SIZE_UNITS[unit] // 10 ** len(fraction)
    if size > _LARGEST_SIZE:
        raise ValueError(f"{expected}, and below 8388608 TiB")
    return size


def Duration(value: object) -> float:  # noqa: N802 - it stands where a type does
    """Seconds from ``0.25``, ``"250 ms"`` or ``"5 min"``; ValueError otherwise."""
    expected = 'expected a duration such as 0.25, "250 ms" or "5 min"'
    if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0:
        if value > _LONGEST_DURATION:
            raise ValueError(f"{expected}, and below 292 years")
        return float(value)
    whole, fraction, unit = _number(value, "s", _DURATION_UNITS, expected)
    seconds = float(f"{whole}.{fraction or 0}") * _DURATION_UNITS[unit]
    if seconds > _LONGEST_DURATION:
        raise ValueError(f"{expected}, and below 292 years")
    return seconds


def _number(value: object, default: str, units: Mapping[str, object], expected: str) -> tuple[str, str, str]:
    """The digits before and after the point of a text, and its unit."""
    match = _NUMBER.match(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"{expected}, not {value!r}")
    whole, fraction, unit = match[1], match[2] or "", match[3] or default
    if unit not in units:
        raise ValueError(f"{expected}, not {value!r}: the units are {', '.join(units)}")
    return whole, fraction, unit


def nearest(word: str, known: Iterable[str]) -> str:
    """The question whether the nearest of the known words was meant; empty when none is near."""
    import difflib

    near = difflib.get_close_matches(word, list(known), n=1)
    return f"did you mean {near[0]!r}? " if near else ""


class Sourced(NamedTuple):
    """A value and the words that say where it came from, for example ``the variable IPCFRAME_BACKEND``."""

    value: Any
    source: str


class Setting(NamedTuple):
    """One configurable thing of a plugin: its key, type (a callable that parses), default and help."""

    key: str
    type: Callable[[object], Any]
    default: Any
    help: str


def validated(owner: str, declared: tuple[Setting, ...], given: Mapping[str, Sourced]) -> dict[str, Sourced]:
    """Every declared setting with its value: the given one, parsed, or the default.

    An unknown key, or a value that its type refuses, raises `ConfigError` naming owner, key and source.
    """
    by_key = {setting.key: setting for setting in declared}
    for key, value in given.items():
        if key not in by_key:
            raise ConfigError(
                f"{owner} has no setting {key!r} ({value.source})",
                f"{nearest(key, by_key)}its settings: {', '.join(sorted(by_key)) or 'none'}",
            )
    result = {}
    for key, setting in by_key.items():
        if key not in given:
            result[key] = Sourced(setting.default, "the default")
            continue
        raw = given[key]
        try:
            result[key] = Sourced(setting.type(raw.value), raw.source)
        except (TypeError, ValueError, ArithmeticError) as error:
            raise ConfigError(
                f"the setting {key!r} of {owner} ({raw.source}): {error}", setting.help
            ) from error
    return result
