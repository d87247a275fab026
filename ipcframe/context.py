"""Context = backend + start method + settings: the object that users hold.

A context is a value: equal requests get the same context, no call changes a global, and pickled it arrives
as the same one in any process of the tree.
"""

from __future__ import annotations

import atexit
import contextlib
import multiprocessing
import multiprocessing.context
import operator
import pickle
import warnings
from collections.abc import Hashable
from functools import cached_property
from typing import Any, NamedTuple, cast

from . import _boot, _plugins, abc, config
from ._factories import Factories
from ._observers import Observers
from .abc import Backend, Channel, Connection, StartMethod
from .errors import FallbackWarning, PluginBroken, PluginUnavailable
from .process import Parcel, Process, _Report, process_class
from .settings import Sourced
from .toolkit.serialisation import PickleSerializer

__all__ = ["Context", "Spec", "default_context", "get_context", "restore", "spec_for"]


class Spec(NamedTuple):
    """What a context is made from; two equal ones are one context. It travels to children."""

    start_method: _plugins.Offer
    label: str
    """`StartMethod.label`, and below whether its children begin as forks: a child need not load it."""
    forked: bool
    backend: _plugins.Offer
    plugins: Sourced
    settings: tuple[tuple[config.Key, Sourced], ...]
    candidates: tuple[str, ...]
    """The backends that the configuration allows, in its order."""
    channels: tuple[tuple[str, _plugins.Offer], ...]
    """The backends of objects that are made with these names."""

    @property
    def key(self) -> Hashable:
        """What makes two specs the same: everything but where the values came from."""
        values = tuple((key, value.value) for key, value in self.settings)
        in_code = tuple(_plugins.registered("plugin"))
        return self.start_method, self.backend, self.plugins.value, values, self.candidates, in_code

    def with_start_method(self, name: str, source: str) -> Spec:
        """The same on another start method; raises as `get_context` does."""
        offer = _plugins.find("start_method", Sourced(name, source))
        with _plugins.asked_for_by(source):
            made = _start_method(offer)
        return self._replace(start_method=offer, label=made.label, forked=made.capabilities.forked)


class Context(Factories):
    """One backend, one start method and their settings, with the methods of a multiprocessing context."""

    _name: str

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self._name = spec.start_method.name
        self.notify = Observers.named(spec.plugins)
        self._backends: dict[_plugins.Offer, Backend] = {}
        self._channels: dict[str | None, _plugins.Offer] = dict(spec.channels)
        packed = pickle.dumps(tuple(spec))
        self.Process = process_class(spec.label, packed, _standard(self._name), spec.forked, self)

    @cached_property
    def start_method(self) -> StartMethod:
        """How processes of this context start."""
        return _start_method(self.spec.start_method)

    @property
    def backend(self) -> Backend:
        """The backend that objects are on unless they name another; made when it is first needed."""
        return self._backend(self.spec.backend)

    def _make_pipe(
        self, duplex: bool, name: str | None, backend: str | None, message_size: int | None
    ) -> tuple[Connection, Connection]:
        on = self._choose("connection", name, backend, message_size)
        pair = self.notify.make_connection_pair(on, duplex, name)
        for end in pair:
            cast(Any, end).notify = self.notify
            if self.notify.reducers:
                end._serializer = PickleSerializer(self.notify.reducers)
        return pair

    def _make_channel(self, name: str | None, backend: str | None, message_size: int | None) -> Channel:
        return self.notify.make_channel(self._choose("channel", name, backend, message_size), name)

    def _make_listener(
        self, name: str | None, backend: str | None, address: Any, options: dict[str, Any]
    ) -> abc.Listener:
        on = self._choose("listener", name, backend, None)
        made: abc.Listener = self._observed("listener", on.listener(address, **options))
        return made

    def _make_client(
        self, name: str | None, backend: str | None, address: Any, options: dict[str, Any]
    ) -> Connection:
        on = self._choose("connection", name, backend, None)
        made: Connection = self._observed("connection", on.connect(address, **options))
        return made

    def _observed(self, kind: str, made: Any) -> Any:
        """What meets processes that are no relatives, with this context's observers and reducers."""
        made.notify = self.notify
        if self.notify.reducers and hasattr(made, "_serializer"):
            made._serializer = type(made._serializer)(self.notify.reducers)
        self.notify("object_created", kind=kind, obj=made)
        return made

    def _make(
        self,
        kind: str,
        args: tuple[Any, ...],
        name: str | None,
        backend: str | None,
        message_size: int | None = None,
    ) -> Any:
        made = self.notify.make(self._choose(kind, name, backend, message_size), kind, args, name)
        if isinstance(made, abc.Queue) and self.notify.reducers:
            cast(Any, made)._serializer = PickleSerializer(self.notify.reducers)
        return made

    def get_context(self, method: str | None = None) -> Context:  # type: ignore[override]
        """This context, or the one like it with another start method."""
        if method is None or method == self._name:
            return self
        return restore(*self.spec.with_start_method(method, "the argument of get_context"))

    def get_start_method(self, allow_none: bool = False) -> str:
        """The name of the start method."""
        return self._name

    def set_start_method(self, method: str | None, force: bool = False) -> None:
        """Raises ValueError, as multiprocessing's contexts do: a context is a value."""
        raise ValueError("cannot set start method of concrete context")

    def _choose(self, kind: str, name: str | None, backend: str | None, message_size: int | None) -> Backend:
        if message_size is not None and operator.index(message_size) < 0:
            raise ValueError(f"messages have no negative size: message_size={message_size}")
        if backend is not None:
            return self._backend(_plugins.find("backend", Sourced(backend, f"the argument of a {kind}")))
        # What the user wrote for this name counts more than what a plugin makes of it.
        if name in self._channels:
            return self._backend(self._channels[name])
        policy = self.notify.choose_backend(self.spec.candidates, kind, name, message_size)
        if policy is None:
            return self.backend
        return self._backend(_plugins.find("backend", Sourced(policy, f"a policy, for a {kind}")))

    def _backend(self, offer: _plugins.Offer) -> Backend:
        if offer not in self._backends:
            made = _plugins.make(offer, config.settings_of(offer, dict(self.spec.settings)))
            _check_available(offer, made)
            made.notify = self.notify
            atexit.register(made.close)
            self._backends[offer] = made
        return self._backends[offer]

    def _preload(self, modules: list[str]) -> None:
        # As in multiprocessing, it is said once for the process, whatever this context starts by.
        for offer in _plugins.offers("start_method"):
            with contextlib.suppress(PluginBroken, PluginUnavailable):
                method = _start_method(offer)
                if method.capabilities.preloads:
                    method.preload(modules)

    def _launch(self, process: Any) -> Any:
        """Start a child from this context; returns what watches it."""
        report = None
        if isinstance(process, Process):
            report = process._report = _Report()
        try:
            return self.start_method.launch(Parcel(process, _pack_boot))
        except BaseException:
            if report is not None:
                report.close()
            raise

    def __reduce__(self) -> tuple[Any, ...]:
        return restore, tuple(self.spec)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} on the backend {self.spec.backend.name!r}>"


_contexts: dict[Hashable, Context] = {}
_classes: dict[str, type[Context]] = {}
_start_methods: dict[_plugins.Offer, StartMethod] = {}
_reasons: dict[tuple[_plugins.Offer, tuple[tuple[config.Key, Sourced], ...]], str | None] = {}
choice: Sourced | None = None
"""The start method that `set_start_method` chose."""
installed: tuple[Spec, ...] = ()
"""What `ipcframe.install` put in the place of multiprocessing's contexts; the default comes first."""


def get_context(
    method: str | None = None,
    *,
    backend: str | list[str] | tuple[str, ...] | None = None,
    strict: bool | None = None,
    plugins: str | list[str] | tuple[str, ...] | None = None,
) -> Context:
    """The context of this start method and backend; what is not given comes from the configuration.

    A list of backends is tried in order: the first that can run here is taken, with a `FallbackWarning`
    when it is not the first, or, if `strict`, an error. Raises `BackendNotFound`, `DuplicateBackend`,
    `BackendBroken`, `BackendUnavailable`, their counterparts for start methods, and `ConfigError`.
    """
    return restore(*spec_for(method, backend=backend, strict=strict, plugins=plugins))


def default_context() -> Context:
    """What functions of the package, and ``ctx=None``, mean: while installed, multiprocessing's default."""
    if installed and choice is not None:
        return restore(*installed[0].with_start_method(choice.value, choice.source))
    return multiprocessings_default() if installed else get_context()


def multiprocessings_default() -> Context:
    """Multiprocessing's default context, where that is ours, and else ours for its start method."""
    current = cast(Any, multiprocessing.context)._default_context.get_context()
    return current if isinstance(current, Context) else get_context(current._name)


def spec_for(
    method: str | None = None,
    *,
    backend: str | list[str] | tuple[str, ...] | None = None,
    strict: bool | None = None,
    plugins: str | list[str] | tuple[str, ...] | None = None,
) -> Spec:
    """What `get_context` would make a context of."""
    settings = config.effective()
    if choice is not None:
        settings["start_method"] = choice
    given = {"start_method": method, "backend": backend, "strict": strict, "plugins": plugins}
    for key, value in given.items():
        if value is not None:
            settings[key] = config.parse(key, Sourced(value, f"the argument {key}"))
    if "start_method" not in settings:
        settings["start_method"] = Sourced(_running_start_method(), "the running Python")
    own = tuple(sorted((key, value) for key, value in settings.items() if isinstance(key, tuple)))
    _check_tables(settings)
    chosen = _first_available(settings["backend"], settings["strict"], own)
    channels = []
    for channel, asked in sorted(config.channels(settings).items()):
        channels.append((channel, _first_available(asked, settings["strict"], own)))
    start = _plugins.find("start_method", settings["start_method"])
    with _plugins.asked_for_by(settings["start_method"].source):
        made = _start_method(start)
    for name in settings["plugins"].value:
        with _plugins.asked_for_by(settings["plugins"].source):
            _plugins.load(_plugins.find("plugin", Sourced(name, settings["plugins"].source)))
    return Spec(
        start,
        made.label,
        made.capabilities.forked,
        chosen,
        settings["plugins"],
        own,
        settings["backend"].value,
        tuple(channels),
    )


def restore(*spec: Any) -> Context:
    """The one context of this process that is made from the fields of a `Spec`."""
    whole = Spec(*spec)
    if whole.key not in _contexts:
        _contexts.setdefault(whole.key, _context_class(whole.label)(whole))
    return _contexts[whole.key]


def __getattr__(name: str) -> type[Context]:
    """The class of a context, by which it is pickled; it exists in every process that asks."""
    label = name.removesuffix("Context")
    if label in ("", name) or not label.isidentifier():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _context_class(label)


def _context_class(label: str) -> type[Context]:
    if label not in _classes:
        name = f"{label}Context"
        _classes[label] = type(
            name, (Context,), {"__doc__": Context.__doc__, "__module__": __name__, "__qualname__": name}
        )
    return _classes[label]


def _start_method(offer: _plugins.Offer) -> StartMethod:
    if offer not in _start_methods:
        made = _plugins.make(offer, {})
        _check_available(offer, made)
        _start_methods[offer] = made
    return _start_methods[offer]


def _check_available(offer: _plugins.Offer, made: Backend | StartMethod) -> None:
    reason = _plugins.unavailable_reason(offer, made)
    if reason is not None:
        words = _plugins.KINDS[offer.kind]
        raise words.unavailable(f"the {words.noun} {offer.name!r} cannot run here: {reason}")


def _check_tables(settings: config.Settings) -> None:
    """Refuse settings that nobody would ever take: those of a backend that is not there."""
    for name, table in config.tables(config.BACKENDS, settings).items():
        _plugins.find("backend", Sourced(name, next(iter(table.values())).source))


def _first_available(
    asked: Sourced, strict: Sourced, own: tuple[tuple[config.Key, Sourced], ...]
) -> _plugins.Offer:
    names, source = asked
    refused: list[str] = []
    for name in names:
        offer = _plugins.find("backend", Sourced(name, source))
        if (offer, own) not in _reasons:
            with _plugins.asked_for_by(source):
                made = _plugins.make(offer, config.settings_of(offer, dict(own)))
                _reasons[offer, own] = _plugins.unavailable_reason(offer, made)
        reason = _reasons[offer, own]
        if reason is None:
            if refused:
                _fall_back(name, refused, strict, source)
            return offer
        refused.append(f"{name!r} cannot run here: {reason}")
    raise _plugins.KINDS["backend"].unavailable(
        f"the backend asked for by {source} cannot run here: {'; '.join(refused)}",
        "`ipcframe backends` lists the ones that can",
    )


def _fall_back(name: str, refused: list[str], strict: Sourced, source: str) -> None:
    text = f"{source} asks for another backend first, but {'; '.join(refused)}"
    if strict.value:
        raise _plugins.KINDS["backend"].unavailable(text, f"strict = true ({strict.source}) forbids the next")
    warnings.warn(f"{text}; {name!r} is used", FallbackWarning, stacklevel=5)


def _running_start_method() -> str:
    default = cast(Any, multiprocessing.context)._default_context
    return cast(str, (default._actual_context or default._default_context)._name)


def _standard(name: str) -> str | None:
    """The start method's name where the standard library knows it too, for what it does in the child."""
    return name if name in cast(Any, multiprocessing.context)._concrete_contexts else None


# --- what goes along into a child ---


def _pack_boot() -> tuple[dict[str, bytes], tuple[str, ...]]:
    """What a started child takes over, and the modules that it needs before its main module is imported."""
    parts: dict[str, tuple[Any, ...]] = {
        _plugins.__name__: (_plugins.travelling(),),
        config.__name__: config.snapshot(),
    }
    if choice is not None:
        parts[__name__] = (choice,)
    if not installed:
        return _boot.pack(parts), ()
    dropin = f"{__package__}.dropin"
    return _boot.pack({**parts, dropin: (installed,)}), (dropin,)


def _adopt(parents: Sourced | None = None) -> None:
    global choice
    choice = parents


_boot.deliver(__name__, _adopt)
