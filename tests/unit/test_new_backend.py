"""The project that `ipcframe new-backend` writes, and the names that it refuses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import ipcframe
from ipcframe.cli import main
from ipcframe.cli.new_backend import project

GOLDEN = Path(__file__).parents[1] / "golden" / "new_backend.txt"
EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "ipcframe_sock"
ROUND_TRIP = """
import ipcframe
context = ipcframe.get_context(backend="my_mq")
ours, theirs = context.Pipe()
ours.send("a message")
queue = context.Queue()
queue.put(theirs.recv())
print(queue.get())
print(type(ours).__name__, ours.fileno() >= 0)
"""


def test_the_example_of_the_docs_is_what_the_command_writes() -> None:
    written = project("sock")
    there = {path: (EXAMPLE / path).read_text("utf-8") for path in written}
    assert there == written, (
        "change ipcframe/cli/templates, then write the example anew: "
        f"rm -r {EXAMPLE} && ipcframe new-backend sock --path {EXAMPLE}"
    )
    modules = {str(path.relative_to(EXAMPLE)) for path in EXAMPLE.rglob("*.py")}
    assert modules <= written.keys(), "the example holds nothing that the command does not write"


@pytest.mark.parametrize("name", ["q", "stream", "packet", "my_mq", "a_rather_long_name_for_it"])
def test_a_project_of_any_name_is_whole(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["new-backend", name]) == 0
    folder = tmp_path / f"ipcframe-{name.replace('_', '-')}"
    settings = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))
    assert settings["project"]["entry-points"] == {"ipcframe.backends": {name: f"ipcframe_{name}.plugin"}}
    assert (folder / f"ipcframe_{name}" / "py.typed").is_file()
    written = [path for path in folder.rglob("*") if path.is_file()]
    for path in written:
        text = path.read_text("utf-8")
        assert not any(word in text for word in ("NAME", "LABEL", "DISTRIBUTION")), path
    for path in folder.rglob("*.py"):
        compile(path.read_text("utf-8"), path, "exec")
    tests = (folder / "tests" / f"test_{name}.py").read_text("utf-8")
    assert len([line for line in tests.splitlines() if line.strip()]) == 3
    assert len(written) == 7


def test_what_is_written_is_clean_and_formatted_for_short_and_long_names(tmp_path: Path) -> None:
    ruff = pytest.importorskip("ruff", reason="ruff is not installed where the tests run").find_ruff_bin()
    for name in ("q", "stream", "a_rather_long_name_for_it"):
        assert main(["new-backend", name, "--path", str(tmp_path / name)]) == 0
    for command in (("check",), ("format", "--check")):
        done = subprocess.run(
            [ruff, *command, "--no-cache", "."], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_backend_works_when_it_is_found_by_its_metadata(tmp_path: Path) -> None:
    # What an installer would write, so that the quick tests need none.
    assert main(["new-backend", "my_mq", "--path", str(tmp_path / "project")]) == 0
    metadata = tmp_path / "project" / "ipcframe_my_mq-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: ipcframe-my-mq\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[ipcframe.backends]\nmy_mq = ipcframe_my_mq.plugin\n")
    environ = {**os.environ, "PYTHONPATH": str(tmp_path / "project")}

    def python(*arguments: str) -> str:
        command = [sys.executable, *arguments]
        return subprocess.run(
            command, env=environ, cwd=tmp_path, capture_output=True, text=True, check=True
        ).stdout

    assert python("-c", ROUND_TRIP).split() == ["a", "message", "MyMqConnection", "True"]
    rows = json.loads(python("-m", "ipcframe", "backends", "--json"))
    (row,) = [row for row in rows if row["name"] == "my_mq"]
    assert (row["distribution"], row["status"]) == ("ipcframe-my-mq", "available")


@pytest.mark.parametrize(
    ("name", "because", "instead"),
    [
        ("pipe", "it is a backend of ipcframe", "my_pipe"),
        ("fork", "ipcframe_fork is a package of ipcframe", "my_fork"),
        ("pluggy", "pluggy is a package of pluggy", "my_pluggy"),
        ("json", "it is a module of the standard library", "my_json"),
        ("class", "is a keyword of Python", "my_class"),
        ("None", "is a keyword of Python", "none"),
        ("my-mq", "is no name for a backend", "my_mq"),
        ("Größe 2", "is no name for a backend", "groe_2"),
        ("2nd", "is no name for a backend", "my_2nd"),
        ("a__b", "is no name for a backend", "a_b"),
        ("", "is no name for a backend", "backend"),
    ],
)
def test_a_name_that_is_taken_or_none_is_refused(
    name: str, because: str, instead: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert main(["new-backend", name]) == 2
    error = capsys.readouterr().err
    assert because in error
    assert max(map(len, error.splitlines())) <= 80
    assert f"\n  type another name: ipcframe new-backend {instead}\n" in error
    assert not list(tmp_path.iterdir())


def test_a_folder_that_holds_something_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine, empty = tmp_path / "mine", tmp_path / "empty"
    mine.mkdir()
    (mine / "pyproject.toml").write_text("# mine")
    assert main(["new-backend", "mine", "--path", str(mine)]) == 2
    error = capsys.readouterr().err
    assert "is there already, and is not an empty folder" in error
    assert f"ipcframe new-backend mine --path {mine}-2\n" in error
    assert [path.name for path in mine.iterdir()] == ["pyproject.toml"]
    assert (mine / "pyproject.toml").read_text() == "# mine"
    empty.mkdir()
    assert main(["new-backend", "mine", "--path", str(empty)]) == 0
    assert (empty / "pyproject.toml").is_file()


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert main(["new-backend", "mine", "--path", str(tmp_path / "file" / "below")]) == 2
    assert "Not a directory" in capsys.readouterr().err


def test_what_is_printed_is_as_it_was_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    said = ""
    for name in ("pipe", "fork", "json", "class", "my-mq", "my_mq", "my_mq"):
        status = main(["new-backend", name])
        printed = capsys.readouterr()
        said += f"$ ipcframe new-backend {name}  # status {status}\n{printed.out}{printed.err}\n"
    said = said.replace(ipcframe.__version__, "VERSION")
    assert said == GOLDEN.read_text("utf-8"), f"if that is meant, write it into {GOLDEN}:\n{said}"
