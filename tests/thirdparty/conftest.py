"""Fixtures: ipcframe's wheel, and fresh environments in which a stranger's project is installed."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from environments import LEFT_BEHIND, ROOT, Environment, run

collect_ignore = ["ipcframe_mq"]  # its tests run where it is installed


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ipcframe's wheel, built from a copy of the sources without what earlier builds left."""
    folder = tmp_path_factory.mktemp("wheel")
    shutil.copytree(ROOT, folder / "source", ignore=LEFT_BEHIND)
    run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", "dist", "./source", cwd=folder)
    (built,) = (folder / "dist").glob("ipcframe-*.whl")
    return built


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Environment]:
    """``installed(project)``: a fresh environment with a copy of the project and of what its tests need.

    Each project is installed once in a session.
    """
    made: dict[Path, Environment] = {}

    def install(project: Path) -> Environment:
        if project not in made:
            folder = tmp_path_factory.mktemp(project.name)
            copy = shutil.copytree(project, folder / "project", ignore=LEFT_BEHIND)
            elsewhere = folder / "elsewhere"
            elsewhere.mkdir()
            run(sys.executable, "-m", "venv", "environment", cwd=folder)
            programs = folder / "environment" / "bin"
            run(
                programs / "python", "-m", "pip", "install", "-q", "--disable-pip-version-check",
                f"ipcframe[conformance] @ {wheel.as_uri()}", f"{copy}[test]", cwd=elsewhere,
            )  # fmt: skip
            made[project] = Environment(programs, copy, elsewhere)
        return made[project]

    return install
