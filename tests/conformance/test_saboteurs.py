"""The kit itself is judged: each backend that is broken on purpose is rejected by the case that is named.

What a backend author reads then is kept in golden/, without what differs from run to run.
IPCFRAME_REWRITE_GOLDEN=1 writes those files anew.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from xml.etree import ElementTree

import pytest
import saboteurs

pytestmark = pytest.mark.ci
HERE = Path(__file__).parent
PARTS = 3
CONTROL = "test_the_ends_of_a_duplex_pair_do_both"
GOLDEN = HERE / "golden"
REWRITE = "IPCFRAME_REWRITE_GOLDEN"
VARYING = (
    (r"IPCFRAME_SEED=\d+", "IPCFRAME_SEED=<seed>"),
    (r"seed: \d+", "seed: <seed>"),
    (r"pytest '?\S*saboteur_suites\.py", "pytest '<suites>"),
    (r"0x[0-9a-f]+", "<address>"),
    (r"\bprocess \d+", "process <pid>"),
    (r"'(\d+) -> (\w+):\[\d+\]'", r"'<fd> -> \2'"),
    (r"\b\d+ -> (\w+):\[\d+\]", r"<fd> -> \1"),
    (r"(?<![\w.])\d+\.\d{4,}(e-\d+)?", "<seconds>"),
    (r"/\S*/(?=[\w-]+\.py)", ""),
    (r"\.py:\d+", ".py:<line>"),
    (r"\bfds? \d+(, \d+)*", "fd <number>"),
    (r"b'[^\n]*' == b'[^\n]*'", "<bytes> == <bytes>"),
    (r"\[[\d, .]+\] == \[[\d, .]+\]", "<numbers> == <numbers>"),
    (r"assert \d+ == \d+", "assert <number> == <number>"),
    (
        r"\d+ bytes instead of (\d+), which differ from byte \d+ on",
        r"<some> bytes instead of \1",
    ),
    (r"where \d+ descriptors are free", "where <some> descriptors are free"),
    (r"\{'0 -> [^\n]*", "<descriptors>"),
    (r"descriptors open: \{[^\n]*", "descriptors open: <which>"),
    (r" s \(in [^)]*\)", " s (in <functions>)"),
    (r"took \d+\.\d+ s", "took <seconds> s"),
    (r"out of order for one sender", "lost or doubled"),
    (r"lost \d+ ", "lost <some> "),
    (r"the \d+th interrupt", "an interrupt"),
)
"""What differs from run to run, and what stands for it."""
COMPARED = (
    "assert ", "+ ", "- ", "? ", "At index ", "Use -v", "Extra items ", "Differing items", "Left contains ",
    "ipcframe.conformance.interrupts.", "Right contains ", "Full diff", "...Full output", "{", "'",
)  # fmt: skip
"""How the lines begin with which pytest explains a comparison."""
Outcomes = dict[tuple[str, str], str]
"""What a case of a class said when it failed; nothing if it passed."""


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    """What became of each named case: for its saboteur, and for the true backend."""
    # Most of them wait most of the time, for what never comes.
    parts: list[list[str]] = [
        [f"{HERE / 'saboteur_suites.py'}::TestWatchdog"],
        *([] for _ in range(PARTS - 1)),
    ]
    for number, one in enumerate(saboteurs.saboteurs()):
        wanted = parts[number % PARTS]
        for name in (one.rejected_by, CONTROL):
            wanted.append(f"{HERE / 'saboteur_suites.py'}::Test{one.__name__}::{name}")
        wanted.append(f"{HERE / f'test_{one.true}.py'}::Test{one.true.title()}::{one.rejected_by}")
    reports = [tmp_path_factory.mktemp("saboteurs") / "report.xml" for _ in parts]
    with ThreadPoolExecutor(PARTS) as at_once:
        found = list(at_once.map(_run, parts, reports))
    return {case: verdict for outcome in found for case, verdict in outcome.items()}


def _run(wanted: list[str], report: Path) -> Outcomes:
    # -P: else the checkout would come before what is installed.
    options = ["-P", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "junit_logging=all"]
    command = [sys.executable, *options, "-m", "", f"--junitxml={report}"]
    # Not the variables of a campaign: the watchdog is to be quick. Nor those by which pytest tells more.
    theirs = ("IPCFRAME_", "PYTEST_", "CI", "BUILD_NUMBER")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(theirs)}
    environment |= {"PYTEST_ADDOPTS": "", "IPCFRAME_FULL": "1"}
    run = subprocess.run(
        [*command, *wanted], capture_output=True, text=True, check=False, timeout=300, env=environment
    )
    assert report.exists(), run.stdout + run.stderr
    found = {}
    for case in ElementTree.parse(report).iter("testcase"):
        failures = [child.text or "" for child in case if child.tag in ("failure", "error", "skipped")]
        if failures:
            failures += [child.text or "" for child in case if child.tag == "system-err"]
        suite = case.get("classname", "").rpartition(".")[2]
        found[suite, case.get("name", "")] = "\n".join(failures)
    return found


@pytest.mark.parametrize("saboteur", saboteurs.saboteurs(), ids=lambda one: one.name)
def test_a_saboteur_is_rejected_by_its_case_and_the_true_backend_is_not(
    saboteur: type[saboteurs.Saboteur], outcomes: Outcomes
) -> None:
    verdict = outcomes[f"Test{saboteur.__name__}", saboteur.rejected_by]
    assert "promise: " in verdict, "it was not rejected"
    assert f"backend: {saboteur.name};" in verdict
    assert "again: IPCFRAME_SEED=" in verdict
    assert ("the watchdog" in verdict) is (saboteur.name == "hangs")
    assert outcomes[f"Test{saboteur.__name__}", CONTROL] == ""
    assert outcomes[f"Test{saboteur.true.title()}", saboteur.rejected_by] == ""
    golden = GOLDEN / f"{saboteur.name}.txt"
    said = _what_the_author_reads(verdict)
    if saboteur.fails_in_many_ways:
        said = said[said.index("promise: ") :]
    if os.environ.get(REWRITE) == "1":
        golden.write_text(said)
    assert said == golden.read_text(), f"look at it, and set {REWRITE}=1 if it is as good"


def _what_the_author_reads(verdict: str) -> str:
    """The lines of the error without its traceback, and without what differs from run to run."""
    lines = [line[1:].strip() for line in verdict.splitlines() if line.startswith("E  ")]
    # What pytest adds to a message compares values, most of which are random.
    lines = lines[:1] + [line for line in lines[1:] if not line.startswith(COMPARED)]
    text = "\n".join(filter(None, lines))
    for pattern, instead in VARYING:
        text = re.sub(pattern, instead, text)
    return f"{text}\n"


def test_there_is_no_golden_text_without_its_saboteur() -> None:
    assert {path.stem for path in GOLDEN.iterdir()} == {one.name for one in saboteurs.saboteurs()}


def test_the_watchdog_prints_the_stacks_of_children_too(outcomes: Outcomes) -> None:
    verdict = outcomes["TestWatchdog", "test_a_case_that_waits_for_a_child_that_waits[fork]"]
    assert "the watchdog: the case did not end within 1.0 s" in verdict
    assert "in wait_for_ever" in verdict
    assert "in test_a_case_that_waits_for_a_child_that_waits" in verdict
