"""CPython's own tests of multiprocessing, through `install`: what fails or is skipped with us only, is named.

What fails or is skipped is run again without us, as a control: it must fail or be skipped there too, or stand
in `REASONS`.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

PROGRAM = Path(__file__).parents[1] / "targets" / "cpython_tests.py"
# Nothing of ours is in the others: what a thread's classes hand out is made by threading, and the heap, the
# challenge functions with made-up connections and SemLock are internals that we do not replace.
OURS = [
    "WithProcessesTestConnection",
    "WithProcessesTestPicklingConnections",
    "WithProcessesTestPoll",
    "WithProcessesTestPollEintr",
    "TestWait",
    "TestCloseFds",
    "WithProcessesTestProcess",
    "WithProcessesTestSubclassingProcess",
    "TestStartMethod",
    "WithProcessesTestQueue",
    "TestSimpleQueue",
    "TestTimeouts",
    "TestIgnoreEINTR",
    "TestForkAwareThreadLock",
    "TestStdinBadfiledescriptor",
    "WithProcessesTestLock",
    "WithProcessesTestSemaphore",
    "WithProcessesTestCondition",
    "WithProcessesTestEvent",
    "WithProcessesTestBarrier",
    "WithProcessesTestValue",
    "WithProcessesTestArray",
    "WithProcessesTestSharedCTypes",
    "WithProcessesTestSharedMemory",
    "WithProcessesTestListener",
    "WithProcessesTestListenerClient",
    "WithProcessesTestManagerRestart",
    "WithManagerTestContainers",
    "WithManagerTestMyManager",
    "WithManagerTestRemoteManager",
    "WithProcessesTestPool",
    "WithProcessesTestLogging",
]
ON_OURS = [
    "WithProcessesTestPoolWorkerErrors",
    "WithProcessesTestPoolWorkerLifetime",
    "TestPoolNotLeakOnFailure",
    "TestInitializers",
    "TestSyncManagerTypes",
    "TestManagerExceptions",
    "WithManagerTestBarrier",
    "WithManagerTestLock",
    "WithManagerTestManagerRestart",
    "WithManagerTestPool",
    "WithManagerTestSemaphore",
    "WithManagerTestQueue",
    "WithManagerTestCondition",
    "WithManagerTestEvent",
    "WithProcessesTestFinalize",
    "WithProcessesTestAtExit",
    "TestInvalidFamily",
    "TestResourceTracker",
    "TestNamedResource",
    "TestNoForkBomb",
    "TestFlags",
    "MiscTestCase",
    "_TestImportStar",
]
METHODS = ["fork", "spawn", "forkserver"]
EXECUTORS = "test.test_concurrent_futures"
SOCKET = "passes descriptors over a connection, which needs a Unix socket; pipe declares descriptors=False"
UNUSED = "wants empty() of a queue that was closed before its first put; ours says that it is closed"
REASONS = {
    "WithProcessesTestConnection.test_fd_transfer": SOCKET,
    "WithProcessesTestConnection.test_large_fd_transfer": SOCKET,
    "WithProcessesTestConnection.test_missing_fd_transfer": SOCKET,
    "WithProcessesTestQueue.test_queue_feeder_donot_stop_onexc": "wants put to hide that pickling failed; "
    "ours raises in the caller, and the queue goes on",
    "TestResourceTracker.test_resource_tracker_sigkill": "wants a semaphore to have a name, and the resource "
    "tracker to be told of it; ours have none",
    "TestStartMethod.test_mixed_startmethod": "wants a queue of the fork context to be refused by a process "
    "that is spawned; ours arrives",
    # Known of 3.13. It is a difference that a program may notice, and not one that we want.
    "WithProcessesTestQueue.test_closed_queue_empty_exceptions": UNUSED,
    "WithManagerTestQueue.test_closed_queue_empty_exceptions": UNUSED,
    **dict.fromkeys(
        [
            f"ProcessPool{method.capitalize()}ProcessPoolExecutorTest.test_python_finalization_error"
            for method in METHODS
        ],
        "wants a put to fail when no thread can be started; our queues have no thread",
    ),
}


def run(method: str, whose: str, tests: list[str], output: Path) -> tuple[dict[str, Any], str]:
    """What became of each test, and what the run printed."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(PROGRAM), method, whose, str(output), *tests],
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert output.exists(), done.stderr
    return json.loads(output.read_text()), done.stderr


def there_is(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


@pytest.mark.ci
@pytest.mark.skipif(
    not there_is("test._test_multiprocessing"), reason="this Python was installed without its tests"
)
@pytest.mark.parametrize("method", METHODS)
def test_cpythons_own_tests_pass_as_without_us(tmp_path: Path, method: str) -> None:
    passed = judge(method, [*OURS, *ON_OURS], tmp_path)
    assert len(passed) >= 200
    assert set(OURS) <= {name.split(".")[0] for name in passed}


@pytest.mark.ci
@pytest.mark.skipif(
    not there_is(f"{EXECUTORS}.test_process_pool"), reason="this Python was installed without its tests"
)
@pytest.mark.parametrize("method", METHODS)
def test_cpythons_own_tests_of_executors_pass_as_without_us(tmp_path: Path, method: str) -> None:
    kind = f"ProcessPool{method.capitalize()}"
    tests = [
        f"{EXECUTORS}.test_process_pool.{kind}ProcessPoolExecutorTest",
        f"{EXECUTORS}.test_deadlock.{kind}ExecutorDeadlockTest",
    ]
    assert len(judge(method, tests, tmp_path)) >= 20


def judge(method: str, tests: list[str], folder: Path) -> list[str]:
    """The tests that passed, with objects of ours in them; fails where one does not and has no reason."""
    outcomes, printed = run(method, "ours", tests, folder / "ours.json")
    lacking = [name for name, outcome in outcomes.items() if outcome["what"] != "passed"]
    control, _ = run(method, "control", lacking, folder / "control.json")
    differing = {name for name in lacking if outcomes[name]["what"] != control[name]["what"]}

    passed = [name for name, outcome in outcomes.items() if outcome["what"] == "passed"]
    vacuous = [name for name in passed if outcomes[name]["vacuous"]]
    counted = Counter(outcome["what"] for outcome in outcomes.values())
    print(f"{method}: {dict(counted)}, of those passed {len(vacuous)} without an object of ours: {vacuous}")

    reasoned = {name for name in outcomes if ".".join(name.split(".")[-2:]) in REASONS}
    assert differing <= reasoned, printed
    assert reasoned <= {*differing, *skipped(control)}, "a reason that is not needed any more"
    return [name for name in passed if name not in vacuous]


def skipped(outcomes: dict[str, Any]) -> list[str]:
    return [name for name, outcome in outcomes.items() if outcome["what"] == "skipped"]
