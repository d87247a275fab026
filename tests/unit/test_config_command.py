"""``ipcframe config``: every value with its source, and everything that is wrong with a file."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ipcframe import cli

COLOUR, END_OF_LINE = re.compile(r"\x1b\[[0-9;]*m"), re.compile(" +$", re.MULTILINE)
GOLDEN = Path(__file__).parents[1] / "golden"
DISTRIBUTIONS = {"twin": "configured_targets:twin", "hollow": "no_such_module_here"}
GOOD = """\
backend = ["pipe", "twin"]
start_method = "spawn"

[backends.twin]
room = "1 MiB"
patience = "250 ms"

[backends.pipe]
queue_limit = 1000

[channels."frames of the left camera, which are many"]
backend = "twin"
"""
BAD = """\
bakend = "pipe"
start_method = "spwn"
strict = "perhaps"
plugins = ["trace", "trade"]

[backends.twin]
room = "64 mib"
rom = 1
patience = -1

[backends.pip]
queue_limit = 1

[backends.hollow]

[channels]
"frames.left" = { backend = ["pipe", "twn"] }
frames.backnd = "pipe"
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a good and a bad file; two more backends are as good as installed, one of them broken."""
    for name, reference in DISTRIBUTIONS.items():
        folder = tmp_path / "path" / f"{name}-1.0.dist-info"
        folder.mkdir(parents=True)
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (folder / "entry_points.txt").write_text(f"[ipcframe.backends]\n{name} = {reference}\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "path"), os.environ["PYTHONPATH"]]))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("IPCFRAME_PLUGINS", raising=False)
    (tmp_path / "good.toml").write_text(GOOD)
    (tmp_path / "bad.toml").write_text(BAD)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str, status: int = 0, rich: bool = False) -> subprocess.CompletedProcess[str]:
    as_terminal = (
        "import sys; sys.stdout.isatty = lambda: True; from ipcframe.cli import main; sys.exit(main())"
    )
    command = [sys.executable, *(("-c", as_terminal) if rich else ("-m", "ipcframe")), "config", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    return done


def compare(name: str, text: str) -> None:
    """What is printed at 80 columns is kept, and looked at when it changes."""
    assert max(map(len, text.splitlines())) <= 80
    path = GOLDEN / name
    if os.environ.get("IPCFRAME_WRITE_GOLDEN"):
        path.write_text(text, "utf-8")
    assert text == path.read_text("utf-8")


def test_each_value_is_printed_with_its_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IPCFRAME_STRICT", "yes")
    monkeypatch.setenv("IPCFRAME_CONFIG", "good.toml")
    done = run()
    compare("config.txt", done.stdout)
    assert done.stderr == ""
    compare("config_rich.txt", END_OF_LINE.sub("", COLOUR.sub("", run(rich=True).stdout)))


def test_what_is_printed_is_a_file_that_says_the_same(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IPCFRAME_CONFIG", "good.toml")
    (here / "printed.toml").write_text(run().stdout)
    monkeypatch.setenv("IPCFRAME_CONFIG", "printed.toml")
    values = [
        {row["key"]: row["value"] for row in json.loads(run("--json", *named).stdout)["settings"]}
        for named in ([], ["--config", "good.toml"])
    ]
    assert values[0] == values[1]
    assert run("--check", "printed.toml").stdout == "printed.toml: nothing is wrong with it\n"


def test_json_has_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    printed: dict[str, Any] = json.loads(run("--json", "--config", "good.toml").stdout)
    rows = {row["key"]: row for row in printed["settings"]}
    assert rows["backend"]["value"] == ["pipe", "twin"]
    assert rows["backends.twin.room"]["value"] == 2**20
    assert rows["backends.twin.room"]["source"].endswith("good.toml, line 5, key backends.twin.room")
    assert rows["backends.pipe.message_limit"] == {
        "path": ["backends", "pipe", "message_limit"],
        "key": "backends.pipe.message_limit",
        "value": None,
        "shown": "",
        "source": "the default",
        "note": "largest message in bytes; by default the machine's memory",
    }
    assert "No module named" in rows["backends.hollow"]["note"]
    assert printed["problems"] == []


def test_all_that_is_wrong_with_a_file_is_reported() -> None:
    done = run("--check", "bad.toml", status=2)
    compare("config_check.txt", done.stdout)
    assert done.stderr == ""
    problems = json.loads(run("--check", "bad.toml", "--json", status=2).stdout)
    assert len(problems) == 11
    assert {problem["code"] for problem in problems} >= {"config", "backend-not-found", "backend-broken"}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("missing.toml", "cannot be read: No such file or directory"),
        (".", "cannot be read: Is a directory"),
        ("wrong.toml", "wrong.toml, line 2, is no valid TOML: invalid value at column 5"),
    ],
)
def test_a_file_that_is_none_is_a_problem_too(here: Path, name: str, words: str) -> None:
    (here / "wrong.toml").write_text("\na = b\n")
    assert words in " ".join(run("--check", name, status=2).stdout.split())


def test_a_good_file_is_status_0_and_no_other_file_is_looked_at(here: Path) -> None:
    (here / "ipcframe.toml").write_text("nonsense")
    done = run("--check", "good.toml")
    assert (done.stdout, done.stderr) == ("good.toml: nothing is wrong with it\n", "")


def test_what_is_wrong_for_a_backend_does_not_hide_the_others(here: Path) -> None:
    (here / "app.toml").write_text('[backends.twin]\nroom = "many"\nrom = 1\n[backends.hollow]\nx = 1\n')
    done = run("--config", "app.toml", status=2)
    assert 'room = "many"' in done.stdout
    assert "# message_limit is not set" in done.stdout
    words = " ".join(done.stderr.split())
    for part in (
        "expected a size",
        "has no setting 'rom'",
        "did you mean 'room'?",
        "'hollow' of hollow 1.0 fails",
    ):
        assert part in words


@pytest.mark.usefixtures("fresh_configuration", "fresh_registry")
def test_a_plugin_that_is_not_there_does_not_keep_the_command_from_telling_where_it_was_named(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IPCFRAME_PLUGINS", "trade")
    assert cli.main(["config"]) == 2
    printed = capsys.readouterr()
    assert 'plugins = ["trade"]             # the variable IPCFRAME_PLUGINS\n' in printed.out
    assert "did you mean 'trace'?" in printed.err


@pytest.mark.usefixtures("fresh_configuration", "fresh_registry")
@pytest.mark.parametrize("words", [["--version"], ["--help"], ["config", "--check", "plain.toml"]])
def test_what_needs_no_configuration_does_not_mind_a_wrong_one(
    words: list[str], here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "plain.toml").write_text("strict = true\n")
    monkeypatch.setenv("IPCFRAME_CONFIG", "missing.toml")
    try:
        status: object = cli.main(words)
    except SystemExit as ended:
        status = ended.code
    assert status == 0
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("fresh_configuration", "fresh_registry")
def test_a_command_that_nobody_has_is_told_from_a_configuration_that_is_wrong(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["confg"])
    assert ended.value.code == 2
    assert "invalid choice: 'confg'" in capsys.readouterr().err
    monkeypatch.setenv("IPCFRAME_CONFIG", "missing.toml")
    assert cli.main(["confg"]) == 2
    assert "missing.toml" in capsys.readouterr().err
