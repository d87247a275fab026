"""A virtual environment with what a stranger has: ipcframe's wheel, and a project of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

__all__ = ["LEFT_BEHIND", "ROOT", "Environment", "check_types", "run"]

ROOT = Path(__file__).parents[2]
LEFT_BEHIND = shutil.ignore_patterns(".*", "*.egg-info", "__pycache__", "build", "dist", "_build", "*.so")
"""What a copy of sources goes without."""


class Environment(NamedTuple):
    """A virtual environment with ipcframe's wheel and the stranger in it."""

    programs: Path
    project: Path
    """A copy of the stranger's project."""
    elsewhere: Path
    """The working directory: neither the checkout nor the project."""

    def run(self, program: str, *arguments: str, **variables: str) -> str:
        """What a program of this environment prints, run from elsewhere; its failure is the test's."""
        return run(self.programs / program, *arguments, cwd=self.elsewhere, **variables)

    def pytest(self, *arguments: str, **variables: str) -> str:
        """What pytest prints in the project, its workers' stderr included.

        Not `python -m pytest`, which would put the project's folder before what is installed.
        """
        options = ("-p", "no:cacheprovider", "-q", "-rs", "--strict-markers", *arguments)
        done = _finished(self.programs / "pytest", *options, cwd=self.project, **variables)
        return done.stdout + done.stderr


def run(program: Path | str, *arguments: str, cwd: Path, **variables: str) -> str:
    """What a program prints, without the variables that would show it our own environment."""
    return _finished(program, *arguments, cwd=cwd, **variables).stdout


def _finished(
    program: Path | str, *arguments: str, cwd: Path, **variables: str
) -> subprocess.CompletedProcess[str]:
    ours = ("PYTHON", "IPCFRAME_", "PYTEST_", "VIRTUAL_ENV")
    environ = {key: value for key, value in os.environ.items() if not key.startswith(ours)}
    done = subprocess.run(
        [str(program), *arguments],
        cwd=cwd, env={**environ, **variables}, text=True, capture_output=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{program} {' '.join(arguments)}\n{done.stdout}\n{done.stderr}"
    return done


def check_types(environment: Environment, package: str, cache: Path) -> None:
    """Have mypy check the installed package strictly, from the outside; skips where there is no mypy."""
    pytest.importorskip("mypy", reason="mypy is not installed where the tests run")
    installed = ("--python-executable", str(environment.programs / "python"), "-p", package)
    run(
        sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(cache), *installed,
        cwd=environment.elsewhere,
    )  # fmt: skip
