"""What the pages on configuration show is what happens."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
PAGES = [DOCS / "configuration.md", DOCS / "reference" / "settings.md"]
SHOWN = {
    command: output
    for page in [*PAGES, DOCS / "reference" / "command-line.md"]
    for command, output in re.findall(
        r"^```(?:console|text)\n\$ ([^\n]*)\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
}
WITH_A_MISTAKE = '\n[channels.frames]\nbacknd = "x"\n\n[backends.pipe]\nqueue_limit = "1 gib"\n'


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as the pages take it for granted, with the example backend as good as installed."""
    found = tmp_path / "path" / "ipcframe_sock-1.0.dist-info"
    found.mkdir(parents=True)
    (found / "METADATA").write_text("Metadata-Version: 2.1\nName: ipcframe-sock\nVersion: 1.0\n")
    (found / "entry_points.txt").write_text("[ipcframe.backends]\nsock = ipcframe_sock.plugin\n")
    path = [str(found.parent), str(DOCS / "examples" / "ipcframe_sock"), os.environ["PYTHONPATH"]]
    monkeypatch.setenv("PATH_WITH_SOCK", os.pathsep.join(path))
    monkeypatch.setenv("COLUMNS", "80")
    (tmp_path / "docs").symlink_to(DOCS)
    (tmp_path / "app.toml").write_text(WITH_A_MISTAKE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_examples_at_the_prompt_do_what_they_show(page: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "doctest", str(page)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    "command",
    [
        "IPCFRAME_CONFIG=docs/examples/two_queues.toml python docs/examples/two_queues.py",
        "ipcframe config --check app.toml",
        pytest.param(
            "ipcframe config",
            marks=pytest.mark.skipif(
                sys.version_info >= (3, 14), reason="another start method is the default"
            ),
        ),
    ],
)
def test_a_command_prints_what_the_page_shows(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if "two_queues" in command:
        monkeypatch.setenv("PYTHONPATH", os.environ["PATH_WITH_SOCK"])
    python = f"{sys.executable} -m ipcframe" if command.startswith("ipcframe") else sys.executable
    typed = re.sub(r"(?<!\S)(ipcframe|python)(?= )", python, command, count=1)
    done = subprocess.run(typed, shell=True, capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""
    assert done.stdout == SHOWN[command]
