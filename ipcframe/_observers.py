"""The hooks of one context: its observers and policies, and how notifications reach them.

Creation goes through here, so that wrappers of any plugin see it; the innermost implementation is the
core's, and asks the backend. Data never does.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from . import _plugins
from .abc import (
    Backend,
    Barrier,
    BoundedSemaphore,
    Channel,
    Condition,
    Connection,
    Event,
    JoinableQueue,
    Lock,
    Queue,
    RLock,
    Semaphore,
)
from .errors import BackendBroken
from .settings import Sourced
from .toolkit.virtual import derive

if TYPE_CHECKING:
    import pluggy

__all__ = ["Observers", "make_one", "make_one_channel", "make_pair"]

_CONTRACTS: dict[str, type] = {
    "queue": Queue,
    "joinable_queue": JoinableQueue,
    "simple_queue": Queue,
    "lock": Lock,
    "rlock": RLock,
    "semaphore": Semaphore,
    "bounded_semaphore": BoundedSemaphore,
    "condition": Condition,
    "event": Event,
    "barrier": Barrier,
}


class Observers:
    """The plugins that act in a context: those named in its configuration, then those registered in code.

    It pickles to the names, and loads the plugins when something happens in the process that it is in; so
    endpoints can keep it through a handoff. Called with an event, it notifies.
    """

    def __init__(self, offers: tuple[_plugins.Offer, ...]) -> None:
        self.offers = offers
        self._manager: pluggy.PluginManager | None = None

    @classmethod
    def named(cls, names: Sourced) -> Observers:
        """The observers of these names and of `register`; raises as `_plugins.find` does."""
        chosen = [_plugins.find("plugin", Sourced(name, names.source)) for name in names.value]
        chosen += [offer for offer in _plugins.registered("plugin") if offer not in chosen]
        return cls(tuple(chosen))

    @property
    def hook(self) -> Any:
        """The pluggy hook relay over these plugins."""
        if self._manager is None:
            from . import _core_hooks

            manager = _plugins.new_manager()
            manager.register(_core_hooks, "ipcframe.core")
            for offer in self.offers:
                manager.register(_plugins.load(offer), f"{_plugins.KINDS['plugin'].group}:{offer.name}")
            self._manager = manager
        return self._manager.hook

    @cached_property
    def reducers(self) -> dict[type, Callable[[Any], Any]]:
        """How these plugins want instances of types reduced for pickling; the first named one wins."""
        offered = reversed(self.hook.ipcframe_reducers()) if self.offers else ()
        return {cls: reducer for pairs in offered for cls, reducer in pairs}

    def __call__(self, event: str, /, **facts: Any) -> None:
        """Notify every observer; one that raises is reported and stops nobody."""
        if not self.offers:
            return
        for implementation in getattr(self.hook, f"ipcframe_{event}").get_hookimpls():
            try:
                implementation.function(*(facts[name] for name in implementation.argnames))
            except Exception:  # noqa: BLE001 - an observer must not change what it observes
                sys.excepthook(*sys.exc_info())

    def make_connection_pair(
        self, backend: Backend, duplex: bool, name: str | None
    ) -> tuple[Connection, Connection]:
        """The two ends of a pipe, through all wrappers."""
        if not self.offers:
            return make_pair(backend, duplex, name)
        made: tuple[Connection, Connection] = self.hook.ipcframe_make_connection_pair(
            backend=backend, duplex=duplex, name=name
        )
        for end in made:
            self("object_created", kind="connection", obj=end)
        return made

    def make_channel(self, backend: Backend, name: str | None) -> Channel:
        """A channel, through all wrappers."""
        if not self.offers:
            return make_one_channel(backend, name)
        made: Channel = self.hook.ipcframe_make_channel(backend=backend, name=name)
        self("object_created", kind="channel", obj=made)
        return made

    def make(self, backend: Backend, kind: str, args: tuple[Any, ...], name: str | None) -> Any:
        """A queue or primitive, through all wrappers."""
        if not self.offers:
            return make_one(backend, kind, args, name)
        made = self.hook.ipcframe_make_object(backend=backend, kind=kind, args=args, name=name)
        # A condition's method of that name is another one: its lock is told.
        (made._lock if isinstance(made, Condition) and hasattr(made, "_lock") else made).notify = self
        self("object_created", kind=kind, obj=made)
        return made

    def choose_backend(
        self, candidates: Sequence[str], kind: str, name: str | None, message_size: int | None
    ) -> str | None:
        """What the policies say, if any does."""
        if not self.offers:
            return None
        chosen: str | None = self.hook.ipcframe_choose_backend(
            candidates=candidates, kind=kind, name=name, message_size=message_size
        )
        return chosen

    def __reduce__(self) -> tuple[Any, ...]:
        for offer in self.offers:
            _plugins.check_travels(offer)
        return Observers, (self.offers,)


def make_pair(backend: Backend, duplex: bool, name: str | None) -> tuple[Connection, Connection]:
    """What is left when every wrapper has had its say: the backend's own pair."""
    pair = backend.connection_pair(duplex)
    for end in pair:
        _check_made(backend, end, Connection)
        end.name = name
    return pair


def make_one_channel(backend: Backend, name: str | None) -> Channel:
    """The backend's own channel."""
    channel = backend.channel()
    _check_made(backend, channel, Channel)
    channel.name = name
    return channel


def make_one(backend: Backend, kind: str, args: tuple[Any, ...], name: str | None) -> Any:
    """The backend's own queue or primitive, where it has one, or the one that the toolkit derives."""
    made = backend.native(kind, *args)
    if made is None:
        made = derive(kind, *args, ctx=backend)
    _check_made(backend, made, _CONTRACTS[kind])
    made.name = name
    return made


def _check_made(backend: Backend, made: object, contract: type) -> None:
    if not isinstance(made, contract):
        raise BackendBroken(
            f"the backend {backend.name!r} made a {type(made).__name__}, which is no {contract.__name__}",
            "reinstall or repair it, or choose another backend",
        )
