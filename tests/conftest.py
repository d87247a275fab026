"""What all tests stand on: one installation, and a place from which children import what they run."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
ROOT = TESTS.parent
TARGETS = TESTS / "targets"
PLUGINS = (
    *("ipcframe_pipe", "ipcframe_unix"),
    *("ipcframe_fork", "ipcframe_spawn", "ipcframe_forkserver", "ipcframe_trace"),
)

# Children import what they run from here, however they start.
sys.path.insert(0, str(TARGETS))
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(TARGETS), os.environ.get("PYTHONPATH"))))
for variable in [name for name in os.environ if name.startswith("IPCFRAME_")]:
    if variable in {"IPCFRAME_BACKEND", "IPCFRAME_START_METHOD", "IPCFRAME_STRICT", "IPCFRAME_CONFIG"}:
        del os.environ[variable]  # the tests say themselves what they want


def _home(package: str) -> Path:
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        pytest.exit(f"{package} is not installed; type: pip install '.[test]'", 4)
    return Path(spec.origin).parents[1]


def pytest_configure(config: pytest.Config) -> None:
    """Stop unless core and plugins come from one installation: the tests would mix two versions."""
    core = _home("ipcframe")
    for package in PLUGINS:
        home = _home(package)
        editable = core == ROOT and home.parent == ROOT
        if home != core and not editable:
            pytest.exit(
                f"ipcframe comes from {core}, but {package} from {home}.\n"
                "Type pytest and not python -m pytest, which puts the checkout first; "
                "or install the checkout itself: pip install -e '.[test]'",
                4,
            )
