"""What the command line prints, at 80 columns, plain and with rich, is kept and looked at.

Each file in `printed` holds what one scene printed. After a change that is meant, write them anew, and
read the difference as a user would:

    IPCFRAME_WRITE_GOLDEN=1 pytest tests/golden
    git diff tests/golden

The machine is a made-up one (`scenes.py`), so that the files are the same everywhere.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
WRITE = bool(os.environ.get("IPCFRAME_WRITE_GOLDEN"))
PRINTED = HERE / "printed"
NAMES = sorted(path.stem for path in PRINTED.glob("*.txt"))


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Its name is always as long, for the sake of folded lines."""
    path = Path(tempfile.mkdtemp(prefix="golden-", dir="/tmp"))
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def played(folder: Path) -> dict[str, str]:
    """What each scene printed."""
    ours = {
        name: value for name, value in os.environ.items() if not name.startswith(("IPCFRAME_", "NO_COLOR"))
    }
    done = subprocess.run(
        [sys.executable, str(HERE / "scenes.py"), str(folder)],
        env=ours, text=True, capture_output=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    texts: dict[str, str] = json.loads(done.stdout)
    if WRITE:
        for name in {*NAMES} - {*texts}:
            (PRINTED / f"{name}.txt").unlink()
        for name, text in texts.items():
            (PRINTED / f"{name}.txt").write_text(text, "utf-8")
    return texts


def test_there_is_a_file_for_each_scene(played: dict[str, str]) -> None:
    assert sorted(played) == sorted(path.stem for path in PRINTED.glob("*.txt"))


@pytest.mark.parametrize("name", NAMES)
def test_a_scene_prints_what_it_printed_when_it_was_looked_at(played: dict[str, str], name: str) -> None:
    if WRITE and name not in played:
        pytest.skip("there is no such scene any more")
    assert played[name] == (PRINTED / f"{name}.txt").read_text("utf-8")


def test_nothing_is_wider_than_the_terminal(played: dict[str, str]) -> None:
    for name, text in played.items():
        for line in text.splitlines():
            # A path, or what is to be typed, is never cut.
            assert len(line) <= 80 or len(line.split()) == 1, f"{name}: {line}"


def test_nothing_ends_in_a_traceback(played: dict[str, str]) -> None:
    for name, text in played.items():
        assert "Traceback" not in text, f"{name}: {text}"
        assert "exit status: -1" not in text, name
