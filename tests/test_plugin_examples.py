"""The plugins of docs/examples print what the page on plugins says that they print."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
SHOWN = dict(
    re.findall(
        r"^```console\n\$ python docs/examples/(\w+\.py)\n(.*?)^```",
        (DOCS / "plugins.md").read_text("utf-8"),
        re.MULTILINE | re.DOTALL,
    )
)  # fmt: skip
METADATA = {"METADATA": "Metadata-Version: 2.1\nName: ipcframe-sock\nVersion: 1.0\n"}
PLUGINS = ["by_name.py", "by_size.py", "compressing.py", "counting.py", "deaths.py"]


@pytest.fixture
def with_sock(tmp_path: Path) -> dict[str, str]:
    """The variables with which the example backend is as good as installed."""
    project = DOCS / "examples" / "ipcframe_sock"
    points = "[ipcframe.backends]\nsock = ipcframe_sock.plugin\n"
    folder = tmp_path / "ipcframe_sock-1.0.dist-info"
    folder.mkdir()
    for name, text in {**METADATA, "entry_points.txt": points}.items():
        (folder / name).write_text(text)
    path = os.pathsep.join([str(tmp_path), str(project), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": path}


def test_every_plugin_of_the_examples_is_shown() -> None:
    assert sorted(SHOWN) == PLUGINS


@pytest.mark.parametrize("program", PLUGINS)
def test_a_plugin_prints_what_the_page_shows(program: str, with_sock: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, str(DOCS / "examples" / program)],
        env=with_sock, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.stderr, done.returncode) == ("", 0)
    assert re.sub(r"process \d+", "process N", done.stdout) == re.sub(
        r"process \d+", "process N", SHOWN[program]
    )
