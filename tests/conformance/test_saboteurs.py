"""The kit itself is judged: each backend that is broken on purpose is rejected by the case that is named."""

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
import saboteurs

HERE = Path(__file__).parent
CONTROL = "test_the_ends_of_a_duplex_pair_do_both"


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """What became of each named case: for its saboteur, and for the true backend."""
    cases = []
    for one in saboteurs.saboteurs():
        for case in (one.rejected_by, CONTROL):
            cases.append(f"{HERE / 'saboteur_suites.py'}::Test{one.__name__}::{case}")
        cases.append(f"{HERE / 'test_pipe.py'}::TestPipe::{one.rejected_by}")
    cases.append(f"{HERE / 'saboteur_suites.py'}::TestWatchdog")
    report = tmp_path_factory.mktemp("saboteurs") / "report.xml"
    options = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "junit_logging=all"]
    command = [sys.executable, *options, "-m", "", f"--junitxml={report}"]
    environment = {**os.environ, "PYTEST_ADDOPTS": ""}
    run = subprocess.run(
        [*command, *cases], capture_output=True, text=True, check=False, timeout=300, env=environment
    )
    assert report.exists(), run.stdout + run.stderr
    found = {}
    for case in ElementTree.parse(report).iter("testcase"):
        failures = [child.text for child in case if child.tag in ("failure", "error", "skipped")]
        if failures:
            failures += [child.text for child in case if child.tag == "system-err"]
        found[case.get("classname").rpartition(".")[2], case.get("name")] = "\n".join(failures)
    return found


@pytest.mark.parametrize("saboteur", saboteurs.saboteurs(), ids=lambda one: one.name)
def test_a_saboteur_is_rejected_by_its_case_and_the_true_backend_is_not(saboteur, outcomes):
    verdict = outcomes[f"Test{saboteur.__name__}", saboteur.rejected_by]
    assert "promise: " in verdict, "it was not rejected"
    assert f"backend: {saboteur.name};" in verdict
    assert "again: IPCFRAME_SEED=" in verdict
    assert ("the watchdog" in verdict) is (saboteur.name == "hangs")
    assert outcomes[f"Test{saboteur.__name__}", CONTROL] == ""
    assert outcomes["TestPipe", saboteur.rejected_by] == ""


def test_the_watchdog_prints_the_stacks_of_children_too(outcomes):
    verdict = outcomes["TestWatchdog", "test_a_case_that_waits_for_a_child_that_waits[fork]"]
    assert "the watchdog: the case did not end within 1.0 s" in verdict
    assert "in wait_for_ever" in verdict
    assert "in test_a_case_that_waits_for_a_child_that_waits" in verdict
