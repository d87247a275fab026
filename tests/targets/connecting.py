"""How tests connect to a listener: two ends in one process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ipcframe.conformance.conditions import Worker
from ipcframe.connection import Client, Listener


@contextmanager
def connected(**how: Any) -> Iterator[tuple[Any, Any]]:
    """The client's end and the listener's."""
    with Listener(**how) as listener:
        client = Worker(lambda: Client(listener.address, authkey=how.get("authkey")))
        with listener.accept() as there, client.result() as here:
            yield here, there
