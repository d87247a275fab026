"""A second backend, an observer that tells the two apart, and what children of such contexts run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import plugin_targets

import ipcframe
from ipcframe.abc import Backend
from ipcframe.hookspecs import hookimpl
from ipcframe.settings import Duration, Setting, Size, Sourced
from ipcframe_pipe.plugin import PipeBackend

made: list[tuple[str, str, str | None]] = []
"""The kind of what was made in this process, its backend, and its name."""


class TwinBackend(PipeBackend):
    name = "twin"
    settings = (  # type: ignore[assignment]  # two more than its base has
        *PipeBackend.settings,
        Setting("room", Size, 64 * 2**20, "some size"),
        Setting("patience", Duration, 0.25, "some duration"),
    )


class twin:  # noqa: N801 - a plugin as a namespace
    @staticmethod
    @hookimpl
    def ipcframe_backend(name: str, settings: Mapping[str, Sourced]) -> Backend | None:
        return TwinBackend(settings) if name == "twin" else None


nowhere = plugin_targets.nowhere


class witness:  # noqa: N801
    @staticmethod
    @hookimpl(wrapper=True)
    def ipcframe_make_connection_pair(backend: Backend, name: str | None) -> Any:
        made.append(("connection", backend.name, name))
        return (yield)

    @staticmethod
    @hookimpl(wrapper=True)
    def ipcframe_make_channel(backend: Backend, name: str | None) -> Any:
        made.append(("channel", backend.name, name))
        return (yield)

    @staticmethod
    @hookimpl(wrapper=True)
    def ipcframe_make_object(backend: Backend, kind: str, name: str | None) -> Any:
        made.append((kind, backend.name, name))
        return (yield)


class twin_policy:  # noqa: N801
    @staticmethod
    @hookimpl
    def ipcframe_choose_backend(name: str | None) -> str | None:
        return "twin" if name is not None and "policy" in name else None


def answer_where_objects_are(conn: Any, ctx: Any) -> None:
    """The backends of a queue named "frames": of the given context, and of this process's own."""
    made.clear()
    for each in (ctx, ipcframe.get_context(ctx.get_start_method())):
        each.Queue(name="frames")
        each.Lock(name="other")
    conn.send((os.getpid(), made))
