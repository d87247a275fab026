"""What an import loads, and what it does not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import light_program
import pytest
from pipe_targets import HEAVY

LISTING = f"import sys; sys.stdout.write(' '.join(name for name in {HEAVY!r} if name in sys.modules))"


@pytest.mark.parametrize(
    "program",
    [
        "import ipcframe",
        "import ipcframe; ipcframe.Connection, ipcframe.Process, ipcframe.get_context, ipcframe.install",
        "import ipcframe_pipe.endpoints",
        "import ipcframe_unix.endpoints",
        "import ipcframe.connection, ipcframe.errors",
    ],
)
def test_an_import_loads_neither_pluggy_nor_metadata(program: str) -> None:
    command = [sys.executable, "-c", f"{program}; {LISTING}"]
    assert subprocess.run(command, capture_output=True, check=True, text=True).stdout == ""


def test_a_bare_import_loads_nothing_of_multiprocessing() -> None:
    program = "import ipcframe, sys; sys.stdout.write(str('multiprocessing' in sys.modules))"
    command = [sys.executable, "-c", program]
    assert subprocess.run(command, capture_output=True, check=True, text=True).stdout == "False"


def test_a_spawned_child_unpickles_a_connection_without_pluggy() -> None:
    command = [sys.executable, str(Path(light_program.__file__))]
    found = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    assert found == "[] True", "nothing heavy in the child, though in the parent"
