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
from .abc import Backend, Channel, Connection
from .errors import BackendBroken
from .settings import Sourced

if TYPE_CHECKING:
    import pluggy

__all__ = ["Observers", "make_one_channel", "make_pair"]


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

    def choose_backend(self, candidates: Sequence[str], kind: str, name: str | None) -> str | None:
        """What the policies say, if any does."""
        if not self.offers:
            return None
        chosen: str | None = self.hook.ipcframe_choose_backend(candidates=candidates, kind=kind, name=name)
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


def _check_made(backend: Backend, made: object, contract: type) -> None:
    if not isinstance(made, contract):
        raise BackendBroken(
            f"the backend {backend.name!r} made a {type(made).__name__}, which is no {contract.__name__}",
            "reinstall or repair it, or choose another backend",
        )
