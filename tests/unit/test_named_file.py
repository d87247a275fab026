"""``./ipcframe.toml``: the command line takes it if nobody else can have written it, and says so."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from ipcframe import config
from ipcframe.cli import named_file
from ipcframe.errors import ConfigError

pytestmark = pytest.mark.usefixtures("fresh_configuration")
ME = os.geteuid()


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "here"
    folder.mkdir(mode=0o755)
    (folder / "ipcframe.toml").write_text('\nstart_method = "spawn"\n')
    (folder / "ipcframe.toml").chmod(0o644)
    monkeypatch.chdir(folder)
    monkeypatch.delenv("IPCFRAME_CONFIG", raising=False)
    return folder


def start_method() -> tuple[str, str] | None:
    found = config.effective().get("start_method")
    return None if found is None else tuple(found)


def test_it_is_taken_and_that_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert start_method() is None, "the library itself does not look for it"
    named_file.settle(None)
    assert start_method() == ("spawn", "the file ./ipcframe.toml, line 2, key start_method")
    printed = capsys.readouterr()
    assert printed.err == "ipcframe: the configuration is that of ./ipcframe.toml; --config names another\n"
    assert printed.out == ""
    assert "IPCFRAME_CONFIG" not in os.environ


def test_nothing_is_said_where_there_is_none(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "ipcframe.toml").unlink()
    named_file.settle(None)
    assert start_method() is None
    assert capsys.readouterr().err == ""


def test_another_file_that_is_named_counts_and_this_one_is_not_looked_at(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "other.toml").write_text('start_method = "fork"\n')
    monkeypatch.setenv("IPCFRAME_CONFIG", "other.toml")
    named_file.settle(None)
    assert start_method() == ("fork", "the file other.toml, line 1, key start_method")
    (here / "third.toml").write_text('start_method = "forkserver"\n')
    named_file.settle("third.toml")
    monkeypatch.chdir("/")
    assert start_method() == ("forkserver", f"the file {here}/third.toml, line 1, key start_method")
    assert capsys.readouterr().err == ""


def test_a_file_that_the_program_names_counts_more(here: Path) -> None:
    (here / "own.toml").write_text('start_method = "fork"\n')
    named_file.settle(None)
    config.configure(file="own.toml")
    found = start_method()
    assert found is not None
    assert found[0] == "fork"


def test_a_mistake_in_it_is_told() -> None:
    Path("ipcframe.toml").write_text("backend = 3")
    with pytest.raises(ConfigError, match=r"the file ./ipcframe.toml, line 1, key backend: expected a name"):
        named_file.settle(None)


@pytest.mark.parametrize(
    ("mode", "folder_mode", "objection"),
    [
        (0o664, 0o755, "others may write it (chmod go-w ipcframe.toml forbids it)"),
        (0o646, 0o755, "others may write it (chmod go-w ipcframe.toml forbids it)"),
        (0o644, 0o775, "others may write to its folder (chmod go-w . forbids it)"),
        (0o644, 0o1777, "others may write to its folder (chmod go-w . forbids it)"),
    ],
)
def test_it_is_left_if_others_may_have_written_it(
    here: Path, mode: int, folder_mode: int, objection: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "ipcframe.toml").chmod(mode)
    here.chmod(folder_mode)
    named_file.settle(None)
    assert start_method() is None
    assert capsys.readouterr().err.splitlines() == [
        f"ipcframe: ./ipcframe.toml is not taken: {objection}",
        "  if you trust it: --config ipcframe.toml",
    ]


def status(owner: int, mode: int) -> os.stat_result:
    return os.stat_result((mode, 0, 0, 1, owner, 0, 0, 0, 0, 0))


@pytest.mark.parametrize(
    ("owner", "owner_of_folder", "objection"),
    [
        (ME, ME, None),
        (0, ME, None),
        (ME, 0, None),
        (ME + 1, ME, f"it belongs to user {ME + 1}, who is neither you nor root"),
        (ME, ME + 1, f"its folder belongs to user {ME + 1}, who is neither you nor root"),
    ],
)
def test_it_must_belong_to_this_user_or_root(owner: int, owner_of_folder: int, objection: str | None) -> None:
    file = status(owner, stat.S_IFREG | 0o644)
    assert named_file._objection(file, status(owner_of_folder, stat.S_IFDIR | 0o755)) == objection


@pytest.mark.parametrize("kind", ["fifo", "socket", "folder", "symbolic link", "dangling link"])
def test_what_is_no_file_is_left_and_nobody_waits_for_it(
    here: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = here / "ipcframe.toml"
    path.rename("elsewhere.toml")
    if kind == "fifo":
        os.mkfifo(path, 0o644)
    elif kind == "folder":
        path.mkdir()
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind("ipcframe.toml")
    else:
        path.symlink_to("elsewhere.toml" if kind == "symbolic link" else "nowhere.toml")
    named_file.settle(None)
    assert start_method() is None
    (first, _) = capsys.readouterr().err.splitlines()
    assert first.startswith("ipcframe: ./ipcframe.toml is not taken: ")


def test_a_file_that_may_not_be_read_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        named_file.settle(None)
    assert "is not taken: Permission denied" in capsys.readouterr().err


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_program_that_is_run_and_its_children_have_it(here: Path, method: str) -> None:
    (here / "ipcframe.toml").write_text(f'start_method = "{method}"\nplugins = []\n')
    (here / "program.py").write_text(
        "import multiprocessing, os, sys\n"
        "def work(conn):\n"
        "    from ipcframe import config\n"
        "    conn.send(config.effective()['plugins'].source)\n"
        "if __name__ == '__main__':\n"
        "    os.unlink('ipcframe.toml')\n"
        "    ours, theirs = multiprocessing.Pipe()\n"
        "    child = multiprocessing.Process(target=work, args=(theirs,)); child.start()\n"
        "    print(multiprocessing.get_start_method(), ours.recv(), sep='; '); child.join()\n"
    )
    command = [sys.executable, "-m", "ipcframe", "run", "program.py"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == f"{method}; the file ./ipcframe.toml, line 2, key plugins\n"
    assert done.stderr == "ipcframe: the configuration is that of ./ipcframe.toml; --config names another\n"
