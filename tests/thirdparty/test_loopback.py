"""The twin within one process, installed by somebody else: the kit judges it by what it declares.

It also shows that the kit has its line at the end under pytest-xdist.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from environments import ROOT, Environment, check_types

pytestmark = pytest.mark.ci  # the environment takes ten seconds to make
PROJECT = ROOT / "docs" / "examples" / "ipcframe_loopback"
CHOOSE = """
import ipcframe
ours, theirs = ipcframe.get_context({arguments}).Pipe()
ours.send("whole")
assert theirs.recv() == "whole"
print(ipcframe.__file__)
print(type(ours).__module__)
"""
HANDED_OVER = """
import ipcframe

def use(jobs):
    jobs.put("in a copy")

if __name__ == "__main__":
    context = ipcframe.get_context({method!r}, backend="loopback")
    jobs = context.Queue(name="jobs")
    try:
        child = context.Process(target=use, args=(jobs,))
        child.start()
        child.join()
        raise child.exception
    except ipcframe.UnsupportedOperation as error:
        print(error)
    assert jobs.empty()
"""


@pytest.fixture(scope="session")
def environment(installed: Callable[[Path], Environment]) -> Environment:
    return installed(PROJECT)


@pytest.mark.parametrize(
    ("arguments", "variables"),
    [
        pytest.param("backend='loopback'", {}, id="by-the-argument"),
        pytest.param("backend='ipcframe-loopback:loopback'", {}, id="by-its-qualified-name"),
        pytest.param("", {"IPCFRAME_BACKEND": "loopback"}, id="by-the-variable"),
        pytest.param("", {"IPCFRAME_CONFIG": "app.toml"}, id="by-the-file"),
    ],
)
def test_it_is_chosen(environment: Environment, arguments: str, variables: dict[str, str]) -> None:
    (environment.elsewhere / "app.toml").write_text('backend = "loopback"\n')
    program = CHOOSE.format(arguments=arguments)
    home, module = environment.run("python", "-c", program, **variables).split()
    assert Path(home).is_relative_to(environment.programs.parent), "ipcframe must come from its wheel"
    assert module == "ipcframe_loopback.connection"


def test_it_is_listed_with_what_it_declares(environment: Environment) -> None:
    rows = json.loads(environment.run("ipcframe", "backends", "--json"))
    declared = {row["name"]: row["capabilities"] for row in rows if row["kind"] == "backend"}
    assert declared["loopback"]["in_process"] is True
    assert declared["pipe"]["in_process"] is False


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_child_is_told_that_objects_stay_here(environment: Environment, method: str) -> None:
    program = environment.elsewhere / "program.py"
    program.write_text(HANDED_OVER.format(method=method))
    said = environment.run("python", str(program))
    assert "'jobs'" in said
    assert "in_process=True" in said
    assert "use it in threads" in said


def test_the_tests_of_an_application_run_without_processes(environment: Environment) -> None:
    assert "9 passed" in environment.pytest("tests/test_words.py", "tests/test_order.py")


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["one process", "xdist"])
def test_it_passes_the_kit(environment: Environment, workers: tuple[str, ...]) -> None:
    output = environment.pytest(*workers, "tests/test_loopback.py")
    print(output)
    (proven,) = re.findall(
        r"^.*TestLoopback: proven (\d+), declared absent .*in_process", output, re.MULTILINE
    )
    assert int(proven) > 200, "of everything, also where it was spread over processes"


def test_it_is_typed(environment: Environment, tmp_path: Path) -> None:
    check_types(environment, "ipcframe_loopback", tmp_path / "cache")
