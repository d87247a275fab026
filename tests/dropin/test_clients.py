"""Executors, pools, managers and others that the standard library builds on a context, on ours."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import client_program
import pytest

PROGRAM = Path(client_program.__file__)
FORK, SPAWN, FORKSERVER = "fork", "spawn", "forkserver"
ANYWHERE = [client.__name__ for client in client_program.ANYWHERE]
INSTALLED = [client.__name__ for client in client_program.INSTALLED]


def clients_done(*command: str, elsewhere: Path) -> list[str]:
    """The clients that came to their end; fails with what they printed when the program failed."""
    done = subprocess.run(
        [sys.executable, *command], cwd=elsewhere, capture_output=True, text=True, timeout=150, check=False
    )
    assert done.returncode == 0, f"after {done.stdout.split()}: {done.stderr}"
    # A worker that is killed, and what a program wants to fail, may be told of; a warning at exit may not.
    assert "Warning" not in done.stderr
    assert "leaked" not in done.stderr
    return done.stdout.split()


def later(method: str) -> Any:
    """For the longer tier: what the quick one tries in another combination."""
    return pytest.param(method, marks=pytest.mark.ci)


@pytest.mark.parametrize("method", [FORK, later(SPAWN), later(FORKSERVER)])
def test_clients_of_an_installed_backend(method: str, tmp_path: Path) -> None:
    done = clients_done(str(PROGRAM), "installed", method, elsewhere=tmp_path)
    assert done == [*ANYWHERE, *INSTALLED]


@pytest.mark.parametrize("method", [later(FORK), SPAWN, later(FORKSERVER)])
def test_clients_that_are_given_a_context(method: str, tmp_path: Path) -> None:
    assert clients_done(str(PROGRAM), "context", method, elsewhere=tmp_path) == ANYWHERE


@pytest.mark.parametrize("method", [FORK, later(SPAWN), later(FORKSERVER)])
def test_clients_under_ipcframe_run(method: str, tmp_path: Path) -> None:
    command = ["-m", "ipcframe", "run", "--backend", "pipe", str(PROGRAM), "plain", method]
    assert clients_done(*command, elsewhere=tmp_path) == [*ANYWHERE, *INSTALLED]


def test_the_clients_are_such_as_work_without_us(tmp_path: Path) -> None:
    assert clients_done(str(PROGRAM), "plain", "fork", elsewhere=tmp_path) == [*ANYWHERE, *INSTALLED]
