"""Plugins for the tests, importable by children."""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping, Sequence
from typing import Any

from ipcframe.abc import Backend, Channel, Connection
from ipcframe.capabilities import Capabilities
from ipcframe.hookspecs import hookimpl
from ipcframe.settings import Setting, Size, Sourced
from ipcframe.toolkit.stream import StreamConnection


class MarkedConnection(StreamConnection):
    pass


class MarkedBackend(Backend):
    name = "marked"
    capabilities = Capabilities(fileno=True)
    settings = (Setting("room", Size, 1024, "some size"),)

    def connection_pair(self, duplex: bool) -> tuple[Connection, Connection]:
        read_fd, write_fd = os.pipe()
        return MarkedConnection(read_fd, None), MarkedConnection(None, write_fd)

    def channel(self) -> Channel:
        raise self._unsupported("channel", "channel")


class marked:  # noqa: N801 - a plugin as a namespace
    @staticmethod
    @hookimpl
    def ipcframe_backend(name: str, settings: Mapping[str, Sourced]) -> Backend | None:
        return MarkedBackend(settings) if name == "marked" else None


class UnavailableBackend(MarkedBackend):
    name = "nowhere"

    @classmethod
    def unavailable_reason(cls) -> str | None:
        return "it never can; install a miracle"


class nowhere:  # noqa: N801
    @staticmethod
    @hookimpl
    def ipcframe_backend(name: str, settings: Mapping[str, Sourced]) -> Backend | None:
        return UnavailableBackend(settings) if name == "nowhere" else None


class Recorder:
    """An observer as an object; it cannot be imported, so it does not travel."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Any]] = []

    @hookimpl
    def ipcframe_object_created(self, kind: str, obj: object) -> None:
        self.events.append((f"created {kind}", obj))

    @hookimpl
    def ipcframe_process_started(self, process: Any) -> None:
        self.events.append(("started", process.name))

    @hookimpl
    def ipcframe_process_exited(self, process: Any) -> None:
        self.events.append(("exited", process.exitcode))


class failing_observer:  # noqa: N801
    @staticmethod
    @hookimpl
    def ipcframe_object_created(kind: str) -> None:
        raise RuntimeError(f"cannot bear another {kind}")


class renaming_wrapper:  # noqa: N801
    @staticmethod
    @hookimpl(wrapper=True)
    def ipcframe_make_connection_pair(name: str | None) -> Generator[None, Any, Any]:
        pair = yield
        for end in pair:
            end.name = f"wrapped {name}"
        return pair


class marked_policy:  # noqa: N801
    @staticmethod
    @hookimpl
    def ipcframe_choose_backend(candidates: Sequence[str], kind: str, name: str | None) -> str | None:
        return "marked" if name == "special" else None


class size_policy:  # noqa: N801
    @staticmethod
    @hookimpl
    def ipcframe_choose_backend(kind: str, message_size: int | None) -> str | None:
        return "marked" if kind == "connection" and message_size is not None and message_size > 1000 else None


class Celsius:
    def __init__(self, degrees: float) -> None:
        self.degrees = degrees

    def __reduce__(self) -> Any:
        raise TypeError("only its plugin knows how")


class celsius_reducer:  # noqa: N801
    @staticmethod
    @hookimpl
    def ipcframe_reducers() -> list[Any]:
        return [(Celsius, lambda obj: (float, (obj.degrees,)))]
