"""What contexts make: the methods that all contexts have in common, the default one included."""

from __future__ import annotations

import multiprocessing.context
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from . import abc
from .abc import Channel, Connection

if TYPE_CHECKING:
    from .context import Context
    from .managers import SyncManager
    from .pool import Pool

__all__ = ["Factories"]


class Factories(multiprocessing.context.BaseContext):
    """The methods of a multiprocessing context that make something, and with `name=` and `backend=`.

    `name` is for people, who read it in errors and observers; `backend` puts this one object on another
    backend than the context's. `message_size` is how many bytes the messages are expected to have: a hint,
    for the policy that chooses a backend.
    """

    def get_context(self, method: str | None = None) -> Context:  # type: ignore[override]
        """The context that makes things for this one."""
        raise NotImplementedError

    def Pipe(  # type: ignore[override]  # noqa: N802 - multiprocessing's name
        self,
        duplex: bool = True,
        *,
        name: str | None = None,
        backend: str | None = None,
        message_size: int | None = None,
    ) -> tuple[Connection, Connection]:
        """Two connected ends; not duplex, the first only receives and the second only sends."""
        return self.get_context()._make_pipe(bool(duplex), name, backend, message_size)

    def Channel(  # noqa: N802
        self, *, name: str | None = None, backend: str | None = None, message_size: int | None = None
    ) -> Channel:
        """A channel: packets from any process to any process, each taken whole by exactly one."""
        return self.get_context()._make_channel(name, backend, message_size)

    def Listener(  # noqa: N802
        self,
        address: Any = None,
        family: str | None = None,
        backlog: int = 1,
        authkey: bytes | None = None,
        *,
        name: str | None = None,
        backend: str | None = None,
        **options: Any,
    ) -> abc.Listener:
        """Where clients are accepted that are no relatives, on the context's backend; see `Backend.listener`.

        The arguments are those of `multiprocessing.connection.Listener`; options are the backend's own.
        Raises `UnsupportedOperation` where the backend has no rendezvous; `ipcframe.connection.Listener` is
        one that needs no backend.
        """
        options |= {"authkey": authkey, "name": name}
        # A backend need not know the others.
        options |= {"family": family} if family is not None else {}
        options |= {"backlog": backlog} if backlog != 1 else {}
        return self.get_context()._make_listener(name, backend, address, options)

    def Client(  # noqa: N802
        self,
        address: Any,
        family: str | None = None,
        authkey: bytes | None = None,
        *,
        timeout: float | None = None,
        name: str | None = None,
        backend: str | None = None,
        **options: Any,
    ) -> Connection:
        """Connect to a listener, which may be in any process; see `Backend.connect`, and `Listener`."""
        options |= {"authkey": authkey, "timeout": timeout, "name": name}
        options |= {"family": family} if family is not None else {}
        return self.get_context()._make_client(name, backend, address, options)

    def Queue(  # type: ignore[override]  # noqa: N802 - multiprocessing's name
        self,
        maxsize: int = 0,
        *,
        name: str | None = None,
        backend: str | None = None,
        message_size: int | None = None,
    ) -> abc.Queue:
        """A queue of objects; with a positive `maxsize`, `put` waits while so many are in it."""
        made: abc.Queue = self.get_context()._make("queue", (maxsize,), name, backend, message_size)
        return made

    def JoinableQueue(  # type: ignore[override]  # noqa: N802 - multiprocessing's name
        self,
        maxsize: int = 0,
        *,
        name: str | None = None,
        backend: str | None = None,
        message_size: int | None = None,
    ) -> abc.JoinableQueue:
        """A queue with `task_done` and `join`."""
        made: abc.JoinableQueue = self.get_context()._make(
            "joinable_queue", (maxsize,), name, backend, message_size
        )
        return made

    def SimpleQueue(  # type: ignore[override]  # noqa: N802 - multiprocessing's name
        self, *, name: str | None = None, backend: str | None = None, message_size: int | None = None
    ) -> abc.Queue:
        """A queue without a bound."""
        made: abc.Queue = self.get_context()._make("simple_queue", (), name, backend, message_size)
        return made

    def Lock(  # type: ignore[override]  # noqa: N802 - multiprocessing's name
        self, *, name: str | None = None, backend: str | None = None
    ) -> abc.Lock:
        """A lock, which comes free when its holder is killed."""
        made: abc.Lock = self.get_context()._make("lock", (), name, backend)
        return made

    def RLock(  # type: ignore[override]  # noqa: N802 - multiprocessing's name
        self, *, name: str | None = None, backend: str | None = None
    ) -> abc.RLock:
        """A lock that its thread may acquire again."""
        made: abc.RLock = self.get_context()._make("rlock", (), name, backend)
        return made

    def Semaphore(  # type: ignore[override]  # noqa: N802 - multiprocessing's name
        self, value: int = 1, *, name: str | None = None, backend: str | None = None
    ) -> abc.Semaphore:
        """A number of permits, without owners."""
        made: abc.Semaphore = self.get_context()._make("semaphore", (value,), name, backend)
        return made

    def BoundedSemaphore(  # type: ignore[override]  # noqa: N802 - multiprocessing's name
        self, value: int = 1, *, owned: bool = False, name: str | None = None, backend: str | None = None
    ) -> abc.BoundedSemaphore:
        """A semaphore that takes no more back than it began with; `owned`, the dead give theirs back."""
        made: abc.BoundedSemaphore = self.get_context()._make(
            "bounded_semaphore", (value, owned), name, backend
        )
        return made

    def Condition(  # type: ignore[override]  # noqa: N802 - multiprocessing's name
        self, lock: abc.Lock | abc.RLock | None = None, *, name: str | None = None, backend: str | None = None
    ) -> abc.Condition:
        """A lock with a place to wait for what it guards."""
        made: abc.Condition = self.get_context()._make("condition", (lock,), name, backend)
        return made

    def Event(  # type: ignore[override]  # noqa: N802 - multiprocessing's name
        self, *, name: str | None = None, backend: str | None = None
    ) -> abc.Event:
        """A flag to wait for."""
        made: abc.Event = self.get_context()._make("event", (), name, backend)
        return made

    def Barrier(  # type: ignore[override]  # noqa: N802 - multiprocessing's name
        self,
        parties: int,
        action: Callable[[], object] | None = None,
        timeout: float | None = None,
        *,
        name: str | None = None,
        backend: str | None = None,
    ) -> abc.Barrier:
        """A number of parties that wait for each other."""
        made: abc.Barrier = self.get_context()._make("barrier", (parties, action, timeout), name, backend)
        return made

    def RawValue(self, typecode_or_type: Any, *args: Any) -> Any:  # noqa: N802 - multiprocessing's name
        """A ctypes object in shared memory, without a lock; see `ipcframe.sharedctypes.RawValue`."""
        from .sharedctypes import RawValue

        return RawValue(typecode_or_type, *args)

    def RawArray(  # noqa: N802 - multiprocessing's name
        self, typecode_or_type: Any, size_or_initializer: int | Sequence[Any]
    ) -> Any:
        """A ctypes array in shared memory, without a lock; see `ipcframe.sharedctypes.RawArray`."""
        from .sharedctypes import RawArray

        return RawArray(typecode_or_type, size_or_initializer)

    def Value(  # noqa: N802 - multiprocessing's name
        self,
        typecode_or_type: Any,
        *args: Any,
        lock: Any = True,
        name: str | None = None,
        backend: str | None = None,
    ) -> Any:
        """A ctypes object in shared memory with a lock; see `ipcframe.sharedctypes.Value`."""
        from .sharedctypes import Value

        ctx = self.get_context()
        return Value(typecode_or_type, *args, lock=lock, ctx=ctx, name=name, backend=backend)

    def Array(  # noqa: N802 - multiprocessing's name
        self,
        typecode_or_type: Any,
        size_or_initializer: int | Sequence[Any],
        *,
        lock: Any = True,
        name: str | None = None,
        backend: str | None = None,
    ) -> Any:
        """A ctypes array in shared memory with a lock; see `ipcframe.sharedctypes.Array`."""
        from .sharedctypes import Array

        ctx, where = self.get_context(), {"name": name, "backend": backend}
        return Array(typecode_or_type, size_or_initializer, lock=lock, ctx=ctx, **where)

    def Manager(self) -> SyncManager:  # noqa: N802 - multiprocessing's name
        """A started `ipcframe.managers.SyncManager`, whose process ends with this one."""
        from .managers import SyncManager

        manager = SyncManager(ctx=self.get_context())
        manager.start()
        return manager

    def Pool(  # type: ignore[override]  # noqa: N802 - multiprocessing's name
        self,
        processes: int | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: Sequence[Any] = (),
        maxtasksperchild: int | None = None,
    ) -> Pool:
        """A pool of processes; see `ipcframe.pool.Pool`."""
        from .pool import Pool

        return Pool(processes, initializer, initargs, maxtasksperchild, context=self.get_context())

    def set_forkserver_preload(self, module_names: list[str]) -> None:
        """Name modules to be imported once for all children, where the start method can do that."""
        self.get_context()._preload(module_names)
