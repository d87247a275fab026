"""The keys that the core itself knows: what each takes, and what is said of the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from .errors import ConfigError
from .settings import Sourced, nearest

__all__ = ["BACKENDS", "CHANNELS", "CHANNEL_KEYS", "KEYS", "Key", "Settings", "parse", "unknown"]

Key = str | tuple[str, str, str]
"""A key of the top level, or the three that lead into a table: ``("channels", "frames", "backend")``."""
Settings = dict[Key, Sourced]
BACKENDS = "backends"
CHANNELS = "channels"


def _names(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",") if part.strip()]
    if not isinstance(value, Sequence) or not all(isinstance(name, str) and name for name in value):
        raise ValueError(f"expected a name, or a list of names, not {value!r}")
    return tuple(value)


def _some_names(value: object) -> tuple[str, ...]:
    names = _names(value)
    if not names:
        raise ValueError("expected at least one name")
    return names


def _name(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"expected a name, not {value!r}")
    return value.strip()


def _flag(value: object) -> bool:
    words = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in words:
        return words[value.strip().lower()]
    raise ValueError(f"expected true or false, not {value!r}")


KEYS: dict[str, Callable[[object], Any]] = {
    "backend": _some_names,
    "start_method": _name,
    "strict": _flag,
    "plugins": _names,
}
"""The keys of the top level."""
CHANNEL_KEYS: dict[str, Callable[[object], Any]] = {"backend": _some_names}
"""The keys of ``[channels.NAME]``."""


def parse(key: str, value: Sourced, known: dict[str, Callable[[object], Any]] = KEYS) -> Sourced:
    """The value in the type of its key; raises `ConfigError` with its source, which tells the key."""
    try:
        return Sourced(known[key](value.value), value.source)
    except ValueError as error:
        raise ConfigError(f"{value.source}: {error}") from None


def unknown(source: str, key: str, shown: str, known: Iterable[str]) -> ConfigError:
    """The error of a key that nobody knows, shown with what leads to it; it tells the nearest."""
    names = list(known)
    return ConfigError(
        f"{source}, has an unknown key {shown}", f"{nearest(key, names)}known: {', '.join(names)}"
    )
