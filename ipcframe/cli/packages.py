"""The doctor's checks of plugins: what each says of itself, and whose files its package is.

A package is found by name and not imported for it. Where it is not among the files of the distribution that
offers the plugin, another package of that name shadows it, and the wrong code would run.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import warnings
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from urllib.parse import unquote, urlsplit

from .. import _plugins, config
from ..errors import IpcframeError
from ..settings import Sourced
from .backends import declared

__all__ = ["checks"]

Check = Callable[[], tuple[str, ...]]
_CORE = (__package__ or "").partition(".")[0]


def checks() -> list[Check]:
    """One for the core, one for each plugin that is installed, and one for what a program would get."""
    offers = [offer for kind in _plugins.KINDS for offer in _plugins.offers(kind)]
    return [_core, *(partial(_plugin, offer) for offer in offers), *_duplicates(offers), *_others(), _choice]


def _core() -> tuple[str, ...]:
    try:
        distribution = importlib.metadata.distribution(_CORE)
    except importlib.metadata.PackageNotFoundError:
        return (
            "bad",
            f"{_CORE} is imported from {_folder(_CORE)} and is not installed: no plugin comes with it",
            f"pip install {_CORE}",
        )
    return _whose(_CORE, _CORE, distribution) or (
        "good",
        f"{_CORE} {distribution.version}, from {_folder(_CORE)}",
    )


def _plugin(offer: _plugins.Offer) -> tuple[str, ...]:
    noun = _plugins.KINDS[offer.kind].noun
    package = offer.reference.partition(":")[0].partition(".")[0]
    if offer.distribution != _plugins.IN_CODE:
        distribution = importlib.metadata.distribution(offer.distribution)
        wrong = _whose(f"the {noun} {offer.name!r}", package, distribution)
        if wrong:
            return wrong  # and whatever else is wrong comes from that
    try:
        reason, declares = _asked(offer)
    except IpcframeError as error:
        return "bad", error.problem, error.remedy
    origin = f"{offer.distribution} {offer.version}, from {_folder(package)}"
    if reason is not None:
        return "note", f"{noun} {offer.name!r} cannot run here ({origin}): {reason}"
    return "good", f"{noun} {offer.name!r}{declares} ({origin})"


def _asked(offer: _plugins.Offer) -> tuple[str | None, str]:
    """Why it cannot run here, or None, and what it can do; raises when it is broken."""
    if _plugins.KINDS[offer.kind].hook is None:
        _plugins.load(offer)
        return None, ""
    made = _plugins.make(offer, {})
    return _plugins.unavailable_reason(offer, made), f": {declared(made.capabilities._asdict())}"


def _duplicates(offers: Iterable[_plugins.Offer]) -> list[Check]:
    qualified: dict[tuple[str, str], list[str]] = {}
    for offer in offers:
        qualified.setdefault((offer.kind, offer.name), []).append(offer.qualified)
    return [
        partial(_duplicate, _plugins.KINDS[kind].noun, name, forms)
        for (kind, name), forms in qualified.items()
        if len(forms) > 1
    ]


def _duplicate(noun: str, name: str, forms: list[str]) -> tuple[str, ...]:
    return "note", f"more than one {noun} is called {name!r}", f"write {' or '.join(map(repr, forms))}"


def _others() -> list[Check]:
    found = [one for kind in _plugins.KINDS for one in _plugins.of_other_contracts(kind)]
    return [partial(_other, offer, group) for offer, group in found]


def _other(offer: _plugins.Offer, group: str) -> tuple[str, ...]:
    return "note", _plugins.other_contract(offer, group), _plugins.OTHER_CONTRACT.format(offer)


def _choice() -> tuple[str, ...]:
    """What a program gets that names nothing in its code."""
    from ..context import spec_for

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            spec = spec_for()
        except IpcframeError as error:
            return "bad", f"no context can be made: {error.problem}", error.remedy
    settings = config.effective()
    start = settings.get("start_method", Sourced(spec.start_method.name, "the running Python"))
    sentence = (
        f"a program that names nothing is on the backend {spec.backend.name!r} "
        f"({settings['backend'].source}), by the start method {spec.start_method.name!r} ({start.source})"
    )
    if caught:
        return "note", f"{sentence}: {caught[0].message}"
    return "good", sentence


def _whose(what: str, package: str, distribution: importlib.metadata.Distribution) -> tuple[str, ...]:
    """The verdict where the package is not the distribution's; empty where it is."""
    paths = _paths(package)
    owner = f"{distribution.metadata['Name']} {distribution.version}"
    if not paths:
        return "bad", f"{what}: the package {package!r} of {owner} cannot be found", f"reinstall {owner}"
    if any(_owns(distribution, path) for path in paths):
        return ()
    # An installation without a list of its files lies beside its metadata.
    beside = Path(str(distribution.locate_file(""))).resolve()
    if distribution.files is None and any(path.parent == beside for path in paths):
        return ()
    return (
        "bad",
        f"{what}: the package {package!r} is imported from {paths[0]}, which is none of the files of {owner}"
        + (f" (in {beside})" if _editable(distribution) is None else ""),
        f"start from another folder, or rename or remove {paths[0]}, or reinstall {owner.partition(' ')[0]}",
    )


def _paths(package: str) -> list[Path]:
    """The folders of a package, or the file of a module; nothing is imported."""
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return []
    if spec is None:
        return []
    if spec.submodule_search_locations:
        return [Path(path).resolve() for path in spec.submodule_search_locations]
    return [Path(spec.origin).resolve()] if spec.origin else []


def _folder(package: str) -> str:
    paths = _paths(package)
    return str(paths[0] if paths and paths[0].is_dir() else paths[0].parent) if paths else "nowhere"


def _owns(distribution: importlib.metadata.Distribution, path: Path) -> bool:
    checkout = _editable(distribution)
    if checkout is not None and path.is_relative_to(checkout):
        return True
    for file in distribution.files or ():
        located = Path(str(distribution.locate_file(file)))
        # Only what may be it is resolved: a distribution can have thousands of files.
        if path.name in located.parts and located.resolve().is_relative_to(path):
            return True
    return False


def _editable(distribution: importlib.metadata.Distribution) -> Path | None:
    """The checkout that an editable installation stands for."""
    try:
        record = json.loads(distribution.read_text("direct_url.json") or "{}")
    except ValueError:
        return None
    if not record.get("dir_info", {}).get("editable"):
        return None
    return Path(unquote(urlsplit(record["url"]).path)).resolve()
