"""CPython's own tests of processes and pipes, with our objects in multiprocessing.

Run as ``cpython_tests.py METHOD OUTPUT [TEST ...]``; the outcome is written to OUTPUT as JSON. The
packages ``test.test_multiprocessing_*`` are missing in some builds of Python, and what they are made from
is there.
"""

import json
import os
import signal
import sys
import unittest
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    # A shell's background job ignores SIGINT, which two of the tests send.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ["CPYTHON_TESTS_METHOD"] = sys.argv[1]

    import ipcframe

    ipcframe.install(backend="pipe")

import test._test_multiprocessing as cpython  # type: ignore[import-not-found]

made: Any = cpython
made.install_tests_in_module_dict(globals(), os.environ["CPYTHON_TESTS_METHOD"])


def main() -> None:
    """Run the tests, and write down which failed and which were skipped."""
    setUpModule, tearDownModule = globals()["setUpModule"], globals()["tearDownModule"]
    suite = unittest.defaultTestLoader.loadTestsFromNames(sys.argv[3:], sys.modules["__main__"])
    setUpModule()
    try:
        result = unittest.TextTestRunner(sys.stderr).run(suite)
    finally:
        tearDownModule()
    outcome = {
        "run": result.testsRun,
        "failed": sorted({str(case).split()[0] for case, _ in result.failures + result.errors}),
    }
    Path(sys.argv[2]).write_text(json.dumps(outcome))


if __name__ == "__main__":
    main()
