"""Broken plugins of others: each is an error that says what is wrong, and nobody else is affected.

Strangers are not installed here: a folder on PYTHONPATH with a module and its dist-info is all that an
installation is.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

GOOD = """
    from ipcframe.abc import Backend, Connection
    from ipcframe.capabilities import Capabilities
    from ipcframe.hookspecs import hookimpl

    class End(Connection):
        def __init__(self): pass
        def send(self, obj): pass
        def recv(self): return "made by NAME"
        def _describe(self): return "end"
        _send = _peek = _take = _give_back = _poll = _fileno = _close = None

    class Plain(Backend):
        name = "NAME"
        capabilities = Capabilities()
        def connection_pair(self, duplex): return End(), End()
        def channel(self): raise NotImplementedError

    @hookimpl
    def ipcframe_backend(name, settings):
        return Plain(settings)
"""
HOOK = """
    from ipcframe.hookspecs import hookimpl

    @hookimpl
    def ipcframe_backend(name, settings):
"""
REASON = "unavailable_reason = classmethod(lambda cls: {})\n        def channel"
BROKEN = {
    "fails_at_import": ("import no_such_module", "fails at import .*no_such_module"),
    "exits_at_import": ("raise SystemExit(3)", "fails at import .*SystemExit: 3"),
    "is_not_there": (None, "fails at import .*No module named"),
    "has_no_hook": ("x = 1", "implements no hook"),
    "has_another_hook": (
        "from ipcframe.hookspecs import hookimpl\n@hookimpl\ndef ipcframe_reducers(): return ()",
        "does not implement ipcframe_backend",
    ),
    "misspells_its_hook": (
        "from ipcframe.hookspecs import hookimpl\n@hookimpl\ndef ipcframe_bakend(name, settings): pass",
        "has a hook that is none of ours: .*ipcframe_bakend",
    ),
    "misspells_an_argument": (
        "from ipcframe.hookspecs import hookimpl\n@hookimpl\ndef ipcframe_backend(nam, settings): pass",
        "has a hook that is none of ours: .*nam",
    ),
    "makes_the_wrong_type": (
        HOOK + "        return object()",
        "made an object of type object, which is no Backend",
    ),
    "raises_in_its_hook": (HOOK + "        raise KeyError('oops')", "raised KeyError: 'oops'"),
    "ignores_its_name": (HOOK + "        return None", "does not answer to its own name"),
    "is_abstract": (
        GOOD.replace("def channel", "def chanel"),
        "made no Backend: its class Plain lacks channel",
    ),
    "raises_when_asked": (
        GOOD.replace(
            "def channel", "unavailable_reason = classmethod(lambda cls: 1 / 0)\n        def channel"
        ),
        "raised ZeroDivisionError when asked whether it can run here",
    ),
}

ASK = """
import json, re, sys, warnings
import ipcframe

def report(error):
    cause = error.__cause__
    return {
        "type": type(error).__name__, "code": error.code, "text": str(error),
        "cause": type(cause).__name__ if cause else None,
    }

def ask(**arguments):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            made = ipcframe.get_context(**arguments).Pipe()
        except ipcframe.IpcframeError as error:
            made = report(error)
    if isinstance(made, tuple):
        ours, theirs = made
        ours.send({"whole": 1})
        made = theirs.recv()
    return {"made": made, "warnings": [str(one.message) for one in caught]}

json.dump([ask(**arguments) for arguments in json.loads(sys.argv[1])], sys.stdout)
"""
WORKS = {"whole": 1}


class Strangers:
    """A foreign folder on PYTHONPATH, with distributions in it."""

    def __init__(self, folder: Path) -> None:
        self.site = folder / "site"
        self.elsewhere = folder / "elsewhere"
        self.elsewhere.mkdir()

    def install(self, distribution: str, name: str, source: str | None, module: str | None = None) -> None:
        module = module or distribution.replace("-", "_")
        info = self.site / f"{distribution.replace('-', '_')}-0.5.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 0.5\n")
        (info / "entry_points.txt").write_text(f"[ipcframe.backends]\n{name} = {module}\n")
        if source is not None:
            (self.site / f"{module}.py").write_text(dedent(source).replace("NAME", distribution))

    def run(self, *arguments: str, **variables: str) -> str:
        path = os.pathsep.join(filter(None, (str(self.site), os.environ.get("PYTHONPATH"))))
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.elsewhere, env={**os.environ, "PYTHONPATH": path, **variables},
            text=True, capture_output=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def ask(self, *requests: dict[str, Any], **variables: str) -> list[dict[str, Any]]:
        """What `get_context` of each request comes to, one after the other in one process."""
        answers: list[dict[str, Any]] = json.loads(self.run("-c", ASK, json.dumps(requests), **variables))
        return answers

    def listed(self) -> dict[str, dict[str, Any]]:
        rows = json.loads(self.run("-m", "ipcframe", "backends", "--json"))
        return {f"{row['distribution']}:{row['name']}": row for row in rows if row["kind"] == "backend"}


@pytest.fixture
def strangers(tmp_path: Path) -> Strangers:
    return Strangers(tmp_path)


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_backend_says_what_is_wrong_and_the_others_work(strangers: Strangers, case: str) -> None:
    source, _ = BROKEN[case]
    strangers.install("their-broken", "odd", source)
    odd, pipe, again = (answer["made"] for answer in strangers.ask(
        {"backend": "odd"}, {"backend": "pipe"}, {"backend": "odd"}
    ))  # fmt: skip
    assert (odd["type"], odd["code"]) == ("BackendBroken", "backend-broken")
    expect(odd["text"], BROKEN[case][1])
    expect(odd["text"], "'odd' of their-broken 0.5")
    assert pipe == WORKS
    assert again["type"] == "BackendBroken", "it is as broken the second time"


@pytest.mark.parametrize(
    ("case", "cause"),
    [
        ("fails_at_import", "ModuleNotFoundError"),
        ("exits_at_import", "SystemExit"),
        ("misspells_its_hook", "PluginValidationError"),
        ("raises_in_its_hook", "KeyError"),
    ],
)
def test_the_cause_is_kept(strangers: Strangers, case: str, cause: str) -> None:
    strangers.install("their-broken", "odd", BROKEN[case][0])
    (answer,) = strangers.ask({"backend": "odd"})
    assert answer["made"]["cause"] == cause


def test_a_broken_backend_says_who_asked_for_it(strangers: Strangers) -> None:
    strangers.install("their-broken", "odd", BROKEN["has_no_hook"][0])
    (answer,) = strangers.ask({}, IPCFRAME_BACKEND="odd")
    assert "the variable IPCFRAME_BACKEND" in answer["made"]["text"]


def test_a_backend_that_makes_no_connection_is_broken(strangers: Strangers) -> None:
    strangers.install("their-odd", "odd", GOOD.replace("return End(), End()", "return 1, 2"))
    (answer,) = strangers.ask({"backend": "odd"})
    assert "made a int, which is no Connection" in answer["made"]["text"]


def test_all_of_them_at_once_are_listed_and_stop_nobody(strangers: Strangers) -> None:
    for case, (source, _) in BROKEN.items():
        strangers.install(f"their-{case.replace('_', '-')}", case, source)
    strangers.install("their-good", "good", GOOD)
    rows = strangers.listed()
    for case, (_, expected) in BROKEN.items():
        row = rows[f"their-{case.replace('_', '-')}:{case}"]
        assert row["status"] == "broken", row
        expect(row["reason"], expected)
    assert rows["their-good:good"]["status"] == "available"
    assert rows["ipcframe:pipe"]["status"] == "available"


def test_a_broken_backend_is_not_passed_over(strangers: Strangers) -> None:
    strangers.install("their-broken", "odd", BROKEN["fails_at_import"][0])
    (answer,) = strangers.ask({"backend": ["odd", "pipe"]})
    assert answer["made"]["type"] == "BackendBroken"


def test_a_broken_backend_is_not_imported_while_nobody_names_it(strangers: Strangers) -> None:
    strangers.install("their-broken", "odd", "raise SystemExit('imported')")
    assert [answer["made"] for answer in strangers.ask({}, {"backend": "pipe"})] == [WORKS, WORKS]


def test_an_unavailable_backend_falls_through_with_a_warning(strangers: Strangers) -> None:
    reason = REASON.format("'it has no wings'")
    strangers.install("their-bird", "bird", GOOD.replace("def channel", reason))
    alone, listed, strict = strangers.ask(
        {"backend": "bird"}, {"backend": ["bird", "pipe"]}, {"backend": ["bird", "pipe"], "strict": True}
    )
    assert alone["made"]["type"] == "BackendUnavailable"
    expect(alone["made"]["text"], "it has no wings")
    expect(alone["made"]["text"], "the argument backend")
    assert listed["made"] == WORKS
    (warning,) = listed["warnings"]
    for part in ("the argument backend", "'bird' cannot run here: it has no wings", "'pipe' is used"):
        expect(warning, part)
    assert strict["made"]["type"] == "BackendUnavailable"


def test_a_name_that_two_distributions_offer_must_be_qualified(strangers: Strangers) -> None:
    strangers.install("their-first", "twin", GOOD)
    strangers.install("their-second", "twin", GOOD)
    bare, first, second, pipe = strangers.ask(
        {"backend": "twin"},
        {"backend": "their-first:twin"},
        {"backend": "their-second:twin"},
        {"backend": "pipe"},
    )
    assert (bare["made"]["type"], bare["made"]["code"]) == ("DuplicateBackend", "backend-duplicate")
    for part in ("'their-first:twin'", "'their-second:twin'", "the argument backend"):
        expect(bare["made"]["text"], part)
    assert first["made"] == "made by their-first"
    assert second["made"] == "made by their-second"
    assert pipe["made"] == WORKS
    assert {"their-first:twin", "their-second:twin"} <= set(strangers.listed())


def test_a_stranger_who_takes_one_of_our_names_replaces_nothing(
    strangers: Strangers,
) -> None:
    strangers.install("their-pipe", "pipe", GOOD)
    bare, ours, theirs = strangers.ask(
        {"backend": "pipe"}, {"backend": "ipcframe:pipe"}, {"backend": "their-pipe:pipe"}
    )
    assert bare["made"]["type"] == "DuplicateBackend"
    assert ours["made"] == WORKS
    assert theirs["made"] == "made by their-pipe"


def test_one_distribution_seen_twice_is_one(strangers: Strangers) -> None:
    strangers.install("their-good", "good", GOOD)
    (strangers.site / "their_good-0.5.dist-info").rename(strangers.site / "their_good-0.4.dist-info")
    strangers.install("their-good", "good", GOOD)
    (answer,) = strangers.ask({"backend": "good"})
    assert answer["made"] == "made by their-good"


def test_a_name_that_nobody_offers_names_the_nearest(strangers: Strangers) -> None:
    strangers.install("their-good", "sparrow", GOOD)
    (answer,) = strangers.ask({}, IPCFRAME_BACKEND="sparow")
    assert (answer["made"]["type"], answer["made"]["code"]) == ("BackendNotFound", "backend-not-found")
    for part in ("'sparow'", "did you mean 'sparrow'", "the variable IPCFRAME_BACKEND", "pipe, sparrow"):
        expect(answer["made"]["text"], part)


def expect(text: str, pattern: str) -> None:
    assert re.search(pattern, text, re.DOTALL), f"{pattern!r} is not in:\n{text}"
