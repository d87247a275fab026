"""`install`: the module `multiprocessing` hands out our objects, in this process and its children.

The standard library's own classes stay where nothing of ours stands in for them yet. Programs reach us by
three ways, and each is served: names of the package `multiprocessing` (bound methods of one default
context, which import from the submodules when called), contexts, and the submodules' own names.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import multiprocessing.context
from typing import Any, cast

from . import _boot, _plugins, connection, context, process
from .abc import Connection
from .errors import PluginBroken, PluginUnavailable

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
    _replace(multiprocessing.connection, "Pipe", Pipe)
    _replace(multiprocessing.connection, "wait", connection.wait)
    context.installed = specs


def uninstall() -> None:
    """Give `multiprocessing` its own objects back; what was handed out stays ours."""
    context.installed = ()
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
    ours = {"Pipe", "Process", "get_context", "get_start_method", "set_start_method", "get_all_start_methods"}
    names = [(name, "ipcframe" if name in ours else "multiprocessing") for name in multiprocessing.__all__]
    return sorted([*names, ("connection.Pipe", "ipcframe"), ("connection.wait", "ipcframe")])


def _originals() -> list[str]:
    for owner, name, value in _saved:
        if owner is _standard and name == "_concrete_contexts":
            return list(value)
    return list(_standard._concrete_contexts)


def _replace(owner: Any, name: str, value: Any) -> None:
    _saved.append((owner, name, vars(owner).get(name, _ABSENT)))
    setattr(owner, name, value)


_boot.deliver(__name__, install_specs)
