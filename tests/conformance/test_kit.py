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
from ipcframe.conformance.case import Case, Pair
from ipcframe.conformance.interrupts import Striker
from ipcframe.conformance.promises import PROMISES
from ipcframe.conformance.report import Tally

SUITES: list[type[Case]] = [BackendSuite, StartMethodSuite]
FOLDER = Path(ipcframe.__file__).parent / "conformance"
PAGE = Path(__file__).parents[2] / "docs/reference/promises.md"


@pytest.mark.parametrize("suite", SUITES)
def test_no_case_hides_another_of_the_same_name(suite: type[Case]) -> None:
    homes: dict[str, type] = {}
    for mixin in suite.__mro__:
        for name in vars(mixin):
            if name.startswith("test_"):
                assert homes.setdefault(name, mixin) is mixin


@pytest.mark.parametrize("suite", SUITES)
def test_every_case_is_tied_to_a_promise(suite: type[Case]) -> None:
    cases = [getattr(suite, name) for name in dir(suite) if name.startswith("test_")]
    assert cases
    assert [case.__name__ for case in cases if not hasattr(case, "__wrapped__")] == []


def test_every_promise_has_a_case() -> None:
    text = "".join(path.read_text() for path in FOLDER.glob("*.py"))
    tied = set(re.findall(r'@promise\("([\w.-]+)"\)', text))
    assert tied == set(PROMISES)


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
    assert marks == {"parametrize", "filterwarnings"}


def test_a_campaign_case_is_left_out_unless_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    class Suite(BackendSuite):
        may_be_not_runnable = frozenset()
        _tally = Tally("Suite")

        def _exchange_large(self, one_way: Pair, size: int) -> None:
            sizes.append(size)

    sizes: list[int] = []
    ends: Any = None
    monkeypatch.delenv("IPCFRAME_CAMPAIGN", raising=False)
    with pytest.raises(pytest.skip.Exception, match="a campaign case: set IPCFRAME_CAMPAIGN=1"):
        Suite().test_a_message_of_64_mib_arrives_whole(ends)
    assert sizes == []
    left = "left to the campaign 1 (64 MiB in one message)"
    assert str(Suite._tally) == f"Suite: proven 0, declared absent 0, not runnable 0, {left}"
    monkeypatch.setenv("IPCFRAME_CAMPAIGN", "1")
    Suite().test_a_message_of_64_mib_arrives_whole(ends)
    assert sizes == [64 * 2**20]
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
