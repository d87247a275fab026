"""`install`: the module `multiprocessing` hands out our objects, in this process and its children.

The standard library's own classes stay where nothing of ours stands in for them yet. Programs reach us by
three ways, and each is served: names of the package `multiprocessing` (bound methods of one default
context, which import from the submodules when called), contexts, and the submodules' own names.
"""

from __future__ import annotations

import functools
import importlib
import importlib.machinery
import multiprocessing
import multiprocessing.connection
import multiprocessing.context
import sys
from multiprocessing import util
from typing import Any, cast

from . import _boot, _plugins, connection, context, process
from .abc import Connection
from .errors import PluginBroken, PluginUnavailable
from .toolkit.virtual import KINDS
from .toolkit.virtual import __name__ as virtual

__all__ = ["Process", "install", "install_specs", "survey", "uninstall"]

_standard: Any = multiprocessing.context
_saved: list[tuple[Any, str, Any]] = []
_ABSENT = object()


class Process(process.Process):
    """What `multiprocessing.Process` is while we are installed: it follows `set_start_method`."""

    @staticmethod
    def _context() -> context.Context:
        current = _standard._default_context.get_context()
        # After `uninstall`, what was handed out stays ours.
        return current if isinstance(current, context.Context) else context.get_context(current._name)

    @staticmethod
    def _Popen(process_obj: Any) -> Any:  # noqa: N802 - the standard library's name
        return Process._context()._launch(process_obj)

    @staticmethod
    def _after_fork() -> None:
        cast(Any, Process._context().Process)._after_fork()


def Pipe(duplex: bool = True) -> tuple[Connection, Connection]:  # noqa: N802 - the standard library's name
    """Return two connections, of the default context."""
    return Process._context().Pipe(duplex)


KINDS_OF = {
    "Queue": "queue",
    "JoinableQueue": "joinable_queue",
    "SimpleQueue": "simple_queue",
    "Lock": "lock",
    "RLock": "rlock",
    "Semaphore": "semaphore",
    "BoundedSemaphore": "bounded_semaphore",
    "Condition": "condition",
    "Event": "event",
    "Barrier": "barrier",
}
"""The names of multiprocessing's queues and primitives, and what the toolkit calls them."""
_CLASSES = {
    "queues": ("Queue", "JoinableQueue", "SimpleQueue"),
    "synchronize": ("Lock", "RLock", "Semaphore", "BoundedSemaphore", "Condition", "Event", "Barrier"),
}
"""Submodules, and the classes in them that programs derive from, make with ``ctx=``, or test for."""


def _class(name: str) -> type:
    module, cls = KINDS[KINDS_OF[name]]
    found: type = getattr(importlib.import_module(f"{virtual}.{module}"), cls)
    return found


def _method(name: str) -> Any:
    def make(self: Any, *args: Any, **kwargs: Any) -> Any:
        return getattr(Process._context(), name)(*args, **kwargs)

    # Names, documentation and signature are the original's.
    return functools.update_wrapper(make, getattr(_standard.BaseContext, name))


def _stand_in(ctx: Any) -> Any:
    """Our context for what multiprocessing's classes take as one; else None."""
    if ctx is None or ctx is multiprocessing or ctx is _standard._default_context:
        return Process._context()
    if isinstance(ctx, multiprocessing.context.BaseContext):  # it was obtained before the installation
        ours = _standard._concrete_contexts.get(ctx.get_start_method())
        return ours if isinstance(ours, context.Context) else Process._context()
    return None


def install(
    *,
    backend: str | list[str] | tuple[str, ...] | None = None,
    start_method: str | None = None,
    strict: bool | None = None,
    plugins: str | list[str] | tuple[str, ...] | None = None,
) -> None:
    """Make `multiprocessing` hand out our objects, in this process and in those that it starts.

    For programs written for multiprocessing; a library never calls it. Arguments are those of
    `get_context`, and what is not given comes from the configuration. The start method is a default: the
    program may still call `multiprocessing.set_start_method`. Called again, the last call counts.
    """
    default = context.spec_for(start_method, backend=backend, strict=strict, plugins=plugins)
    specs = [default]
    for name in _originals():
        if name != default.start_method.name:
            try:
                specs.append(default.with_start_method(name, "multiprocessing"))
            except (PluginBroken, PluginUnavailable, _plugins.KINDS["start_method"].not_found):
                continue  # multiprocessing's own stays in its place
    install_specs(tuple(specs))


def install_specs(specs: tuple[context.Spec, ...]) -> None:
    """Put these contexts in the place of multiprocessing's; the first is the default."""
    uninstall()
    default_context = _standard._default_context
    ours = {spec.start_method.name: context.restore(*spec) for spec in specs}
    chosen = default_context._actual_context
    _replace(_standard, "_concrete_contexts", {**_standard._concrete_contexts, **ours})
    _replace(default_context, "_default_context", ours[specs[0].start_method.name])
    _replace(default_context, "_actual_context", ours.get(chosen._name, chosen) if chosen else None)
    for owner in (multiprocessing, _standard, type(default_context)):
        _replace(owner, "Process", Process)
    for one in ours.values():
        for cls in (type(one), one.Process):
            if hasattr(_standard, cls.__name__):
                _replace(_standard, cls.__name__, cls)
    for name, original in _originals().items():
        if name in ours and not isinstance(original, context.Context):
            _replace(type(original), "Process", ours[name].Process)  # for who has obtained it already
    for name in KINDS_OF:
        _replace(type(default_context), name, _method(name))
        _replace(multiprocessing, name, getattr(default_context, name))
    for submodule in _CLASSES:
        if loaded := sys.modules.get(f"multiprocessing.{submodule}"):
            _adopt(loaded)
    sys.meta_path.insert(0, _finder)
    _replace(multiprocessing.connection, "Pipe", Pipe)
    _replace(multiprocessing.connection, "wait", connection.wait)
    context.installed = specs


class _Finder:
    """Puts our classes into `multiprocessing.queues` and `synchronize` when they are imported.

    Most children import neither; on a machine without semaphores, the second cannot be imported at all.
    """

    @staticmethod
    def find_spec(name: str, path: Any, target: Any = None) -> Any:
        if name not in [f"multiprocessing.{submodule}" for submodule in _CLASSES]:
            return None
        spec: Any = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None:
            execute = spec.loader.exec_module

            def execute_and_adopt(module: Any) -> None:
                execute(module)
                if _finder in sys.meta_path:
                    _adopt(module)

            spec.loader.exec_module = execute_and_adopt
        return spec


_finder: Any = _Finder()


def _adopt(module: Any) -> None:
    """Put our classes into a submodule."""
    standard = dict(vars(module))
    for name in _CLASSES[module.__name__.removeprefix("multiprocessing.")]:
        _replace(module, name, _class(name))
    _replace(importlib.import_module(f"{virtual}.parts"), "stand_in", _stand_in)
    if "JoinableQueue" in standard:
        _mend_queues(module, standard)


def _mend_queues(queues: Any, standard: dict[str, Any]) -> None:
    """For classes derived from a queue before the installation, as that of `concurrent.futures` may be.

    They derive from ours from now on, unless there are objects of theirs: those go on as they began, and so
    do the standard library's own queues that were made before. What these look up in the class Queue by its
    name in the module is found in ours.
    """
    for name in ("_after_fork", "_feed", "_finalize_join", "_finalize_close"):
        _replace(queues.Queue, name, staticmethod(getattr(standard["Queue"], name)))
    made = tuple({type(obj) for obj in util._afterfork_registry.values()})  # type: ignore[attr-defined]
    for name in ("Queue", "JoinableQueue"):
        for derived in standard[name].__subclasses__():
            if derived.__module__ != queues.__name__ and not any(issubclass(cls, derived) for cls in made):
                ours = [_class(name) if base is standard[name] else base for base in derived.__bases__]
                _saved.append((derived, "__bases__", derived.__bases__))
                derived.__bases__ = tuple(ours)


def uninstall() -> None:
    """Give `multiprocessing` its own objects back; what was handed out stays ours."""
    context.installed = ()
    if _finder in sys.meta_path:
        sys.meta_path.remove(_finder)
    chosen = _standard._default_context._actual_context
    while _saved:
        owner, name, value = _saved.pop()
        if value is _ABSENT:
            delattr(owner, name)
        else:
            setattr(owner, name, value)
    if isinstance(chosen, context.Context):
        _standard._default_context._actual_context = _standard._concrete_contexts.get(chosen._name)


def survey() -> list[tuple[str, str]]:
    """The public names of `multiprocessing`, and for each "ipcframe" or "multiprocessing"."""
    ours = {
        *KINDS_OF,
        "Pipe",
        "Process",
        "get_context",
        "get_start_method",
        "set_start_method",
        "get_all_start_methods",
    }
    names = [(name, "ipcframe" if name in ours else "multiprocessing") for name in multiprocessing.__all__]
    names += [(f"{module}.{name}", "ipcframe") for module, some in _CLASSES.items() for name in some]
    return sorted([*names, ("connection.Pipe", "ipcframe"), ("connection.wait", "ipcframe")])


def _originals() -> dict[str, Any]:
    """The contexts of multiprocessing's own, by their names."""
    for owner, name, value in _saved:
        if owner is _standard and name == "_concrete_contexts":
            return dict(value)
    return dict(_standard._concrete_contexts)


def _replace(owner: Any, name: str, value: Any) -> None:
    _saved.append((owner, name, vars(owner).get(name, _ABSENT)))
    setattr(owner, name, value)


_boot.deliver(__name__, install_specs)
