"""Saboteurs that declare that their objects stay in their process, as one kind of them does not quite."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

from saboteurs import Saboteur

from ipcframe.abc import Channel, Connection, Counter, Line, OwnedLock
from ipcframe.settings import Sourced

sys.path.append(str(Path(__file__).parents[2] / "docs" / "examples" / "ipcframe_loopback"))
loopback: Any = import_module("ipcframe_loopback.plugin").LoopbackBackend


class ResidentSaboteur(Saboteur):
    """The backend of the examples that lives in one process; its connections have other methods."""

    capabilities = loopback.capabilities
    settings = loopback.settings
    methods: ClassVar[dict[str, Any]] = {}

    def __init__(self, settings: Mapping[str, Sourced]) -> None:
        super().__init__(settings)
        self.honest = loopback(settings)

    def connection_pair(self, duplex: bool) -> tuple[Connection, Connection]:
        pair: tuple[Connection, Connection] = self.honest.connection_pair(duplex)
        for end in pair:
            end.__class__ = type(type(end).__name__, (type(end),), self.methods)
        return pair

    def channel(self) -> Channel:
        made: Channel = self.honest.channel()
        return made

    def native(self, kind: str, *args: Any) -> Any:
        return self.honest.native(kind, *args)

    def owned_lock(self) -> OwnedLock:
        made: OwnedLock = self.honest.owned_lock()
        return made

    def counter(self, value: int, owned: bool) -> Counter:
        made: Counter = self.honest.counter(value, owned)
        return made

    def line(self) -> Line:
        made: Line = self.honest.line()
        return made


class WorksOnACopy(ResidentSaboteur):
    """A forked child uses its copy of a connection, and reaches nobody."""

    name = "works-on-a-copy"
    methods: ClassVar = {"_check_home": lambda end: None}
    rejected_by = "test_objects_stay_in_their_process_if_declared_and_only_then"


class HandsOverAName(ResidentSaboteur):
    """What is handed over as a connection arrives as its name alone."""

    name = "hands-over-a-name"
    methods: ClassVar = {"__reduce__": lambda end: (str, (end.name,))}
    rejected_by = "test_objects_stay_in_their_process_if_declared_and_only_then"
