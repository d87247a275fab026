"""Somebody who has ipcframe's wheel and nothing else types `ipcframe new-backend`: does it work at once?"""

from __future__ import annotations

import re
import sys
import zipfile
from pathlib import Path

import pytest
from environments import ROOT, Environment, run

TEMPLATES = ROOT / "ipcframe" / "cli" / "templates"


@pytest.fixture(scope="module")
def newcomer(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """A fresh environment in which the commands of `docs/new-backend.md` were typed."""
    folder = tmp_path_factory.mktemp("newcomer")
    run(sys.executable, "-m", "venv", "environment", cwd=folder)
    programs = folder / "environment" / "bin"
    install = ("-m", "pip", "install", "-q", "--disable-pip-version-check")
    run(programs / "python", *install, f"ipcframe @ {wheel.as_uri()}", cwd=folder)
    said = run(programs / "ipcframe", "new-backend", "mine", cwd=folder)
    assert "cd ipcframe-mine\n" in said
    run(programs / "python", *install, "-e", ".[test]", cwd=folder / "ipcframe-mine")
    return Environment(programs, folder / "ipcframe-mine", folder)


def test_the_wheel_holds_the_templates(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
    templates = {str(path.relative_to(ROOT)) for path in TEMPLATES.rglob("*") if path.is_file()}
    assert len(templates) > 5
    assert templates <= held


@pytest.mark.ci
def test_the_tests_of_a_new_project_pass_at_once(newcomer: Environment) -> None:
    output = newcomer.pytest()
    print(output)
    proven = re.search(r"TestMine: proven (\d+)", output)
    assert proven, "the kit says in the end what it has proven"
    assert int(proven[1]) > 100
    assert " failed" not in output


@pytest.mark.ci
def test_a_new_project_is_chosen_and_listed(newcomer: Environment) -> None:
    program = "import ipcframe; print(type(ipcframe.get_context().Pipe()[0]).__name__)"
    assert newcomer.run("python", "-c", program, IPCFRAME_BACKEND="mine") == "MineConnection\n"
    assert "mine  " in newcomer.run("ipcframe", "backends")


@pytest.mark.ci
def test_a_name_is_taken_once_its_project_is_installed(newcomer: Environment) -> None:
    program = "import sys; from ipcframe.cli import main; sys.stderr = sys.stdout; print(main())"
    said = newcomer.run("python", "-c", program, "new-backend", "mine")
    assert "'mine' is taken: it is a backend of ipcframe-mine 1.0" in said
    assert said.endswith("\n2\n")


@pytest.mark.ci
def test_a_new_project_is_typed(newcomer: Environment, tmp_path: Path) -> None:
    pytest.importorskip("mypy", reason="mypy is not installed where the tests run")
    options = ("--cache-dir", str(tmp_path), "--python-executable", str(newcomer.programs / "python"))
    run(sys.executable, "-m", "mypy", *options, "ipcframe_mine", cwd=newcomer.project)
