"""The ground of primitives for processes of one host: `LocalLock`, `LocalCounter`, `LocalLine`.

They need files in memory, record locks, and (to be woken instead of looking) abstract sockets and pidfds,
as Linux has; no C, no named semaphores, no /dev/shm.
"""

from __future__ import annotations

from .counter import LocalCounter, new_counter
from .line import LocalLine, new_line
from .lock import LocalLock, new_lock

__all__ = ["LocalCounter", "LocalLine", "LocalLock", "new_counter", "new_line", "new_lock"]
