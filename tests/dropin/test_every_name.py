"""A program that uses every name of multiprocessing prints the same on ours."""

from __future__ import annotations

import ast
import multiprocessing
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[1] / "targets" / "every_name.py"
RUN = [sys.executable, "-m", "ipcframe", "run", "--backend", "pipe"]


def test_the_program_uses_every_name() -> None:
    used = {
        node.attr
        for node in ast.walk(ast.parse(PROGRAM.read_text("utf-8")))
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "mp"
    }
    assert set(multiprocessing.__all__) - used == set()


@pytest.mark.parametrize(
    "method",
    [
        "fork",
        pytest.param("spawn", marks=pytest.mark.ci),
        pytest.param("forkserver", marks=pytest.mark.ci),
    ],
)
def test_a_program_that_uses_every_name_prints_the_same(tmp_path: Path, method: str) -> None:
    printed = []
    for command in ([sys.executable], RUN):
        done = subprocess.run(
            [*command, str(PROGRAM), method],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=150,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        printed.append((done.stdout.splitlines(), done.stderr.splitlines()))
    theirs, ours = printed
    assert ours == theirs
