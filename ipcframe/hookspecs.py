"""The pluggy contract, version 1: the hooks that plugins may implement, and the marker for doing so.

A backend or start method implements the hook of its kind and nothing more. An observer or policy
implements any of the others, and acts only in contexts that name it, or when it was registered in code.
No hook is ever called on a data path.

New hooks and new arguments may be added within a version; an implementation names only the arguments
that it wants.
"""

from __future__ import annotations

from argparse import ArgumentParser, _SubParsersAction
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import pluggy

from .abc import Backend, Channel, Connection, StartMethod
from .settings import Sourced

__all__ = ["PROJECT", "hookimpl", "hookspec"]

PROJECT = "ipcframe"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)

# --- what a plugin offers ---


@hookspec(firstresult=True)
def ipcframe_backend(name: str, settings: Mapping[str, Sourced]) -> Backend | None:
    """Return the backend of this name, made from the settings given for it; None when it is not yours."""


@hookspec(firstresult=True)
def ipcframe_start_method(name: str, settings: Mapping[str, Sourced]) -> StartMethod | None:
    """Return the start method of this name; None when it is not yours."""


# --- creation: wrap these with @hookimpl(wrapper=True) to trace, compress, inject faults ---


@hookspec(firstresult=True)
def ipcframe_make_connection_pair(
    backend: Backend, duplex: bool, name: str | None
) -> tuple[Connection, Connection] | None:
    """Make the two ends of a pipe; a wrapper may replace the ends that it gets."""


@hookspec(firstresult=True)
def ipcframe_make_channel(backend: Backend, name: str | None) -> Channel | None:
    """Make a channel; a wrapper may replace the one that it gets."""


@hookspec(firstresult=True)
def ipcframe_make_object(backend: Backend, kind: str, args: tuple[Any, ...], name: str | None) -> Any:
    """Make a queue or primitive; a wrapper may replace the one that it gets.

    `kind` and `args` are those of `Backend.native`.
    """


# --- policies ---


@hookspec(firstresult=True)
def ipcframe_choose_backend(
    candidates: Sequence[str], kind: str, name: str | None, message_size: int | None
) -> str | None:
    """Return the name of the backend that an object is to be on; None leaves it to the context.

    `kind` is what is being made ("connection", "channel", "queue", "lock", ...); `candidates` are the names
    that the configuration allows, in its order; `name` is what the object was asked for by, and
    `message_size` how many bytes its messages are expected to have, where somebody has said so.
    """


@hookspec
def ipcframe_reducers() -> Iterable[tuple[type, Callable[[Any], Any]]]:  # type: ignore[empty-body]
    """Return pairs of a type and the function that reduces its instances for pickling."""


# --- notifications: what is returned is ignored, what is raised is reported and ignored ---


@hookspec
def ipcframe_object_created(kind: str, obj: object) -> None:
    """Something that crosses processes was made in this process."""


@hookspec
def ipcframe_process_started(process: Any) -> None:
    """This process started another one."""


@hookspec
def ipcframe_process_exited(process: Any) -> None:
    """This process noticed that one it had started has ended."""


@hookspec
def ipcframe_owner_died(obj: object, pid: int) -> None:
    """This process took over something whose owner, process `pid`, had died holding it."""


# --- the command line ---


@hookspec
def ipcframe_cli_commands(commands: _SubParsersAction[ArgumentParser]) -> None:
    """Add commands: ``commands.add_parser(name).set_defaults(run=function)``.

    The function takes the parsed arguments and returns the exit status.
    """


@hookspec
def ipcframe_doctor_checks() -> Iterable[Callable[[], tuple[str, ...]]]:  # type: ignore[empty-body]
    """Return checks of this machine.

    Each returns a verdict ("good", "note", "bad"), a sentence, and, where there is something to be done,
    what to do. One that raises is reported, and does not stop the others.
    """
