"""What the fork server imports beforehand sees what its parent has, and hides nothing from the children."""

from __future__ import annotations

import subprocess
import sys

import preloaded_main


def test_the_main_module_is_imported_once_and_children_have_what_their_parent_has_now() -> None:
    command = [sys.executable, preloaded_main.__file__, "an argument"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "True ['an argument'] ipcframe ipcframe unix",
        "multiprocessing unix",
        "ipcframe unix",
    ]
