"""A backend in a distribution of its own, installed beside ours: it is chosen, listed, tested and typed.

Everything here runs in a fresh environment, from a folder that has nothing to do with the checkout.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from environments import ROOT, Environment, check_types

PROJECT = ROOT / "docs" / "examples" / "ipcframe_sock"
SOURCES = sorted((PROJECT / "ipcframe_sock").glob("*.py"))
CONTRACT = {"abc", "capabilities", "errors", "hookspecs", "settings", "toolkit"}

WHAT_A_PIPE_IS = """
import os, stat
def kind(connection):
    mode = os.fstat(connection.fileno()).st_mode
    return "socket" if stat.S_ISSOCK(mode) else "fifo" if stat.S_ISFIFO(mode) else oct(mode)
"""
FORKED, SLOW = "not spawn and not forkserver", "(killed or interrupt or stopped)"
CHOOSE = """
import ipcframe
ours, theirs = ipcframe.get_context({arguments}).Pipe()
ours.send({{"whole": 1}})
assert theirs.recv() == {{"whole": 1}}
print(ipcframe.__file__)
print(kind(ours), type(ours).__name__)
"""
UNMODIFIED = """
import multiprocessing
def answer(connection):
    connection.send(["answer", connection.recv()])
if __name__ == "__main__":
    ours, theirs = multiprocessing.Pipe()
    child = multiprocessing.Process(target=answer, args=(theirs,))
    child.start()
    ours.send("question")
    assert ours.recv() == ["answer", "question"]
    child.join()
    assert child.exitcode == 0
    print(kind(ours))
"""


@pytest.fixture(scope="session")
def environment(installed: Callable[[Path], Environment]) -> Environment:
    return installed(PROJECT)


def test_the_example_is_at_most_a_hundred_lines() -> None:
    lines = [line for path in SOURCES for line in path.read_text().splitlines() if line.strip()]
    assert 0 < len(lines) <= 100


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_the_example_imports_the_contract_only(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [node.module or ""]
        for name in names:
            package, _, rest = name.partition(".")
            assert package in sys.stdlib_module_names or package == "ipcframe", name
            assert package != "ipcframe" or rest.split(".")[0] in CONTRACT, name


@pytest.mark.parametrize(
    ("arguments", "variables", "expected"),
    [
        pytest.param("backend='sock'", {}, "socket SockConnection", id="by-the-argument"),
        pytest.param("backend='ipcframe-sock:sock'", {}, "socket SockConnection", id="by-its-qualified-name"),
        pytest.param("", {"IPCFRAME_BACKEND": "sock"}, "socket SockConnection", id="by-the-variable"),
        pytest.param("", {"IPCFRAME_BACKEND": "ipcframe-sock:sock"}, "socket SockConnection", id="by-both"),
        pytest.param("", {"IPCFRAME_CONFIG": "app.toml"}, "socket SockConnection", id="by-the-file"),
        pytest.param(
            "backend='pipe'",
            {"IPCFRAME_BACKEND": "sock"},
            "fifo PipeConnection",
            id="not-against-the-argument",
        ),
        pytest.param("", {}, "socket UnixConnection", id="not-when-nobody-asks"),
    ],
)
def test_a_strangers_backend_is_chosen(
    environment: Environment, arguments: str, variables: dict[str, str], expected: str
) -> None:
    (environment.elsewhere / "app.toml").write_text('backend = "sock"\n[backends.sock]\nbuffer = "1 MiB"\n')
    program = WHAT_A_PIPE_IS + CHOOSE.format(arguments=arguments)
    home, *found = environment.run("python", "-c", program, **variables).split()
    assert Path(home).is_relative_to(environment.programs.parent), "ipcframe must come from its wheel"
    assert " ".join(found) == expected


@pytest.mark.parametrize(("backend", "expected"), [("sock", "socket"), ("pipe", "fifo")])
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_an_unmodified_program_runs_on_it(
    environment: Environment, backend: str, expected: str, method: str
) -> None:
    program = environment.elsewhere / "program.py"
    program.write_text(WHAT_A_PIPE_IS + UNMODIFIED)
    options = ("--backend", backend, "--start-method", method)
    assert environment.run("ipcframe", "run", *options, str(program)).split() == [expected]


def test_it_is_listed_with_its_distribution(environment: Environment) -> None:
    rows = json.loads(environment.run("ipcframe", "backends", "--json"))
    by_name = {row["name"]: row for row in rows if row["kind"] == "backend"}
    sock = by_name["sock"]
    assert (sock["distribution"], sock["version"], sock["status"]) == ("ipcframe-sock", "1.0", "available")
    assert sock["reference"] == "ipcframe_sock.plugin"
    assert sock["capabilities"]["packet_size"] == 64 * 1024
    assert by_name["pipe"]["distribution"] == "ipcframe"


@pytest.mark.parametrize(
    "cases",
    [
        pytest.param(f"(message or acquire or object) and {FORKED} and not {SLOW}", id="some"),
        pytest.param(FORKED, id="fork", marks=pytest.mark.ci),
        pytest.param("spawn or forkserver", id="spawn and forkserver", marks=pytest.mark.ci),
    ],
)
def test_it_passes_the_kit(environment: Environment, cases: str) -> None:
    output = environment.pytest("tests/test_sock.py", "-k", cases)
    print(output)
    proven = re.search(r"^.*TestSock: proven (\d+)", output, re.MULTILINE)
    assert proven, "the kit says in the end what it has proven"
    assert int(proven[1]) > (20 if SLOW in cases else 100)


def test_it_is_typed(environment: Environment, tmp_path: Path) -> None:
    check_types(environment, "ipcframe_sock", tmp_path / "cache")
