"""``ipcframe new-backend``: a project of your own, whose backend passes the kit as it is written.

What it writes is in `templates`. Written for the name "sock" it is `docs/examples/ipcframe_sock`.
"""

from __future__ import annotations

import argparse
import keyword
import re
import shlex
import sys
import unicodedata
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path

from .. import _plugins
from ..hookspecs import hookimpl
from .screen import wrapped

__all__ = ["ipcframe_cli_commands", "project"]

_TEMPLATES = Path(__file__).with_name("templates")
_NAME = re.compile("[a-z][a-z0-9]*(_[a-z0-9]+)*")


@hookimpl
def ipcframe_cli_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``new-backend``."""
    parser = commands.add_parser(
        "new-backend",
        help="write the project of a backend of your own",
        allow_abbrev=False,
    )
    parser.add_argument("name", metavar="NAME", help="the name that users will type for the backend")
    parser.add_argument(
        "--path", metavar="DIR", type=Path, help="the project's folder; by default ./ipcframe-NAME"
    )
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from importlib.metadata import packages_distributions

    name: str = arguments.name
    packages = packages_distributions()
    objection = _objection(name, packages)
    if objection:
        free = next(other for other in _proposals(name) if not _objection(other, packages))
        return _refuse(objection, f"type another name: ipcframe new-backend {free}")
    folder: Path = arguments.path or Path(_distribution(name))
    written = project(name)
    try:
        if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
            return _refuse(
                f"{str(folder)!r} is there already, and is not an empty folder",
                f"name another one: ipcframe new-backend {name} --path {shlex.quote(str(_beside(folder)))}",
            )
        for path, text in written.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            with (folder / path).open("x", encoding="utf-8") as file:
                file.write(text)
    except OSError as error:
        return _refuse(
            f"the project cannot be written: {error}",
            f"name a folder that can: ipcframe new-backend {name} --path DIR",
        )
    print(f"{folder}/", *written, sep="\n  ")
    print("to install and test it:")
    print(f"  cd {shlex.quote(str(folder))}", "pip install -e '.[test]'", "pytest", sep="\n  ")
    return 0


def _refuse(problem: str, remedy: str) -> int:
    # What is to be typed stays on its line.
    print(wrapped(problem, "ipcframe: error: ", "  "), f"  {remedy}", sep="\n", file=sys.stderr)
    return 2


def project(name: str) -> dict[str, str]:
    """The files of the project for a backend of this name: their paths in it, and what they hold."""
    values = {
        "NAME": name,
        "LABEL": "".join(word.capitalize() for word in name.split("_")),
        "DISTRIBUTION": _distribution(name),
    }
    sources = sorted(_TEMPLATES.rglob("*.in"))
    return {
        _filled(str(path.relative_to(_TEMPLATES).with_suffix("")), values): _filled(
            path.read_text("utf-8"), values
        )
        for path in sources
    }


def _filled(text: str, values: Mapping[str, str]) -> str:
    return re.sub("|".join(values), lambda found: values[found[0]], text)


def _distribution(name: str) -> str:
    return "ipcframe-" + name.replace("_", "-")


def _objection(name: str, packages: Mapping[str, list[str]]) -> str | None:
    """Why a new backend cannot have this name, or None."""
    if keyword.iskeyword(name):
        return f"{name!r} is a keyword of Python"
    if not _NAME.fullmatch(name):
        return f"{name!r} is no name for a backend: a-z, then a-z, 0-9 and single underscores"
    for offer in _plugins.offers("backend"):
        if offer.name == name:
            return f"{name!r} is taken: it is a backend of {offer.distribution} {offer.version}"
    if name in sys.stdlib_module_names:
        return f"{name!r} is taken: it is a module of the standard library"
    for package in (f"ipcframe_{name}", name):
        if package in packages:
            return f"{name!r} is taken: {package} is a package of {' and '.join(set(packages[package]))}"
    return None


def _proposals(name: str) -> Iterator[str]:
    """Names like this one, without end."""
    ascii_only = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    core = "_".join(re.findall("[a-z0-9]+", ascii_only)) or "backend"
    yield core
    yield f"my_{core}"
    yield from (f"my_{core}{number}" for number in count(2))


def _beside(folder: Path) -> Path:
    """A folder with a name like this one's that is not there yet."""
    paths = (folder.with_name(f"{folder.resolve().name}-{number}") for number in count(2))
    return next(path for path in paths if not path.exists())
