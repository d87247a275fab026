"""Under pytest-xdist a suite is spread over processes, which have no terminal: its tally is gathered.

Each of them leaves its part in the folder that the workers of a run share. Who ends while no other is still
at it tells the sum. So it takes no pytest plugin, which every session would load.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from .conditions import lives

if TYPE_CHECKING:
    from .report import Tally

__all__ = ["Parts"]

_BEGUN, _ENDED, _TOLD = "begun", "ended", "told"


class Parts:
    """The parts of one suite's tally."""

    def __init__(self, suite: str, request: pytest.FixtureRequest) -> None:
        """Take note that this worker has begun; nothing where there are no workers."""
        worker: dict[str, Any] | None = getattr(request.config, "workerinput", None)
        self._folder: Path | None = None
        if worker is not None:
            shared: Path = request.getfixturevalue("tmp_path_factory").getbasetemp().parent
            self._folder = shared / f"ipcframe-{suite}"
            self._folder.mkdir(exist_ok=True)
            self._name = worker["workerid"]
            self._write(f"{self._name}.{_BEGUN}", os.getpid())

    @property
    def are_all(self) -> bool:
        """Whether the tally of this process is the whole one."""
        return self._folder is None

    def gathered(self, tally: Tally) -> Tally | None:
        """The sum, if this worker is the last to end; it is told to one only."""
        folder = self._folder
        assert folder is not None
        self._write(f"{self._name}.{_ENDED}", vars(tally))
        ended = sorted(path.stem for path in folder.glob(f"*.{_ENDED}"))
        if any(self._is_at_it(path) for path in folder.glob(f"*.{_BEGUN}") if path.stem not in ended):
            return None
        try:
            (folder / f"{len(ended)}.{_TOLD}").touch(exist_ok=False)
        except FileExistsError:
            return None
        whole = type(tally)(tally.suite)
        for name in ended:
            whole.add(self._read(folder / f"{name}.{_ENDED}"))
        return whole

    def _is_at_it(self, path: Path) -> bool:
        return lives(self._read(path))

    def _write(self, name: str, content: Any) -> None:
        assert self._folder is not None
        begun = self._folder / f".{name}"
        begun.write_text(json.dumps(content), "utf-8")
        begun.rename(self._folder / name)  # nobody reads half of it

    def _read(self, path: Path) -> Any:
        return json.loads(path.read_text("utf-8"))
