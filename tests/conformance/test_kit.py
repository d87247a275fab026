"""The kit keeps its own rules."""

import re
from pathlib import Path

import pytest

import ipcframe
from ipcframe.conformance import BackendSuite, StartMethodSuite
from ipcframe.conformance.promises import PROMISES

SUITES = [BackendSuite, StartMethodSuite]
FOLDER = Path(ipcframe.__file__).parent / "conformance"
PAGE = Path(__file__).parents[2] / "docs/reference/promises.md"


@pytest.mark.parametrize("suite", SUITES)
def test_no_case_hides_another_of_the_same_name(suite):
    homes = {}
    for mixin in suite.__mro__:
        for name in vars(mixin):
            if name.startswith("test_"):
                assert homes.setdefault(name, mixin) is mixin


@pytest.mark.parametrize("suite", SUITES)
def test_every_case_is_tied_to_a_promise(suite):
    cases = [getattr(suite, name) for name in dir(suite) if name.startswith("test_")]
    assert cases
    assert [case.__name__ for case in cases if not hasattr(case, "__wrapped__")] == []


def test_every_promise_has_a_case():
    text = "".join(path.read_text() for path in FOLDER.glob("*.py"))
    tied = set(re.findall(r'@promise\("([\w.-]+)"\)', text))
    assert tied == set(PROMISES)


def test_every_promise_has_a_section_in_the_docs():
    sections = set(re.findall(r"^\(([\w-]+)\)=$", PAGE.read_text(), re.MULTILINE))
    assert sections == {identifier.replace(".", "-") for identifier in PROMISES}


def test_the_kit_names_no_backend_and_no_start_method():
    names = {"pipe", "unix", "shm", "fork", "spawn", "forkserver"}
    for path in FOLDER.glob("*.py"):
        assert not names & set(re.findall(r"""["'](\w+)["']""", path.read_text())), path


def test_what_children_import_loads_no_pytest(tmp_path):
    import subprocess
    import sys

    code = "import sys, ipcframe.conformance.targets; sys.exit('pytest' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=False).returncode == 0
