"""`multiprocessing.dummy`, threads behind the interface of processes: nothing in it is ours to replace."""

from __future__ import annotations

from multiprocessing import dummy as _standard
from multiprocessing.dummy import *  # noqa: F403 - it is that module under another name

__all__ = list(_standard.__all__)
