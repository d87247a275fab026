"""Which backend, start method and plugins a context has, and where each of these was said.

Highest first: the argument; the variables ``IPCFRAME_BACKEND``, ``IPCFRAME_START_METHOD``,
``IPCFRAME_STRICT`` and ``IPCFRAME_PLUGINS``; the one file that is named (``IPCFRAME_CONFIG`` or
``configure(file=…)``); `configure`, the application's own defaults; ``defaults.toml``, which ships. They
merge key by key. No file is ever searched for, and none is read at import.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from . import _boot
from .errors import ConfigError
from .settings import Sourced

__all__ = ["Settings", "configure", "effective", "inherit", "snapshot"]

Settings = dict[str, Sourced]
_TABLE = "backends"


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


_KEYS: dict[str, Callable[[object], Any]] = {
    "backend": _some_names,
    "start_method": _name,
    "strict": _flag,
    "plugins": _names,
}

_configured: Settings = {}
_configured_file: Sourced | None = None
_configured_by: tuple[str, str] | None = None
_inherited: Settings | None = None
_files: dict[str, Settings] = {}


def parse(key: str, value: Sourced) -> Sourced:
    """The value in the type of its key; raises `ConfigError` with its source."""
    try:
        return Sourced(_KEYS[key](value.value), value.source)
    except ValueError as error:
        raise ConfigError(f"{key}, from {value.source}: {error}") from None


def configure(
    *,
    backend: str | Sequence[str] | None = None,
    start_method: str | None = None,
    strict: bool | None = None,
    plugins: str | Sequence[str] | None = None,
    file: str | os.PathLike[str] | None = None,
) -> None:
    """Set the application's own defaults; variables and the named file still win over them.

    Called once, by the application and never by a library: a call from a second module raises
    `ConfigError` and names the first. `file` is the one configuration file to read, unless
    ``IPCFRAME_CONFIG`` names another.
    """
    global _configured_by, _configured_file
    caller = sys._getframe(1)
    # A started child has another name for the same file.
    module, line = (
        str(Path(caller.f_code.co_filename).resolve()),
        f"{caller.f_code.co_filename}:{caller.f_lineno}",
    )
    if _configured_by is not None and _configured_by[0] != module:
        raise ConfigError(
            f"configure called at {line}; it was already called at {_configured_by[1]}",
            "an application configures once; a library takes a context from its caller",
        )
    given = {"backend": backend, "start_method": start_method, "strict": strict, "plugins": plugins}
    source = f"configure at {line}"
    parsed = {key: parse(key, Sourced(value, source)) for key, value in given.items() if value is not None}
    _configured_by = module, line
    _configured.clear()
    _configured.update(parsed)
    _configured_file = None if file is None else Sourced(str(Path(os.fspath(file)).absolute()), source)


def effective() -> Settings:
    """Every setting that has a value, with its source; `backends.NAME.KEY` for a backend's own."""
    merged = dict(_defaults())
    if _inherited is not None:
        merged.update(_inherited)
    merged.update(_configured)
    named = _named_file()
    if named is not None:
        merged.update(_read(named))
    for key in _KEYS:
        variable = f"IPCFRAME_{key.upper()}"
        if os.environ.get(variable):
            merged[key] = parse(key, Sourced(os.environ[variable], f"the variable {variable}"))
    return merged


def settings_of(backend: str, settings: Settings) -> Settings:
    """A backend's own settings, by key."""
    prefix = f"{_TABLE}.{backend}."
    return {key.removeprefix(prefix): value for key, value in settings.items() if key.startswith(prefix)}


def snapshot() -> tuple[Settings, tuple[str, str] | None]:
    """What a child inherits: the application's values, and who set them."""
    named = _named_file()
    application = {**(_inherited or {}), **_configured, **(_read(named) if named else {})}
    return application, _configured_by


def inherit(application: Settings, configured_by: tuple[str, str] | None) -> None:
    """In a child: take over the parent's `snapshot`."""
    global _inherited, _configured_by
    _inherited, _configured_by = application, configured_by


def _named_file() -> Sourced | None:
    if os.environ.get("IPCFRAME_CONFIG"):
        return Sourced(os.environ["IPCFRAME_CONFIG"], "the variable IPCFRAME_CONFIG")
    return _configured_file


def _defaults() -> Settings:
    path = str(Path(__file__).with_name("defaults.toml"))
    if path not in _files:
        _files[path] = _parse_file(path, "the shipped defaults")
    return _files[path]


def _read(named: Sourced) -> Settings:
    path = str(Path(named.value).absolute())
    if path not in _files:
        try:
            _files[path] = _parse_file(path, f"the file {named.value}")
        except OSError as error:
            raise ConfigError(
                f"the configuration file {named.value} (named by {named.source}) cannot be read: "
                f"{error.strerror or error}"
            ) from error
    return _files[path]


def _parse_file(path: str, source: str) -> Settings:
    import tomllib

    try:
        table = tomllib.loads(Path(path).read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{source} is no valid TOML: {error}") from error
    result: Settings = {}
    for key, value in table.items():
        if key == _TABLE:
            result.update(_backend_tables(value, source))
        elif key in _KEYS:
            result[key] = parse(key, Sourced(value, f"{source}, key {key}"))
        else:
            import difflib

            near = difflib.get_close_matches(key, [*_KEYS, _TABLE], n=1)
            guess = f"did you mean {near[0]!r}? " if near else ""
            raise ConfigError(
                f"{source} has an unknown key {key!r}", f"{guess}known: {', '.join([*_KEYS, _TABLE])}"
            )
    return result


def _backend_tables(tables: object, source: str) -> Settings:
    if not isinstance(tables, Mapping) or not all(isinstance(table, Mapping) for table in tables.values()):
        raise ConfigError(f"{source}: [{_TABLE}.NAME] must be a table of settings for each backend")
    result: Settings = {}
    for name, table in tables.items():
        for key, value in table.items():
            where = f"{_TABLE}.{name}.{key}"
            if not isinstance(value, str | int | float | bool):
                raise ConfigError(
                    f"{source}, key {where}: expected a string, a number, true or false, not {value!r}"
                )
            result[where] = Sourced(value, f"{source}, key {where}")
    return result


_boot.deliver(__name__, inherit)
