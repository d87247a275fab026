"""Managers: objects in a process of their own, used by proxies in any other.

They are the standard library's, on our processes, listeners and connections. A server takes clients of this
user that know its key, and no client waits for another. It ends with the process that started it, killed or
not, and runs its finalizers then. What a proxy asks a server that has died raises EOFError or
ConnectionError.
"""

from __future__ import annotations

import contextlib
import multiprocessing
from collections.abc import Callable, Iterable
from multiprocessing import ProcessError, connection, resource_tracker, util
from multiprocessing.managers import (  # type: ignore[attr-defined]  # not all of them are in the stubs
    AcquirerProxy,
    Array,
    ArrayProxy,
    AutoProxy,
    BarrierProxy,
    BaseListProxy,
    BasePoolProxy,
    BaseProxy,
    ConditionProxy,
    DictProxy,
    EventProxy,
    IteratorProxy,
    ListProxy,
    MakeProxyType,
    Namespace,
    NamespaceProxy,
    PoolProxy,
    RebuildProxy,
    RemoteError,
    State,
    Token,
    Value,
    ValueProxy,
    dispatch,
    listener_client,
)
from multiprocessing.managers import BaseManager as _BaseManager
from multiprocessing.managers import SharedMemoryManager as _SharedMemoryManager
from multiprocessing.managers import SyncManager as _SyncManager
from typing import TYPE_CHECKING, Any, TypeVar, cast

from ._servers import OURS, Server, SharedMemoryServer
from .context import default_context
from .errors import EndOfStream
from .pool import Pool

if TYPE_CHECKING:
    from .shared_memory import ShareableList as _ShareableList
    from .shared_memory import SharedMemory as _SharedMemory

__all__ = [
    "AcquirerProxy",
    "Array",
    "ArrayProxy",
    "AutoProxy",
    "BarrierProxy",
    "BaseListProxy",
    "BaseManager",
    "BasePoolProxy",
    "BaseProxy",
    "ConditionProxy",
    "DictProxy",
    "EventProxy",
    "IteratorProxy",
    "ListProxy",
    "MakeProxyType",
    "Namespace",
    "NamespaceProxy",
    "PoolProxy",
    "RebuildProxy",
    "RemoteError",
    "Server",
    "SharedMemoryManager",
    "SharedMemoryServer",
    "State",
    "SyncManager",
    "Token",
    "Value",
    "ValueProxy",
    "dispatch",
    "listener_client",
]

_Item = TypeVar("_Item", int, float, bool, str, bytes, None)
_LOOK_AGAIN = 1.0
"""How often one looks whether a process lives whose children keep its sentinel open, in seconds."""


class BaseManager(_BaseManager):
    """Starts or connects to a server, and makes objects there; see `multiprocessing.managers.BaseManager`.

    Without an `address`, the server's is an abstract one. `ctx` is the context whose processes it starts. The
    server ends with the process that called `start`, killed or not, within 0.1 s and the time that its
    finalizers take.
    """

    _Server: type[Server] = Server
    _Client: Any
    _address: Any
    _authkey: bytes
    _ctx: Any
    _process: Any
    _registry: dict[str, Any]
    _serializer: str
    _shutdown_timeout: float
    _state: Any

    def __init__(
        self,
        address: Any = None,
        authkey: bytes | None = None,
        serializer: str = "pickle",
        ctx: Any = None,
        *,
        shutdown_timeout: float = 1.0,
    ) -> None:
        serializer = OURS.get(serializer, serializer)
        # By its name: after `ipcframe.install` this is the initializer that the next class would call.
        _BaseManager.__init__(
            self, address, authkey, serializer, ctx or default_context(), shutdown_timeout=shutdown_timeout
        )

    def get_server(self) -> Server:
        """A server for this process, which its method `serve_forever` runs."""
        self._check_initial()
        return self._Server(self._registry, self._address, self._authkey, self._serializer)

    def start(self, initializer: Callable[..., object] | None = None, initargs: Iterable[Any] = ()) -> None:
        """Start a process with a server, which calls the initializer first.

        Blocks: until it serves.
        Raises: EOFError (`EndOfStream`) when it ends before that; with what its initializer raised as the
            cause. No process is left then, nor after any other exception.
        """
        self._check_initial()
        if initializer is not None and not callable(initializer):
            raise TypeError("initializer must be a callable")
        reader, writer = connection.Pipe(duplex=False)
        process = self._ctx.Process(
            target=type(self)._run_server,
            args=(
                self._registry,
                self._address,
                self._authkey,
                self._serializer,
                writer,
                initializer,
                initargs,
            ),
        )
        process.name = f"{type(self).__name__}-{':'.join(map(str, process._identity))}"
        try:
            process.start()
            writer.close()
            self._address = self._hear_from(process, reader)
            self._process = process
            self.shutdown = util.Finalize(
                self,
                type(self)._finalize_manager,  # type: ignore[attr-defined]
                args=(
                    process,
                    self._address,
                    self._authkey,
                    self._state,
                    self._Client,
                    self._shutdown_timeout,
                ),
                exitpriority=0,
            )
            self._state.value = State.STARTED
        except BaseException:
            if process.pid is not None:
                process.kill()
                process.join()
            raise

    def _hear_from(self, process: Any, reader: Any) -> Any:
        """The address of the server that was started."""
        while not connection.wait([reader, process.sentinel], _LOOK_AGAIN) and process.is_alive():
            pass
        with contextlib.suppress(EOFError), reader:
            if reader.poll():
                return reader.recv()
        process.join()
        raise EndOfStream(
            f"the process of a {type(self).__name__} ended with the exit code {process.exitcode} "
            "before it served",
            "the cause is what its initializer raised, or on its stderr",
        ) from getattr(process, "exception", None)

    @classmethod
    def _run_server(cls, *args: Any, **kwargs: Any) -> None:
        me: Any = multiprocessing.current_process()
        parent: Any = multiprocessing.parent_process()
        me._manager_parent = parent._sentinel
        super()._run_server(*args, **kwargs)  # type: ignore[misc]

    def _check_initial(self) -> None:
        if self._state.value == State.STARTED:
            raise ProcessError("this manager has been started already")
        if self._state.value != State.INITIAL:
            raise ProcessError("this manager has been shut down")


class SyncManager(BaseManager, _SyncManager):
    """A manager of what threads share: lists, dicts, queues, locks; see `multiprocessing.Manager`."""


SyncManager.register("Pool", Pool, PoolProxy)


class SharedMemoryManager(BaseManager, _SharedMemoryManager):
    """A manager of shared memory: when it shuts down, or its parent is killed, its blocks are unlinked."""

    _Server = SharedMemoryServer

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # Or its process would start a tracker of its own, which takes what is made here for left over.
        resource_tracker.ensure_running()
        BaseManager.__init__(self, *args, **kwargs)

    def get_server(self) -> SharedMemoryServer:
        """As `BaseManager.get_server`."""
        return cast(SharedMemoryServer, BaseManager.get_server(self))

    def SharedMemory(self, size: int) -> _SharedMemory:  # noqa: N802 - multiprocessing's name
        """A new block of `size` bytes, of which the manager takes care."""
        from .shared_memory import SharedMemory  # others do without, and without its resource tracker

        block = SharedMemory(create=True, size=size)
        self._track(block)
        return block

    def ShareableList(self, sequence: Iterable[_Item] | None) -> _ShareableList[_Item]:  # noqa: N802 - as above
        """A new list in shared memory, of which the manager takes care."""
        from .shared_memory import ShareableList

        made = ShareableList(sequence)
        self._track(made.shm)
        return made

    def _track(self, block: _SharedMemory) -> None:
        try:
            with self._Client(self._address, authkey=self._authkey) as line:
                dispatch(line, None, "track_segment", (block.name,))
        except BaseException:
            block.unlink()
            raise
