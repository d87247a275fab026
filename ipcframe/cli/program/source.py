"""The text of a program, found as ``python`` would find it, and nothing of it run."""

from __future__ import annotations

import ast
import sys
import tokenize
import warnings
from importlib.machinery import PathFinder
from pathlib import Path
from typing import NamedTuple

__all__ = ["Source", "Unreadable", "read"]


class Source(NamedTuple):
    """A program that was read."""

    shown: str
    """Its path, as it is printed."""
    tree: ast.Module
    imported: bool
    """Children import it; they do not, where it is the ``__main__.py`` of a package or folder."""


class Unreadable(Exception):
    """There is no such program, or it is no Python; the text says where."""


def read(program: str, *, module: bool) -> Source:
    """Read a script, a folder with a ``__main__.py``, or a module by its name; raises `Unreadable`."""
    if module:
        path = _find(program)
        imported = path.stem != "__main__"
    else:
        path = Path(program)
        imported = not path.is_dir()
        path = path if imported else path / "__main__.py"
    shown = str(path)
    if module and path.is_relative_to(Path.cwd()):
        shown = str(path.relative_to(Path.cwd()))
    try:
        with tokenize.open(shown) as file:
            text = file.read()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what the program's author is told when it runs
            return Source(shown, ast.parse(text, shown), imported)
    except OSError as error:
        raise Unreadable(f"{shown} cannot be read: {error.strerror}") from error
    except SyntaxError as error:
        where = f"{shown}, line {error.lineno}" if error.lineno else shown
        line = (error.text or "").rstrip()
        begin = len(line) - len(line.lstrip())
        mark = f"\n  {line.lstrip()}\n  {' ' * ((error.offset or 1) - 1 - begin)}^" if line else ""
        raise Unreadable(f"{where}: {error.msg}{mark}") from error
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise Unreadable(f"{shown} is no Python: {error}") from error


def _find(name: str) -> Path:
    """The file of a module; the packages around it are looked through and not imported."""
    places: list[str] | None = [str(Path.cwd()), *sys.path]
    origin, full = None, ""
    for part in name.split("."):
        full = f"{full}.{part}".lstrip(".")
        spec = PathFinder.find_spec(full, places) if part and places is not None else None
        if spec is None:
            raise Unreadable(f"no module is called {full or name!r}")
        origin = spec.origin if spec.has_location else None
        inside = spec.submodule_search_locations
        places = None if inside is None else list(inside)
    if places is not None:
        return _find(f"{name}.__main__")
    if origin is None or not origin.endswith((".py", ".pyw")):
        raise Unreadable(f"the module {name!r} has no text to read")
    return Path(origin)
