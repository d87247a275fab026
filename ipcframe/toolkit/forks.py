"""Notice that this process is a forked child, without a list of objects to repair.

An object that keeps something of its own process (a lock, a message half received) remembers
`generation` and compares it before use: the child's is another.
"""

from __future__ import annotations

import os

generation: object = object()


def _in_child() -> None:
    global generation  # noqa: PLW0603 - the whole purpose
    generation = object()


os.register_at_fork(after_in_child=_in_child)
