"""The kit keeps its own rules."""

from __future__ import annotations

import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import ipcframe
from ipcframe.conformance import BackendSuite, StartMethodSuite
from ipcframe.conformance.case import Case, Pair, budget
from ipcframe.conformance.interrupts import Striker
from ipcframe.conformance.promises import PROMISES
from ipcframe.conformance.report import Tally

SUITES: list[type[Case]] = [BackendSuite, StartMethodSuite]
FOLDER = Path(ipcframe.__file__).parent / "conformance"
PAGE = Path(__file__).parents[2] / "docs/reference/promises.md"


@pytest.mark.parametrize("suite", SUITES)
def test_no_case_and_nothing_beside_it_hides_another_of_the_same_name(suite: type[Case]) -> None:
    homes: dict[str, type] = {}
    for mixin in suite.__mro__:
        for name in vars(mixin):
            if mixin.__module__.startswith("ipcframe.") and not name.startswith("__"):
                assert name == "_abc_impl" or homes.setdefault(name, mixin) is mixin


@pytest.mark.parametrize("suite", SUITES)
def test_every_case_is_tied_to_a_promise(suite: type[Case]) -> None:
    cases = [getattr(suite, name) for name in dir(suite) if name.startswith("test_")]
    assert cases
    assert [case.__name__ for case in cases if not hasattr(case, "promised")] == []
    assert {case.promised for case in cases} <= set(PROMISES)


def _cases() -> list[Any]:
    return [getattr(suite, name) for suite in SUITES for name in dir(suite) if name.startswith("test_")]


def test_every_promise_has_a_case_in_the_quick_set() -> None:
    assert {case.promised for case in _cases()} == set(PROMISES)
    quick = [case for case in _cases() if not hasattr(case, "left") or case.left.quick]
    assert {case.promised for case in quick} == set(PROMISES)


LEAVING = [case for case in _cases() if hasattr(case, "left")]


@pytest.mark.parametrize("case", LEAVING, ids=lambda one: one.__name__)
def test_what_the_quick_set_has_of_a_case_is_among_its_parameters(case: Any) -> None:
    for name, wanted in case.left.quick.items():
        found = []
        for mark in case.pytestmark:
            given = mark.args[0]
            names = [one.strip() for one in given.split(",")] if isinstance(given, str) else given
            if mark.name == "parametrize" and name in names:
                place = names.index(name)
                found += [values if len(names) == 1 else values[place] for values in mark.args[1]]
        assert [value for value in wanted if value not in found] == []


def test_no_case_is_called_by_a_start_method() -> None:
    # So that `pytest -k "one and not another"` selects by the start method alone.
    names = {"fork", "spawn", "forkserver"}
    assert [case.__name__ for case in _cases() if any(name in case.__name__ for name in names)] == []


def test_assertions_of_every_module_with_cases_say_what_was_compared(tmp_path: Path) -> None:
    path = tmp_path / "test_stranger.py"
    path.write_text(
        "import sys\n"
        "from ipcframe.conformance import BackendSuite, StartMethodSuite\n"
        "def test_loaders():\n"
        "    homes = {one.__module__ for s in (BackendSuite, StartMethodSuite) for one in s.__mro__}\n"
        "    homes = {home for home in homes if home.startswith('ipcframe.conformance.')}\n"
        "    assert len(homes) > 30\n"
        "    for home in homes:\n"
        "        assert type(sys.modules[home].__loader__).__name__ == 'AssertionRewritingHook', home\n"
    )
    command = [sys.executable, "-P", "-m", "pytest", "-q", "-p", "no:cacheprovider", str(path)]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout


def test_every_promise_has_a_section_in_the_docs() -> None:
    sections = set(re.findall(r"^\(([\w-]+)\)=$", PAGE.read_text(), re.MULTILINE))
    assert sections == {identifier.replace(".", "-") for identifier in PROMISES}


def test_the_kit_names_no_backend_and_no_start_method() -> None:
    names = {"pipe", "unix", "shm", "fork", "spawn", "forkserver"}
    for path in FOLDER.glob("*.py"):
        assert not names & set(re.findall(r"""["'](\w+)["']""", path.read_text())), path


def test_the_kit_uses_no_mark_that_a_project_would_have_to_register() -> None:
    marks = {
        mark for path in FOLDER.glob("*.py") for mark in re.findall(r"pytest\.mark\.(\w+)", path.read_text())
    }
    assert marks == {"parametrize", "filterwarnings", "usefixtures"}, "each is one of pytest's own"


def test_a_campaign_case_is_left_out_unless_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    class Suite(BackendSuite):
        may_be_not_runnable = frozenset()
        _tally = Tally("Suite")

        def _exchange_large(self, one_way: Pair, size: int) -> None:
            sizes.append(size)

    sizes: list[int] = []
    ends: Any = None
    monkeypatch.setattr(Case, "leave_if_slow", lambda self, promised: None)
    monkeypatch.delenv("IPCFRAME_CAMPAIGN", raising=False)
    with pytest.raises(pytest.skip.Exception, match="left to the campaign: set IPCFRAME_CAMPAIGN=1"):
        Suite().test_a_message_beyond_2_gib_arrives_whole(ends)
    assert sizes == []
    left = "left to the campaign 1 (more than 2 GiB in one message)"
    assert str(Suite._tally) == f"Suite: proven 0, declared absent 0, not runnable 0, {left}"
    monkeypatch.setenv("IPCFRAME_CAMPAIGN", "1")
    Suite().test_a_message_beyond_2_gib_arrives_whole(ends)
    assert sizes == [2**31 + 4096]
    assert Suite._tally.proven == 1


def test_a_signal_that_comes_late_strikes_nothing() -> None:
    with Striker(random.Random(1)).armed() as striker:
        signal.raise_signal(signal.SIGALRM)
        while not striker.strike(lambda: time.sleep(0.001)):
            signal.raise_signal(signal.SIGALRM)
        signal.raise_signal(signal.SIGALRM)
        assert striker.strike(lambda: signal.raise_signal(signal.SIGALRM))
    assert striker.struck == 2


def test_what_children_import_loads_no_pytest(tmp_path: Path) -> None:
    code = "import sys, ipcframe.conformance.targets; sys.exit('pytest' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=False).returncode == 0


def test_the_quick_set_leaves_parameters_and_repetitions_to_the_full_kit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Suite(BackendSuite):
        may_be_not_runnable = frozenset()
        _tally = Tally("Suite")

        def _put_and_get(self, queue: Any, size: int) -> None:
            sizes.append(size)

    sizes: list[int] = []
    queue: Any = None
    monkeypatch.setattr(Case, "leave_if_slow", lambda self, promised: None)
    for variable in ("IPCFRAME_CAMPAIGN", "IPCFRAME_FULL", "IPCFRAME_KILLS"):
        monkeypatch.delenv(variable, raising=False)
    Suite().test_an_object_of_any_size_arrives_whole(queue=queue, size=0)
    with pytest.raises(pytest.skip.Exception, match="left to the full kit: set IPCFRAME_FULL=1"):
        Suite().test_an_object_of_any_size_arrives_whole(queue=queue, size=1)
    assert (sizes, budget("IPCFRAME_KILLS", 25)) == ([0], 3)
    assert "proven 1" in str(Suite._tally)
    assert str(Suite._tally).endswith("left to the full kit 1 (more sizes)")
    monkeypatch.setenv("IPCFRAME_FULL", "1")
    Suite().test_an_object_of_any_size_arrives_whole(queue=queue, size=1)
    assert (sizes, budget("IPCFRAME_KILLS", 25)) == ([0, 1], 25)
    monkeypatch.setenv("IPCFRAME_KILLS", "7")
    assert budget("IPCFRAME_KILLS", 25) == 7
