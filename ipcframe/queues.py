"""The classes of queues, as in `multiprocessing.queues`: to make, derive from and test for.

Most programs make queues by a context; see `ipcframe.abc.Queue` for what they do.
"""

from __future__ import annotations

from .toolkit.virtual.joinable import JoinableQueue
from .toolkit.virtual.queue import Queue
from .toolkit.virtual.simple import SimpleQueue

__all__ = ["JoinableQueue", "Queue", "SimpleQueue"]
