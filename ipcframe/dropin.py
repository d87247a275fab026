"""`install`: the module `multiprocessing` hands out our objects, in this process and its children.

Programs reach us by three ways, and each is served: names of the package `multiprocessing` (bound methods of
one default context, which import from the submodules when called), contexts, and the submodules' own names.
"""

from __future__ import annotations

import functools
import importlib
import importlib.machinery
import multiprocessing
import multiprocessing.connection
import multiprocessing.context
import sys
from multiprocessing import resource_tracker, util
from typing import Any, cast

from . import _boot, _plugins, context, process
from ._factories import Factories
from .errors import PluginBroken, PluginUnavailable
from .toolkit.virtual import __name__ as virtual

__all__ = ["Process", "install", "install_specs", "survey", "uninstall"]

_standard: Any = multiprocessing.context
_saved: list[tuple[Any, str, Any]] = []
_ABSENT = object()
_THEIRS = multiprocessing.__name__


class Process(process.Process):
    """What `multiprocessing.Process` is while we are installed: it follows `set_start_method`."""

    @staticmethod
    def _context() -> context.Context:
        return context.multiprocessings_default()  # after `uninstall` too: what was handed out stays ours

    @staticmethod
    def _Popen(process_obj: Any) -> Any:  # noqa: N802 - the standard library's name
        return Process._context()._launch(process_obj)

    @staticmethod
    def _after_fork() -> None:
        cast(Any, Process._context().Process)._after_fork()


_FACTORIES = [
    name
    for name in vars(Factories)
    if not name.startswith("_") and name in multiprocessing.__all__ and name != "get_context"
]
"""The functions of multiprocessing that make something, and are methods of its default context."""
_FORGOTTEN = {
    "multiprocessing.managers": ("Server", "SharedMemoryServer"),
    "multiprocessing.synchronize": ("Barrier",),
    "multiprocessing.sharedctypes": tuple(f"Synchronized{kind}" for kind in ("", "Base", "Array", "String")),
}
"""Public names that are not in their `__all__`."""
_SUBMODULES = ("connection", "managers", "pool", "queues", "shared_memory", "sharedctypes", "synchronize")
"""Submodules that have public names for which our submodule of that name has something else."""


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
    try:
        install_specs(tuple(specs))
        for spec in specs:
            for name, ours in context.restore(*spec).start_method.drop_ins().items():
                module, _, attribute = name.rpartition(".")
                _replace(importlib.import_module(module), attribute, ours)
    except BaseException:
        uninstall()
        raise


def install_specs(specs: tuple[context.Spec, ...] = ()) -> None:
    """Put these contexts in the place of multiprocessing's; the first is the default. None gives it back."""
    uninstall()
    if not specs:
        return
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
    for name in _FACTORIES:
        _replace(type(default_context), name, _method(name))
        _replace(multiprocessing, name, getattr(default_context, name))
    for submodule in _SUBMODULES:
        if loaded := sys.modules.get(f"multiprocessing.{submodule}"):
            _adopt(loaded)
    sys.meta_path.insert(0, _finder)
    context.installed = specs


class _Finder:
    """Puts ours into a submodule of multiprocessing once both are imported, whichever is asked for first.

    Most children import none; on a machine without semaphores, `synchronize` cannot be imported at all.
    """

    def __init__(self) -> None:
        self._executing: set[str] = set()

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        package, _, submodule = name.rpartition(".")
        if package not in (_THEIRS, __package__) or submodule not in _SUBMODULES:
            return None
        spec: Any = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None:
            execute = spec.loader.exec_module

            def execute_and_adopt(module: Any) -> None:
                self._executing.add(name)
                try:
                    execute(module)
                finally:
                    self._executing.discard(name)
                other = f"{_THEIRS if package == __package__ else __package__}.{submodule}"
                if _finder in sys.meta_path and other not in self._executing:  # else it imports this one
                    importlib.import_module(other)
                    _adopt(sys.modules[f"{_THEIRS}.{submodule}"])

            spec.loader.exec_module = execute_and_adopt
        return spec


_finder: Any = _Finder()


def _adopt(module: Any) -> None:
    """Put ours into a submodule, in the place of the public names of theirs."""
    standard = dict(vars(module))
    for name, ours in _replacements(module):
        _replace(module, name, ours)
    _replace(importlib.import_module(f"{virtual}.parts"), "stand_in", _stand_in)
    if "listener_client" in standard:
        _mend_managers(module, standard)
    if "SharedMemory" in standard:
        # Programs call it after attaching, against what the standard library's class does then.
        _replace(
            resource_tracker, "unregister", importlib.import_module(f"{__package__}.shared_memory").unregister
        )
    if "JoinableQueue" in standard:
        _mend_queues(module, standard)


def _replacements(module: Any) -> list[tuple[str, Any]]:
    submodule: Any = importlib.import_module(f"{__package__}.{module.__name__.rpartition('.')[2]}")
    public = {*module.__all__, *_FORGOTTEN.get(module.__name__, ())}
    pairs = [(name, getattr(submodule, name)) for name in public if name in submodule.__all__]
    return [(name, ours) for name, ours in pairs if ours is not getattr(module, name)]


def _mend_managers(managers: Any, standard: dict[str, Any]) -> None:
    """For classes of managers derived before the installation: they derive from ours from now on.

    Proxies, and the objects of these classes that were made before, connect and listen as ours do.
    """
    ways = importlib.import_module(f"{__package__}._servers").OURS
    known = standard["listener_client"]
    _replace(managers, "listener_client", {**known, **{name: known[ours] for name, ours in ways.items()}})
    _rebase(managers, standard, ("BaseManager", "SyncManager", "SharedMemoryManager"))


def _mend_queues(queues: Any, standard: dict[str, Any]) -> None:
    """For classes derived from a queue before the installation, as that of `concurrent.futures` may be.

    They derive from ours from now on, unless there are objects of theirs: those go on as they began, and so
    do the standard library's own queues that were made before. What these look up in the class Queue by its
    name in the module is found in ours.
    """
    for name in ("_after_fork", "_feed", "_finalize_join", "_finalize_close"):
        _replace(queues.Queue, name, staticmethod(getattr(standard["Queue"], name)))
    made = tuple({type(obj) for obj in util._afterfork_registry.values()})  # type: ignore[attr-defined]
    _rebase(queues, standard, ("Queue", "JoinableQueue"), made)


def _rebase(
    module: Any, standard: dict[str, Any], names: tuple[str, ...], spared: tuple[type, ...] = ()
) -> None:
    """Have the classes that programs have derived from theirs derive from ours."""
    for name in names:
        theirs, ours = standard[name], getattr(module, name)
        for derived in theirs.__subclasses__():
            if derived.__module__ in (module.__name__, ours.__module__):
                continue
            if not any(issubclass(cls, derived) for cls in spared):
                bases = tuple(ours if base is theirs else base for base in derived.__bases__)
                _saved.append((derived, "__bases__", derived.__bases__))
                derived.__bases__ = bases


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
    """While installed: the names of `multiprocessing`, and for each "ipcframe" or "multiprocessing"."""
    theirs: dict[str, Any] = {"": multiprocessing}
    for submodule in _SUBMODULES:
        theirs[f"{submodule}."] = importlib.import_module(f"multiprocessing.{submodule}")
    replaced = {(id(owner), name) for owner, name, _ in _saved}
    ours = {"get_context", "get_start_method", "set_start_method"}  # they go by the contexts, which are ours
    return sorted(
        (prefix + name, "ipcframe" if (id(owner), name) in replaced or name in ours else "multiprocessing")
        for prefix, owner in theirs.items()
        for name in {*owner.__all__, *(name for one, name, _ in _saved if one is owner)}
        if not name.startswith("_")
    )


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
