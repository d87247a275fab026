"""What a run has shown, in one line at its end: proven, declared absent, not runnable, left out."""

from __future__ import annotations

import contextlib
from collections import Counter

import pytest

__all__ = ["Tally"]


class Tally:
    """The outcomes of the cases of one suite."""

    def __init__(self, suite: str) -> None:
        self.suite = suite
        self.proven = 0
        self.failed = 0
        self.absent: Counter[str] = Counter()
        self.not_runnable: Counter[str] = Counter()
        self.left: Counter[str] = Counter()

    def __str__(self) -> str:
        absent = f" ({', '.join(sorted(self.absent))})" if self.absent else ""
        reasons = f" ({'; '.join(sorted(self.not_runnable))})" if self.not_runnable else ""
        left = f", left to the campaign {self.left.total()} ({', '.join(self.left)})" if self.left else ""
        failed = f", failed {self.failed}" if self.failed else ""
        return (
            f"{self.suite}: proven {self.proven}, declared absent {self.absent.total()}{absent}, "
            f"not runnable {self.not_runnable.total()}{reasons}{left}{failed}"
        )

    def print(self, config: pytest.Config) -> None:
        """Write the line to the terminal, where there is one."""
        terminal = config.pluginmanager.getplugin("terminalreporter")
        capture = config.pluginmanager.getplugin("capturemanager")
        if terminal is not None:
            with capture.global_and_fixture_disabled() if capture else contextlib.nullcontext():
                terminal.ensure_newline()
                terminal.write_line(str(self))
