"""An application is switched by its configuration alone: what is looked at are the bytes that were moved."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "docs" / "examples"
METADATA = "Metadata-Version: 2.1\nName: ipcframe-sock\nVersion: 1.0\n"
POINTS = "[ipcframe.backends]\nsock = ipcframe_sock.plugin\n"
KINDS = {"pipe": "fifo", "unix": "socket", "sock": "socket"}
FRAME = "P" * 60
"""Of the frame 2: its pixels are all 80."""
MARKERS = f"{FRAME},frame 2"
METHODS = ["fork", "spawn", "forkserver"]

Moved = Callable[..., tuple[str, set[str]]]


@pytest.fixture
def moved(tmp_path: Path) -> Moved:
    """``moved(markers, configuration, *command)``: what the program prints, and how marked bytes went.

    The example backend is as good as installed.
    """
    found = tmp_path / "path" / "ipcframe_sock-1.0.dist-info"
    found.mkdir(parents=True)
    (found / "METADATA").write_text(METADATA)
    (found / "entry_points.txt").write_text(POINTS)
    (tmp_path / "path" / "sitecustomize.py").write_text("import moved_bytes\n")
    path = [str(found.parent), str(EXAMPLES / "ipcframe_sock"), os.environ["PYTHONPATH"]]

    def run(markers: str, configuration: str, *command: str) -> tuple[str, set[str]]:
        (tmp_path / "app.toml").write_text(configuration)
        notes = tmp_path / "notes"
        notes.unlink(missing_ok=True)
        variables = {
            "IPCFRAME_CONFIG": str(tmp_path / "app.toml"),
            "PYTHONPATH": os.pathsep.join(path),
            "MOVED_BYTES": str(notes),
            "MOVED_MARKERS": markers,
        }
        done = subprocess.run(
            [sys.executable, *command],
            cwd="/", env={**os.environ, **variables},
            text=True, capture_output=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout, set(notes.read_text().splitlines())

    return run


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("frames", "results"), [("unix", "pipe"), pytest.param("pipe", "sock", marks=pytest.mark.ci)]
)
def test_two_queues_of_one_program_are_on_two_backends_at_once(
    moved: Moved, method: str, frames: str, results: str
) -> None:
    configuration = (
        f'backend = "{results}"\nstart_method = "{method}"\n'
        f'[channels.frames]\nbackend = "{frames}"\n[channels.results]\nbackend = "{results}"\n'
    )
    printed, notes = moved(MARKERS, configuration, str(EXAMPLES / "two_queues.py"))
    assert printed.splitlines()[-2:] == ["frame 5: brightness 200", "exit codes: 0 0"]
    expected = {f"parent wrote {KINDS[frames]} {FRAME}", f"child read {KINDS[frames]} {FRAME}"}
    expected |= {f"child wrote {KINDS[results]} frame 2", f"parent read {KINDS[results]} frame 2"}
    assert notes == expected


@pytest.mark.parametrize("backend", KINDS)
@pytest.mark.parametrize(
    "method", ["spawn", *(pytest.param(one, marks=pytest.mark.ci) for one in ("fork", "forkserver"))]
)
def test_a_program_of_multiprocessing_is_switched_by_one_line(
    moved: Moved, backend: str, method: str
) -> None:
    options = ("--files", str(EXAMPLES), "--workers", "2", "--quiet")
    command = ("-m", "ipcframe", "run", "--start-method", method, str(EXAMPLES / "tokens.py"), *options)
    printed, notes = moved("pool_map.py", f'backend = "{backend}"\n', *command)
    assert "check: the same as one process" in printed
    kind = KINDS[backend]
    # A path goes to a worker, and comes back with its count.
    assert notes == {
        f"{who} {way} {kind} pool_map.py" for who in ("parent", "child") for way in ("wrote", "read")
    }


def test_the_programs_own_example_of_a_file_does_what_it_says(moved: Moved) -> None:
    configuration = (EXAMPLES / "two_queues.toml").read_text("utf-8")
    printed, notes = moved(MARKERS, configuration, str(EXAMPLES / "two_queues.py"))
    assert "frame 0: brightness 0" in printed
    assert {note.split()[2] for note in notes if FRAME in note} == {"socket"}
    assert {note.split()[2] for note in notes if "frame 2" in note} == {"fifo"}
