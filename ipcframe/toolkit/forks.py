"""Notice that this process is a forked child, without a list of objects to repair.

An object that keeps something of its own process (a lock, a message half received) remembers
`generation` and compares it before use: the child's is another.
"""

from __future__ import annotations

import os
import threading

generation: object = object()
renewal = threading.RLock()
"""Held while an object is made the child's own, so that two threads of the child do not both do it."""


def _in_child() -> None:
    global generation, renewal
    generation, renewal = object(), threading.RLock()


os.register_at_fork(after_in_child=_in_child)
