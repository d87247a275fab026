"""CPython's own tests for what is ours, through `install`."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[1] / "targets" / "cpython_tests.py"
TESTS = [
    "WithProcessesTestConnection",
    "WithProcessesTestProcess",
    "WithProcessesTestSubclassingProcess",
    "WithProcessesTestPoll",
    "WithProcessesTestPicklingConnections",
    "TestWait",
    "TestCloseFds",
]
# They pass descriptors over a connection, which needs a Unix socket; pipe declares descriptors=False.
NEED_A_SOCKET = ["test_fd_transfer", "test_large_fd_transfer", "test_missing_fd_transfer"]


@pytest.mark.ci
@pytest.mark.skipif(
    importlib.util.find_spec("test") is None
    or importlib.util.find_spec("test._test_multiprocessing") is None,
    reason="this Python was installed without its tests",
)
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_cpythons_tests_of_processes_and_connections_pass(tmp_path: Path, method: str) -> None:
    output = tmp_path / "outcome.json"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(PROGRAM), method, str(output), *TESTS],
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert output.exists(), done.stderr
    outcome = json.loads(output.read_text())
    assert outcome["run"] >= 40
    assert outcome["failed"] == NEED_A_SOCKET, done.stderr
