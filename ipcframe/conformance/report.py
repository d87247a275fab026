"""What a run has shown, in one line at its end: proven, declared absent, not runnable, left out."""

from __future__ import annotations

import contextlib
import os
from collections import Counter, defaultdict
from typing import Any

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
        self.left: defaultdict[str, Counter[str]] = defaultdict(Counter)
        """What was left to each larger tier, by what it needs."""

    def __str__(self) -> str:
        absent = f" ({', '.join(sorted(self.absent))})" if self.absent else ""
        reasons = f" ({'; '.join(sorted(self.not_runnable))})" if self.not_runnable else ""
        left = "".join(
            f", left to the {tier} {needs.total()} ({', '.join(sorted(needs))})"
            for tier, needs in self.left.items()
        )
        failed = f", failed {self.failed}" if self.failed else ""
        return (
            f"{self.suite}: proven {self.proven}, declared absent {self.absent.total()}{absent}, "
            f"not runnable {self.not_runnable.total()}{reasons}{left}{failed}"
        )

    def add(self, part: dict[str, Any]) -> None:
        """Add what another process has counted, its ``vars``."""
        self.proven += part["proven"]
        self.failed += part["failed"]
        self.absent += Counter(part["absent"])
        self.not_runnable += Counter(part["not_runnable"])
        for tier, needs in part["left"].items():
            self.left[tier] += Counter(needs)

    def print(self, config: pytest.Config) -> None:
        """Write the line to the terminal, where there is one; a worker of pytest-xdist has only stderr."""
        terminal = config.pluginmanager.getplugin("terminalreporter")
        capture = config.pluginmanager.getplugin("capturemanager")
        with capture.global_and_fixture_disabled() if capture else contextlib.nullcontext():
            if hasattr(config, "workerinput"):
                os.write(2, f"\n{self}\n".encode())
            elif terminal is not None:
                terminal.ensure_newline()
                terminal.write_line(str(self))
