"""How wide the terminal is, and texts that fit it."""

from __future__ import annotations

import shutil
import textwrap

__all__ = ["width", "wrapped"]


def width() -> int:
    """The columns to print in: 80 where there is no terminal."""
    return max(min(shutil.get_terminal_size((80, 24)).columns, 100), 40)


def wrapped(text: str, first: str = "", indent: str = "") -> str:
    """The text, each of its lines folded; `first` begins the first one, and `indent` what is folded."""
    lines = []
    for number, line in enumerate(text.splitlines()):
        own = line[: len(line) - len(line.lstrip())]
        begin = first if number == 0 else own
        lines.append(
            textwrap.fill(
                line.strip(), width(), initial_indent=begin, subsequent_indent=indent or own + "  ",
                # A path, or what is to be typed, stays whole.
                break_long_words=False, break_on_hyphens=False,
            )
        )  # fmt: skip
    return "\n".join(lines)
