"""Discovery: list plugins by metadata, load one by name.

Listing imports nothing. Loading imports one plugin, alone, and finds out then whether it keeps the
contract. Names are looked up here and not by pluggy, which stops half-way through a group at the first
broken plugin, skips equal names silently, and blames later plugins for an earlier one's misspelt hook.
"""

from __future__ import annotations

import contextlib
import importlib
import re
import sys
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

from . import _boot, errors
from ._faults import lacking, strange_hooks
from .abc import Backend, StartMethod
from .errors import PluginBroken
from .settings import Sourced, nearest

if TYPE_CHECKING:
    import pluggy

__all__ = [
    "IN_CODE",
    "KINDS",
    "OTHER_CONTRACT",
    "Kind",
    "Offer",
    "adopt",
    "asked_for_by",
    "check_travels",
    "find",
    "known",
    "load",
    "make",
    "new_manager",
    "of_other_contracts",
    "offers",
    "other_contract",
    "register",
    "registered",
    "travelling",
    "unavailable_reason",
]


class Kind(NamedTuple):
    """One of the three kinds of plugins: the words for it, its entry points, its hook and its errors."""

    noun: str
    group: str
    hook: str | None
    result: type | None
    not_found: type[errors.PluginNotFound]
    duplicate: type[errors.DuplicatePlugin]
    broken: type[errors.PluginBroken]
    unavailable: type[errors.PluginUnavailable]


KINDS = {
    "backend": Kind(
        "backend", "ipcframe.backends", "ipcframe_backend", Backend,
        errors.BackendNotFound, errors.DuplicateBackend, errors.BackendBroken, errors.BackendUnavailable,
    ),
    "start_method": Kind(
        "start method", "ipcframe.start_methods", "ipcframe_start_method", StartMethod,
        errors.StartMethodNotFound, errors.DuplicateStartMethod,
        errors.StartMethodBroken, errors.StartMethodUnavailable,
    ),
    "plugin": Kind(
        "plugin", "ipcframe.plugins", None, None,
        errors.PluginNotFound, errors.DuplicatePlugin, errors.PluginBroken, errors.PluginUnavailable,
    ),
}  # fmt: skip

IN_CODE = "registered"
"""What stands in the place of the distribution for plugins registered in code."""


class Offer(NamedTuple):
    """A name that somebody answers to: who, and where it is imported from."""

    kind: str
    name: str
    distribution: str
    version: str
    reference: str
    """``module`` or ``module:attribute``; empty when a child could not import it."""
    origin: str
    """Words for where the name came from."""

    @property
    def qualified(self) -> str:
        """The form of the name that is never ambiguous."""
        return f"{self.distribution}:{self.name}"


known: dict[tuple[str, str], Offer] = {}
"""Names that are resolved, by kind: handed to children, who then touch no metadata for them."""
_listed: dict[str, list[Offer]] = {}
_in_code: list[tuple[Offer, Any]] = []
_loaded: dict[Offer, Any] = {}


def offers(kind: str) -> list[Offer]:
    """Everything on offer of a kind, by metadata alone, sorted by name; read once per process."""
    if kind not in _listed:
        _listed[kind] = _read_metadata(kind)
    return sorted([*_listed[kind], *(offer for offer, _ in _in_code if offer.kind == kind)])


def _read_metadata(kind: str) -> list[Offer]:
    from importlib.metadata import distributions

    found: dict[tuple[str, str], Offer] = {}
    for distribution in distributions():
        points = distribution.entry_points.select(group=KINDS[kind].group)
        if not points:
            continue
        owner = re.sub(r"[-_.]+", "-", distribution.name).lower()
        for point in points:
            offer = Offer(
                kind, point.name, owner, distribution.version, point.value, f"the distribution {owner}"
            )
            # One distribution seen twice (a checkout and its installation) is one: the first on the path.
            found.setdefault((owner, point.name), offer)
    return list(found.values())


def of_other_contracts(kind: str) -> list[tuple[Offer, str]]:
    """What is installed for another version of the contract, with the group of its entry point."""
    from importlib.metadata import distributions

    version = re.compile(rf"{re.escape(KINDS[kind].group)}\W?v?\d+")
    found = set()
    for distribution in distributions():
        for point in distribution.entry_points:
            if version.fullmatch(point.group):
                owner = re.sub(r"[-_.]+", "-", distribution.name).lower()
                words = (kind, point.name, owner, distribution.version, point.value, "")
                found.add((Offer(*words), point.group))
    return sorted(found)


def other_contract(offer: Offer, group: str) -> str:
    """The words for what `of_other_contracts` found."""
    words = KINDS[offer.kind]
    return (
        f"the {words.noun} {offer.name!r} of {offer.distribution} {offer.version} was written for another "
        f"version of the contract: its entry point is in {group!r}, and here it is {words.group!r}"
    )


OTHER_CONTRACT = "install a version of {0.distribution} for this ipcframe, or the other way round"


def find(kind: str, name: Sourced) -> Offer:
    """The one offer that a bare or qualified name stands for; raises the errors of design by kind."""
    wanted, source = name
    if (kind, wanted) in known:
        return known[kind, wanted]
    words = KINDS[kind]
    everything = offers(kind)
    matches = [offer for offer in everything if wanted in (offer.name, offer.qualified)]
    for offer, group in () if matches else of_other_contracts(kind):
        if wanted in (offer.name, offer.qualified):
            raise words.broken(
                f"{other_contract(offer, group)} (asked for by {source})", OTHER_CONTRACT.format(offer)
            )
    if not matches:
        guess = nearest(wanted, [offer.name for offer in everything])
        listed = ", ".join(sorted({offer.name for offer in everything})) or "none"
        raise words.not_found(
            f"no {words.noun} is called {wanted!r} (asked for by {source})",
            f"{guess}installed: {listed}; another one comes with its distribution: pip install it",
        )
    if len(matches) > 1:
        forms = " or ".join(repr(offer.qualified) for offer in matches)
        raise words.duplicate(
            f"more than one {words.noun} is called {wanted!r} (asked for by {source})", f"write {forms}"
        )
    known[kind, wanted] = matches[0]
    return matches[0]


def load(offer: Offer) -> Any:
    """Import the plugin, check that it keeps the contract, and return it; raises the kind's `broken`."""
    if offer in _loaded:
        return _loaded[offer]
    words = KINDS[offer.kind]
    try:
        plugin = _import(offer)
    except (Exception, SystemExit) as error:
        raise words.broken(
            f"the {words.noun} {offer.name!r} of {offer.distribution} {offer.version} fails at import "
            f"({offer.reference}): {type(error).__name__}: {error}",
            f"reinstall or repair {offer.distribution}, or choose another {words.noun}",
        ) from error
    _check_hooks(offer, plugin)
    _loaded[offer] = plugin
    return plugin


def _import(offer: Offer) -> Any:
    for registered_offer, plugin in _in_code:
        if registered_offer == offer and not isinstance(plugin, _Later):
            return plugin
    module, _, attribute = offer.reference.partition(":")
    found: Any = importlib.import_module(module)
    for part in filter(None, attribute.split(".")):
        found = getattr(found, part)
    return found


def new_manager() -> pluggy.PluginManager:
    """A plugin manager that knows our hooks and no plugin."""
    import pluggy

    from . import hookspecs

    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    return manager


def _check_hooks(offer: Offer, plugin: Any) -> None:
    import pluggy

    words = KINDS[offer.kind]
    manager = new_manager()
    where = f"the {words.noun} {offer.name!r} of {offer.distribution} {offer.version} ({offer.reference})"
    remedy = f"its author finds the hooks in ipcframe.hookspecs; until then, choose another {words.noun}"
    try:
        manager.register(plugin, f"{words.group}:{offer.name}")
        manager.check_pending()
    except (pluggy.PluginValidationError, ValueError) as error:
        raise words.broken(
            f"{where} has a hook that is none of ours: {strange_hooks(plugin, manager) or error}", remedy
        ) from error
    callers = manager.get_hookcallers(plugin)
    if not callers:
        raise words.broken(f"{where} implements no hook", remedy)
    if words.hook is not None and words.hook not in {caller.name for caller in callers}:
        raise words.broken(f"{where} does not implement {words.hook}", remedy)


def make(offer: Offer, settings: Mapping[str, Sourced]) -> Any:
    """Load the plugin and have it make its backend or start method; raises `broken` or ConfigError."""
    words = KINDS[offer.kind]
    assert words.hook is not None
    assert words.result is not None
    manager = new_manager()
    manager.register(load(offer), f"{words.group}:{offer.name}")
    where = f"the {words.noun} {offer.name!r} of {offer.distribution} {offer.version} ({offer.reference})"
    remedy = f"reinstall or repair {offer.distribution}, or choose another {words.noun}"
    try:
        made = getattr(manager.hook, words.hook)(name=offer.name, settings=settings)
    except errors.ConfigError:
        raise
    except Exception as error:
        lacks = lacking(load(offer), words.result, error)
        raise words.broken(f"{where} {lacks or f'raised {type(error).__name__}: {error}'}", remedy) from error
    if made is None:
        raise words.broken(f"{where} does not answer to its own name", remedy)
    if not isinstance(made, words.result):
        kind = type(made).__name__
        raise words.broken(
            f"{where} made an object of type {kind}, which is no {words.result.__name__}", remedy
        )
    return made


@contextlib.contextmanager
def asked_for_by(source: str) -> Iterator[None]:
    """Have the errors of a plugin that does not work say where its name came from."""
    try:
        yield
    except (errors.PluginBroken, errors.PluginUnavailable) as error:
        error.problem = f"{error.problem} (asked for by {source})"
        error.args = (error.problem, error.remedy)
        raise


def unavailable_reason(offer: Offer, made: Backend | StartMethod) -> str | None:
    """Why what was made cannot run here, or None; a plugin that raises when asked is broken."""
    words = KINDS[offer.kind]
    try:
        return type(made).unavailable_reason()
    except Exception as error:
        raise words.broken(
            f"the {words.noun} {offer.name!r} of {offer.distribution} {offer.version} raised "
            f"{type(error).__name__} when asked whether it can run here: {error}",
            "unavailable_reason() must not raise",
        ) from error


def register(plugin: Any, *, name: str) -> None:
    """Make a plugin known in code, as if it were installed under `name`.

    It takes a module, or an object that can be imported by its qualified name. What implements the hook
    of a backend or start method can be chosen by its name; anything else observes every context that is
    made from now on. Children find it by importing it; what they could not import is an error when such a
    child is started.
    """
    caller = sys._getframe(1)
    line = f"ipcframe.register at {caller.f_code.co_filename}:{caller.f_lineno}"
    implemented = {kind for kind, words in KINDS.items() if words.hook and hasattr(plugin, words.hook)}
    for kind in implemented or {"plugin"}:
        offer = Offer(kind, name, IN_CODE, "in code", _reference(plugin), line)
        _check_hooks(offer, plugin)
        for other, already in list(_in_code):
            if (other.kind, other.name) == (kind, name):
                if isinstance(already, _Later) and other.reference == offer.reference:
                    _in_code.remove((other, already))  # our parent registered it, and so does its module here
                    continue
                raise KINDS[kind].duplicate(
                    f"{line}: a {KINDS[kind].noun} {name!r} is registered already, by {other.origin}",
                    "register it once, or under another name",
                )
        _in_code.append((offer, plugin))
        known.pop((kind, name), None)


def registered(kind: str) -> list[Offer]:
    """What `register` has made known of a kind, in order."""
    return [offer for offer, _ in _in_code if offer.kind == kind]


def check_travels(offer: Offer) -> None:
    """Raise when a child that does not inherit memory could not import this plugin."""
    if not offer.reference:
        raise PluginBroken(
            f"the plugin {offer.name!r} cannot go along into a started process: it cannot be imported there "
            f"({offer.origin})",
            "register a module, or a class or function at the top level of one",
        )


def travelling() -> list[Offer]:
    """What a child is to know: resolved names, and everything registered, which it must be able to import."""
    offers = list(dict.fromkeys([*known.values(), *(offer for offer, _ in _in_code)]))
    for offer in offers:
        check_travels(offer)
    return offers


def adopt(inherited: list[Offer]) -> None:
    """In a child: what its parent had resolved or registered."""
    for offer in inherited:
        known[offer.kind, offer.name] = offer
        known[offer.kind, offer.qualified] = offer
        if offer.distribution == IN_CODE and all(other != offer for other, _ in _in_code):
            _in_code.append((offer, _Later()))


class _Later:
    """Stands for a plugin that the parent registered, until it is asked for: then it is imported."""


def _reference(plugin: Any) -> str:
    if isinstance(plugin, ModuleType):
        return plugin.__name__
    module, name = getattr(plugin, "__module__", None), getattr(plugin, "__qualname__", None)
    if module is None or name is None:
        return ""
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return f"{module}:{name}" if found is plugin else ""


_boot.deliver(__name__, adopt)
