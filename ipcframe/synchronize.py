"""The classes of primitives, as in `multiprocessing.synchronize`: to make, derive from and test for.

Most programs make primitives by a context; see `ipcframe.abc` for what they do.
"""

from __future__ import annotations

from .toolkit.virtual.barrier import Barrier
from .toolkit.virtual.condition import Condition
from .toolkit.virtual.event import Event
from .toolkit.virtual.lock import Lock, RLock
from .toolkit.virtual.semaphore import BoundedSemaphore, Semaphore

__all__ = ["Barrier", "BoundedSemaphore", "Condition", "Event", "Lock", "RLock", "Semaphore"]
