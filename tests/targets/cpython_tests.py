"""CPython's own tests of multiprocessing, with our objects in it, or as a control without.

Run as ``cpython_tests.py METHOD ours|control OUTPUT TEST ...``; what became of each test is written to OUTPUT
as JSON. A TEST that begins with ``test.`` is of that module. The packages ``test.test_multiprocessing_*`` are
missing in some builds of Python, and what they are made from is there.
"""

import faulthandler
import json
import os
import signal
import sys
import unittest
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    # A shell's background job ignores SIGINT, which some of the tests send.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ["CPYTHON_TESTS_METHOD"] = sys.argv[1]

    if sys.argv[2] == "ours":
        import ipcframe

        ipcframe.install(backend="pipe")

import test._test_multiprocessing as cpython  # type: ignore[import-not-found]

made: Any = cpython
made.install_tests_in_module_dict(globals(), os.environ["CPYTHON_TESTS_METHOD"])
LONGEST = 90
"""Seconds, after which a test prints the stacks of its threads."""
ours = 0
"""How many objects of ours this process has made, processes included."""


def count_ours() -> None:
    """Count from now on."""
    import importlib

    import ipcframe
    from ipcframe.context import Context
    from ipcframe.toolkit import virtual

    classes = [
        getattr(importlib.import_module(f"{virtual.__name__}.{module}"), name)
        for module, name in virtual.KINDS.values()
    ]
    classes += [ipcframe.connection.Listener, ipcframe.shared_memory.SharedMemory]
    for owner, name in [(Context, "Pipe"), (Context, "_launch"), *((cls, "__init__") for cls in classes)]:
        setattr(owner, name, _counted(getattr(owner, name)))


def _counted(function: Any) -> Any:
    def counted(*args: Any, **kwargs: Any) -> Any:
        global ours
        ours += 1
        return function(*args, **kwargs)

    return counted


class Result(unittest.TextTestResult):
    """Notes what became of each test, and whether it, or its class, made an object of ours."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.outcomes: dict[str, dict[str, Any]] = {}
        self._seen = 0
        self._class_made: set[type] = set()

    def startTest(self, test: Any) -> None:  # noqa: N802 - unittest's name
        faulthandler.dump_traceback_later(LONGEST)
        if ours != self._seen:  # in its setUpClass
            self._class_made.add(type(test))
        self._seen = ours
        self._note(test, "passed")
        super().startTest(test)

    def stopTest(self, test: Any) -> None:  # noqa: N802 - unittest's name
        faulthandler.cancel_dump_traceback_later()
        outcome = self.outcomes[_name(test)]
        outcome["vacuous"] = ours == self._seen and type(test) not in self._class_made
        self._seen = ours
        super().stopTest(test)

    def addSkip(self, test: Any, reason: str) -> None:  # noqa: N802 - unittest's name
        self._note(test, "skipped", reason)
        super().addSkip(test, reason)

    def addFailure(self, test: Any, err: Any) -> None:  # noqa: N802 - unittest's name
        self._note(test, "failed", repr(err[1]))
        super().addFailure(test, err)

    def addError(self, test: Any, err: Any) -> None:  # noqa: N802 - unittest's name
        self._note(test, "failed", repr(err[1]))
        super().addError(test, err)

    def _note(self, test: Any, what: str, why: str = "") -> None:
        self.outcomes.setdefault(_name(test), {"vacuous": True}).update(what=what, why=why)


def _name(test: Any) -> str:
    name: str = test.id()
    return name.removeprefix("__main__.")


def main() -> None:
    """Run the tests, and write down what became of them."""
    if sys.argv[2] == "ours":
        count_ours()
    load: Any = unittest.defaultTestLoader.loadTestsFromName
    here = sys.modules["__main__"]
    there = [name for name in sys.argv[4:] if name.startswith("test.") or hasattr(here, name.split(".")[0])]
    suite = unittest.TestSuite(load(name, None if name.startswith("test.") else here) for name in there)
    result: Any = unittest.TextTestRunner(sys.stderr, resultclass=Result, verbosity=2).run(suite)
    Path(sys.argv[3]).write_text(json.dumps(result.outcomes, indent=1))


if __name__ == "__main__":
    main()
