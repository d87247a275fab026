"""The programs of docs/examples, unmodified, under every start method."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "docs" / "examples"
METHODS = ["fork", "spawn", "forkserver"]


def run(program: str, method: str, *arguments: str, cores: set[int] | None = None) -> str:
    command = [sys.executable, "-m", "ipcframe", "run", "--backend", "pipe", "--start-method", method]
    done = subprocess.run(
        [*command, str(EXAMPLES / program), *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        cwd="/",
        preexec_fn=(lambda: os.sched_setaffinity(0, cores)) if cores else None,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("method", METHODS)
def test_tokens_counts_what_one_process_counts(method: str) -> None:
    printed = run("tokens.py", method, "--limit", "60", "--quiet")
    assert "check: the same as one process" in printed
    assert f"2 workers, {method}" in printed or f"workers, {method}" in printed


@pytest.mark.parametrize("method", METHODS)
def test_the_tutorials_program_prints_its_answer(method: str) -> None:
    assert run("pipe_tutorial.py", method) == "answer: ['hello', None, 42]\nexit code: 0\n"


def test_the_examples_have_not_a_word_of_us() -> None:
    for program in ("tokens.py", "pipe_tutorial.py"):
        assert "ipcframe" not in (EXAMPLES / program).read_text("utf-8")


@pytest.mark.ci
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("cores", [None, {0}], ids=["all cores", "one core"])
def test_a_hundred_runs_give_the_same(method: str, cores: set[int] | None) -> None:
    rounds = int(os.environ.get("IPCFRAME_ROUNDS", "10"))
    tokens = set()
    for _ in range(rounds):
        printed = run("tokens.py", method, "--limit", "40", "--quiet", "--workers", "3", cores=cores)
        tokens.add(printed.splitlines()[1])
        assert "check: the same as one process" in printed
        assert "exit code: 0" in run("pipe_tutorial.py", method, cores=cores)
    assert len(tokens) == 1
