"""Which backend, start method and plugins a context has, and where each of these was said.

Highest first: the argument; the variables ``IPCFRAME_BACKEND``, ``IPCFRAME_START_METHOD``,
``IPCFRAME_STRICT`` and ``IPCFRAME_PLUGINS``; the one file that is named (``IPCFRAME_CONFIG``,
``configure(file=…)``, or by the command line); `configure`, the application's own defaults;
``defaults.toml``, which ships. They merge key by key. No file is ever searched for, none is read at import,
and a child does not read again what its parent has read.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from . import _boot
from ._config_file import contents, unreadable
from ._config_keys import BACKENDS, CHANNELS, KEYS, Key, Settings, parse
from .errors import ConfigError
from .settings import Sourced

if TYPE_CHECKING:
    from ._plugins import Offer

__all__ = [
    "BACKENDS",
    "KEYS",
    "Key",
    "Settings",
    "channels",
    "configure",
    "effective",
    "inherit",
    "parse",
    "settings_of",
    "snapshot",
    "tables",
    "take_file",
]

_VARIABLE = "IPCFRAME_CONFIG"

_configured: Settings = {}
_configured_file: Sourced | None = None
_configured_by: tuple[str, str] | None = None
_inherited: Settings = {}
_inherited_file: Sourced | None = None
_inherited_variable: str | None = None
"""What ``IPCFRAME_CONFIG`` was when this process began. Its parent knew better: a fork server's is old."""
_found_file: Sourced | None = None
"""The file that counts when no other is named."""
_files: dict[str, Settings] = {}
"""What has been read, by the words that named the file: they hold though the working directory changes."""


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
    parsed: Settings = {
        key: parse(key, Sourced(value, f"the argument {key} of configure at {line}"))
        for key, value in given.items()
        if value is not None
    }
    _configured_by = module, line
    _configured.clear()
    _configured.update(parsed)
    _configured_file = (
        None
        if file is None
        else Sourced(str(Path(os.fspath(file)).absolute()), f"the argument file of configure at {line}")
    )


def effective() -> Settings:
    """Every setting that has a value, with its source."""
    merged = {**_defaults(), **_inherited, **_configured}
    named = _named_file()
    if named is not None:
        merged.update(_read(named))
    for key in KEYS:
        variable = f"IPCFRAME_{key.upper()}"
        if os.environ.get(variable):
            merged[key] = parse(key, Sourced(os.environ[variable], f"the variable {variable}"))
    return merged


def settings_of(offer: Offer, settings: Settings) -> dict[str, Sourced]:
    """A backend's own settings, by key; a table of its qualified name counts more than one of the bare."""
    named = tables(BACKENDS, settings)
    return {**named.get(offer.name, {}), **named.get(offer.qualified, {})}


def channels(settings: Settings) -> dict[str, Sourced]:
    """By the name that objects are made with, the backends that they are to be on, in order."""
    return {name: table["backend"] for name, table in tables(CHANNELS, settings).items()}


def tables(kind: str, settings: Settings) -> dict[str, dict[str, Sourced]]:
    """The tables ``[kind.NAME]``, by name."""
    found: dict[str, dict[str, Sourced]] = {}
    for key, value in settings.items():
        if isinstance(key, tuple) and key[0] == kind:
            found.setdefault(key[1], {})[key[2]] = value
    return found


def take_file(named: Sourced, data: bytes) -> None:
    """Have the file of these contents count where no other is named; raises `ConfigError` for a mistake."""
    global _found_file
    _files[named.value] = _parsed(data, f"the file {named.value}")
    _found_file = named


def snapshot() -> tuple[Settings, tuple[str, str] | None, Sourced | None, dict[str, Settings]]:
    """What a child inherits: the application's values and who set them, and the file and what is in it."""
    named = _named_file()
    read = {} if named is None else {named.value: _read(named)}
    return {**_inherited, **_configured}, _configured_by, named, read


def inherit(
    application: Settings,
    configured_by: tuple[str, str] | None,
    named: Sourced | None,
    read: dict[str, Settings],
) -> None:
    """In a child: take over the parent's `snapshot`."""
    global _inherited, _configured_by, _inherited_file, _inherited_variable
    _inherited, _configured_by, _inherited_file = application, configured_by, named
    _inherited_variable = os.environ.get(_VARIABLE)
    _files.update(read)


def _named_file() -> Sourced | None:
    variable = os.environ.get(_VARIABLE)
    if variable and variable != _inherited_variable:
        return Sourced(variable, f"the variable {_VARIABLE}")
    return _inherited_file or _configured_file or _found_file


def _defaults() -> Settings:
    path = Path(__file__).with_name("defaults.toml")
    if str(path) not in _files:
        _files[str(path)] = _parsed(path.read_bytes(), "the shipped defaults", lines=False)
    return _files[str(path)]


def _read(named: Sourced) -> Settings:
    if named.value not in _files:
        try:
            data = Path(named.value).read_bytes()
        except OSError as error:
            raise unreadable(named.value, named.source, error) from error
        _files[named.value] = _parsed(data, f"the file {named.value}")
    return _files[named.value]


def _parsed(data: bytes, words: str, *, lines: bool = True) -> Settings:
    found = contents(data, words, lines=lines)
    for problem in found.problems:
        raise problem
    return found.settings


_boot.deliver(__name__, inherit)
