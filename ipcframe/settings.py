"""What a plugin declares to be configurable: `Setting`, and the units `Size` and `Duration`.

A plugin lists its settings; the core parses, checks and hands it the values. Nothing here reads files
or variables: that is `ipcframe.config`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from .errors import ConfigError

__all__ = ["Duration", "Setting", "Size", "Sourced", "validated"]

_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(B|KiB|MiB|GiB|TiB|kB|MB|GB|TB)?\s*\Z")
_SIZE_UNITS = {
    "B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40,
    "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
}  # fmt: skip
_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(us|ms|s|min|h)?\s*\Z")
_DURATION_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0}


def Size(value: object) -> int:  # noqa: N802 - it stands where a type does
    """A number of bytes from ``65536``, ``"64 KiB"`` or ``"1.5 GB"``; ValueError otherwise."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    match = _SIZE.match(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f'expected a size such as 65536, "64 KiB" or "1.5 GB", not {value!r}')
    return int(float(match[1]) * _SIZE_UNITS[match[2] or "B"])


def Duration(value: object) -> float:  # noqa: N802 - it stands where a type does
    """Seconds from ``0.25``, ``"250 ms"`` or ``"5 min"``; ValueError otherwise."""
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf:
        return float(value)
    match = _DURATION.match(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f'expected a duration such as 0.25, "250 ms" or "5 min", not {value!r}')
    return float(match[1]) * _DURATION_UNITS[match[2] or "s"]


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
                f"its settings: {', '.join(sorted(by_key)) or 'none'}",
            )
    result = {}
    for key, setting in by_key.items():
        if key not in given:
            result[key] = Sourced(setting.default, "the default")
            continue
        raw = given[key]
        try:
            result[key] = Sourced(setting.type(raw.value), raw.source)
        except (TypeError, ValueError) as error:
            raise ConfigError(
                f"the setting {key!r} of {owner} ({raw.source}): {error}", setting.help
            ) from error
    return result
