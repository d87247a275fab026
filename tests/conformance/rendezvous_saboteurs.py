"""Saboteurs whose connections are as good as any, and at whose listeners one meets badly or not at all."""

from __future__ import annotations

import socket
from typing import Any, ClassVar

from saboteurs import Saboteur

from ipcframe.abc import Connection, Listener
from ipcframe.toolkit.abstract import new_address
from ipcframe.toolkit.listener import SocketListener
from ipcframe_unix.rendezvous import connect


class Meeting(Saboteur):
    """Its listeners are those of the toolkit, on abstract addresses."""

    capabilities = Saboteur.capabilities._replace(rendezvous=True)
    door: ClassVar[type[SocketListener]] = SocketListener
    true = "unix"

    def listener(self, address: Any = None, **options: Any) -> Listener:
        return self.door(address or new_address("saboteur"), socket.AF_UNIX, **options)

    def connect(self, address: Any, **options: Any) -> Connection:
        return connect(address, **options)


class Narrow(SocketListener):
    def _has_room(self) -> bool:
        self._most = 1
        return super()._has_room()


class OneAtATime(Meeting):
    """Goes through the handshake of one client before it looks at the next."""

    name = "one-at-a-time"
    door = Narrow
    fails_in_many_ways = True
    rejected_by = "test_clients_that_say_nothing_delay_nobody"


class Late(SocketListener):
    def accept(self, *, timeout: float | None = None) -> Any:
        return super().accept(timeout=None if timeout is None else timeout + 0.8)


class AcceptsLate(Meeting):
    """Waits for clients for longer than it is told."""

    name = "accepts-late"
    door = Late
    rejected_by = "test_accept_keeps_its_timeout[0]"


class MovesOn(Meeting):
    """Where its address is taken it listens at another, and says nothing."""

    name = "moves-on"
    rejected_by = "test_an_address_is_free_when_its_listener_is_closed_and_not_before"

    def listener(self, address: Any = None, **options: Any) -> Listener:
        try:
            return super().listener(address, **options)
        except OSError:
            return super().listener(None, **options)


class Nameless(Meeting):
    """Forgets the names of its listeners."""

    name = "forgets-the-name"
    rejected_by = "test_a_listener_takes_the_arguments_of_its_contract_and_keeps_its_name"

    def listener(self, address: Any = None, *, name: str | None = None, **options: Any) -> Listener:
        return super().listener(address, **options)
