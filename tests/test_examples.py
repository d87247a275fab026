"""The programs of docs/examples: those of multiprocessing unmodified, under every start method."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "docs" / "examples"
METHODS = ["fork", "spawn", "forkserver"]
UNMODIFIED = [
    "tokens.py",
    "pipe_tutorial.py",
    "queue_tutorial.py",
    "condition_producer_consumer.py",
    "barrier_phases.py",
    "tokens_queue.py",
    "pool_map.py",
    "manager_dict.py",
    "shared_array.py",
    "remote_manager.py",
]
PRINTED = {
    "pipe_tutorial.py": "answer: ['hello', None, 42]\nexit code: 0\n",
    "queue_tutorial.py": "squares: 1 4 9 16 25 36 49 64 81 100\nexit codes: 0 0 0\n",
    "condition_producer_consumer.py": "sum of the items: 499500\nas it should be: 499500\n",
    "barrier_phases.py": "numbers: 3 1 4 1 5 9 2 6\nsums: 3 4 8 9 14 23 25 31\n",
    "manager_dict.py": """\
and    1 [2]
brown  1 [2]
dog    2 [2, 4]
fox    2 [1, 3]
lazy   1 [1]
quick  1 [1]
the    4 [0, 0, 0, 3]
characters: 50
""",
    "shared_array.py": "changed in place: True\nthe sum of the workers: True\n",
    "remote_manager.py": """\
answers: [(1, 1), (2, 4), (3, 9), (4, 16), (5, 25), (6, 36)]
clients: 0 0
without the key: refused
""",
}
SLOW = ["manager_dict.py", "shared_array.py", "remote_manager.py"]
RUNS = [
    pytest.param(program, method, marks=[pytest.mark.ci] if program in SLOW and method != "fork" else [])
    for program in PRINTED
    for method in METHODS
]
MET = """\
another program is told: A QUESTION
with another key: refused
its file after a kill: True
and nobody there
the next one says: A QUESTION
"""
SURVIVED = """\
the lock came from a dead process: True
told by: OwnerDiedWarning
the next time: False
the other reader got everything: True
the permit came back: True
"""


def run(program: str, method: str, *arguments: str, cores: set[int] | None = None) -> str:
    ours = ["-m", "ipcframe", "run", "--backend", "pipe", "--start-method", method]
    return python(*ours, str(EXAMPLES / program), *arguments, cores=cores).stdout


def python(*arguments: str, cores: set[int] | None = None) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        cwd="/",
        preexec_fn=(lambda: os.sched_setaffinity(0, cores)) if cores else None,
    )
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.parametrize("method", METHODS)
def test_tokens_counts_what_one_process_counts(method: str) -> None:
    printed = run("tokens.py", method, "--limit", "60", "--quiet")
    assert "check: the same as one process" in printed
    assert f"2 workers, {method}" in printed or f"workers, {method}" in printed


@pytest.mark.parametrize(("program", "method"), RUNS)
def test_a_program_prints_what_it_should(program: str, method: str) -> None:
    assert run(program, method) == PRINTED[program]


@pytest.mark.parametrize("program", PRINTED)
def test_a_program_prints_the_same_without_us(program: str) -> None:
    assert python(str(EXAMPLES / program)).stdout == PRINTED[program]


def test_tokens_from_a_queue_are_those_that_are_counted_without_us() -> None:
    options = ["--limit", "40", "--workers", "3"]
    without = python(str(EXAMPLES / "tokens_queue.py"), *options, "--quiet").stdout
    assert "files:  40" in without
    for method in METHODS:
        assert run("tokens_queue.py", method, *options, "--quiet") == without


@pytest.mark.parametrize(
    "method", ["fork", *(pytest.param(one, marks=pytest.mark.ci) for one in METHODS[1:])]
)
def test_a_pool_maps_over_files_as_without_us(method: str) -> None:
    without = python(str(EXAMPLES / "pool_map.py")).stdout
    assert "the same as one process: True" in without
    assert run("pool_map.py", method) == without


@pytest.mark.parametrize("method", METHODS)
def test_lines_printed_under_a_lock_are_whole(method: str) -> None:
    ours = ["-m", "ipcframe", "run", "--backend", "pipe", "--start-method", method]
    printed = python(*ours, str(EXAMPLES / "tokens_queue.py"), "--limit", "40", "--workers", "3").stderr
    lines = printed.splitlines()
    assert len(lines) == 40
    for line in lines:
        assert re.fullmatch(r"worker [123]: \d+ tokens in \S+\.py", line)


def test_programs_that_are_no_relatives_meet() -> None:
    assert python(str(EXAMPLES / "meeting.py")).stdout == MET


@pytest.mark.parametrize("method", METHODS)
def test_the_others_survive_the_killed(method: str) -> None:
    assert python(str(EXAMPLES / "survives_kills.py"), method).stdout == SURVIVED


@pytest.mark.parametrize("program", UNMODIFIED)
def test_the_programs_of_multiprocessing_have_not_a_word_of_us(program: str) -> None:
    assert "ipcframe" not in (EXAMPLES / program).read_text("utf-8")


@pytest.mark.ci
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("cores", [None, {0}], ids=["all cores", "one core"])
def test_a_hundred_runs_give_the_same(method: str, cores: set[int] | None) -> None:
    rounds = int(os.environ.get("IPCFRAME_ROUNDS", "10"))
    tokens = set()
    programs = list(PRINTED)
    for number in range(rounds):
        printed = run("tokens.py", method, "--limit", "40", "--quiet", "--workers", "3", cores=cores)
        tokens.add(printed.splitlines()[1])
        assert "check: the same as one process" in printed
        printed = run("tokens_queue.py", method, "--limit", "40", "--quiet", "--workers", "3", cores=cores)
        tokens.add(printed.splitlines()[-1].replace("tokens: ", "tokens:  "))
        program = programs[number % len(programs)]
        assert run(program, method, cores=cores) == PRINTED[program]
    assert len(tokens) == 1
