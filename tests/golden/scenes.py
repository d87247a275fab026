"""Plays the command line on a made-up machine, with strangers installed: ``python scenes.py FOLDER``.

It prints as JSON what each scene prints. Each is played in a fork of its own, at 80 columns. Our own
distribution has a version and a folder here that never change.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import io
import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import golden_strangers as strangers

from ipcframe import cli
from ipcframe.cli import facts, machine, packages

HERE = Path(__file__).parent
ESCAPES, SPACES = re.compile(r"\x1b\[[0-9;]*m"), re.compile(" +$", re.MULTILINE)
GIB = 2**30


class Rich(facts.Machine):
    """A machine that has everything."""

    def name(self) -> str:
        return "CPython 3.11.9 on Linux 6.1.0, x86_64"

    def start_methods(self) -> list[str]:
        return ["fork", "spawn", "forkserver"]

    def make_semaphore(self) -> None:
        pass

    make_memfd = open_pidfd = make_semaphore

    def wake_futex(self) -> bool:
        return True

    def shared_memory(self) -> facts.Space:
        return facts.Space(8 * GIB, 7 * GIB)

    def limit(self, name: str) -> int | None:
        return 65536 if name == "RLIMIT_NOFILE" else None

    def memory(self) -> facts.Space:
        return facts.Space(16 * GIB, 12 * GIB)

    def group_memory(self) -> facts.Space | None:
        return None

    def cores(self) -> tuple[int, int, float | None]:
        return 8, 8, None


class Poor(Rich):
    """A machine that lacks all that one can lack."""

    def make_semaphore(self) -> None:
        raise OSError(38, "Function not implemented")

    make_memfd = open_pidfd = make_semaphore

    def wake_futex(self) -> bool:
        raise OSError(38, "Function not implemented")

    def shared_memory(self) -> facts.Space:
        return facts.Space(64 * 2**20, 60 * 2**20)

    def limit(self, name: str) -> int | None:
        return {"RLIMIT_NOFILE": 256, "RLIMIT_AS": 4 * GIB}.get(name, 2**20)

    def memory(self) -> facts.Space:
        return facts.Space(2 * GIB, 100 * 2**20)

    def group_memory(self) -> facts.Space | None:
        return facts.Space(512 * 2**20, 64 * 2**20)

    def cores(self) -> tuple[int, int, float | None]:
        return 64, 16, 2.5


class Terminal(io.StringIO):
    """What a command prints into: a terminal, or a file."""

    def __init__(self, is_terminal: bool) -> None:
        super().__init__()
        self.is_terminal = is_terminal

    def isatty(self) -> bool:
        return self.is_terminal


def install_ours(site: Path) -> None:
    """Our own entry points, under a version that never changes."""
    real = importlib.metadata.distribution("ipcframe")
    info = site / "ipcframe-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: ipcframe\nVersion: 1.0\n")
    groups: dict[str, list[str]] = {}
    for point in real.entry_points:
        groups.setdefault(point.group, []).append(f"{point.name} = {point.value}")
    text = "\n".join("\n".join([f"[{group}]", *points]) for group, points in groups.items())
    (info / "entry_points.txt").write_text(text)
    modules = {point.value.partition(".")[0].partition(":")[0] for point in real.entry_points}
    files = [path / "__init__.py" for module in sorted(modules) for path in packages._paths(module)]
    (info / "RECORD").write_text("".join(f"{file},,\n" for file in files))


def scenes() -> Iterator[tuple[str, str, Callable[[], int]]]:
    """The name of each, which site it is played with, and how."""
    yield "backends", "sound", lambda: cli.main(["backends"])
    yield "doctor", "sound", lambda: cli.main(["doctor"])
    yield "doctor_poor", "sound", _poor
    yield "doctor_checks", "sound", lambda: _with({"IPCFRAME_PLUGINS": "sails"}, "doctor")
    yield "doctor_shadowed", "sound", _shadowed
    for program in ("breaks", "bare", "sound"):
        yield f"doctor_{program}", "sound", partial(cli.main, ["doctor", f"{program}.py"])
    yield "doctor_syntax", "sound", lambda: cli.main(["doctor", "syntax.py"])
    yield "doctor_missing", "sound", lambda: cli.main(["doctor", "missing.py"])
    yield "doctor_no_module", "sound", lambda: cli.main(["doctor", "-m", "missing.module"])
    yield "backends_broken", "broken", lambda: cli.main(["backends"])
    yield "doctor_broken", "broken", lambda: cli.main(["doctor"])
    for _, (name, _) in strangers.BACKENDS.items():
        if name != "quick":
            yield f"error_{name}", "broken", partial(_run, "--backend", name)
    yield "error_not-found", "sound", lambda: _run("--backend", "qick")
    yield "error_nothing-near", "sound", lambda: _run("--backend", "zebra")
    yield "error_other-contract", "broken", lambda: _run("--backend", "future")
    yield "error_start-method", "sound", lambda: _run("--start-method", "spwan")
    yield "error_variable", "sound", lambda: _with({"IPCFRAME_BACKEND": "pip"}, "run", "sound.py")
    yield "error_plugin", "sound", lambda: _with({"IPCFRAME_PLUGINS": "sials"}, "run", "sound.py")
    for name in CONFIGURATIONS:
        yield f"config_{name}", "sound", partial(_run, "--config", f"{name}.toml")
    yield "config_unreadable", "sound", lambda: _run("--config", "missing.toml")


ONCE = (
    *("rich.console", "rich.table", "rich.text", "rich.segment", "pluggy", "difflib", "tomllib", "inspect"),
    *("ipcframe.cli.backends", "ipcframe.cli.program.source", "ipcframe.cli.run", "ipcframe.cli.config"),
    *("ipcframe.dropin", "ipcframe.context", "ipcframe.hookspecs", "ipcframe.cli.doctor"),
)
PLAIN = ("error", "config", "doctor_syntax", "doctor_missing", "doctor_no_module", "doctor_bare")
"""What speaks on the error stream alone, or says nothing that another does not say, has no table."""
CONFIGURATIONS = {
    "key": 'bakend = "pipe"\n',
    "type": "strict = 3\n",
    "toml": 'backend = "pipe\n',
    "backend": 'backend = ["qick", "pipe"]\n',
    "setting": 'backend = "quick"\n[backends.quick]\nrom = "1 MiB"\n',
    "unit": 'backend = "quick"\n[backends.quick]\nroom = "64 MegaBytes"\n',
    "negative": 'backend = "quick"\n[backends.quick]\nroom = -1\n',
    "duration": 'backend = "quick"\n[backends.quick]\npatience = "soon"\n',
    "table": 'backend = "quick"\n[backends]\nquick = 3\n',
    "channel": 'backend = "quick"\n[channels.frames]\nbackend = "qick"\n',
}


def _run(*arguments: str) -> int:
    return cli.main(["run", *arguments, "nothing.py"])


def _with(variables: dict[str, str], *arguments: str) -> int:
    os.environ.update(variables)
    return cli.main(list(arguments))


def _poor() -> int:
    _is(machine, "Machine", Poor)
    return cli.main(["doctor"])


def _shadowed() -> int:
    """A module of the same name lies before the one of the distribution."""
    shadow = Path("shadow")
    shadow.mkdir(exist_ok=True)
    (shadow / "their_quick.py").write_text("x = 1\n")
    # The other site holds the distribution's own file; here there is but its metadata.
    Path("sound/their_quick.py").unlink(missing_ok=True)
    sys.path.insert(0, str(shadow.resolve()))
    return cli.main(["doctor"])


def _is(module: Any, name: str, value: object) -> None:
    setattr(module, name, value)


def _folder(package: str) -> str:
    kind = "/home/user/app/site-packages"
    return f"{kind}/{package}" if packages._paths(package)[0].is_dir() else kind


def play(site: Path, scene: Callable[[], int], is_terminal: bool) -> dict[str, Any]:
    """Play one in a fork; what it printed, and its status."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        printed, complained = Terminal(is_terminal), Terminal(is_terminal)
        sys.path.insert(0, str(site))
        _is(
            importlib.metadata,
            "distributions",
            lambda: importlib.metadata.Distribution.discover(path=[str(site)]),
        )
        _is(machine, "Machine", Rich)
        _is(packages, "_folder", _folder)
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(complained):
            status = scene()
        answer = {"out": printed.getvalue(), "err": complained.getvalue(), "status": status}
        with os.fdopen(writing, "w") as file:
            json.dump(answer, file)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as file:
        text = file.read()
    os.waitpid(child, 0)
    result: dict[str, Any] = json.loads(text) if text else {"out": "", "err": "it died", "status": -1}
    return result


def normal(text: str, folder: Path) -> str:
    """The text without what differs between machines and Pythons; no line gets another length by it."""
    text = SPACES.sub("", ESCAPES.sub("", text))
    return text.replace(str(folder), "/tmp/" + "x" * (len(str(folder)) - 5))


def main(folder: Path) -> None:
    for site in ("sound", "broken"):
        install_ours(folder / site)
        strangers.install(folder / site, broken=site == "broken")
    for program in (HERE / "programs").iterdir():
        shutil.copy(program, folder / program.stem)
    (folder / "syntax.py").write_text("def work(:\n    pass\n")
    for name, text in CONFIGURATIONS.items():
        (folder / f"{name}.toml").write_text(text)
    os.chdir(folder)
    os.environ.update(COLUMNS="80", LINES="24", TERM="xterm")
    for module in ONCE:
        importlib.import_module(module)  # for all forks

    played = {}
    # The last one takes something away.
    for name, site, scene in sorted(scenes(), key=lambda one: one[0] == "doctor_shadowed"):
        kinds = [""] if name.startswith(PLAIN) else ["", "_rich"]
        for kind in kinds:
            one = play(folder / site, scene, bool(kind))
            parts = [one["out"], one["err"] and f"--- on the standard error stream:\n{one['err']}"]
            text = normal("".join(parts), folder)
            played[name + kind] = f"{text}--- exit status: {one['status']}\n"
    json.dump(played, sys.stdout)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
