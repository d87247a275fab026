"""The contracts: what backends, start methods and serialisers implement, and callers rely on.

Interfaces are promises, not signatures. The docstring of each abstract method answers, in this order:
one sentence of what it does; ``Blocks``; ``Threads``; ``Buffers`` (who owns the memory); ``Raises``;
``Interrupted`` (by a signal handler that raises, or by the timeout); ``Peer death``; ``After fork``.

Public methods are template methods: they check that the object is open, check the arguments, turn the
timeout into a deadline, and call a protected twin, which is what a plugin implements. A plugin may
override a public method on a hot path and then owns its checks.
"""

from .backend import Backend, Notify, silent
from .channel import Channel
from .connection import Buffer, Connection, Serializer
from .endpoint import Endpoint
from .ground import Called, Counter, Line, OwnedLock, Taking, Turn
from .listener import Listener
from .queue import JoinableQueue, Queue
from .start import Launched, ProcessHandle, StartMethod
from .sync import Barrier, BoundedSemaphore, Condition, Event, Lock, RLock, Semaphore, SyncPrimitive

__all__ = [
    "Backend",
    "Barrier",
    "BoundedSemaphore",
    "Buffer",
    "Called",
    "Channel",
    "Condition",
    "Connection",
    "Counter",
    "Endpoint",
    "Event",
    "JoinableQueue",
    "Launched",
    "Line",
    "Listener",
    "Lock",
    "Notify",
    "OwnedLock",
    "ProcessHandle",
    "Queue",
    "RLock",
    "Semaphore",
    "Serializer",
    "StartMethod",
    "SyncPrimitive",
    "Taking",
    "Turn",
    "silent",
]
