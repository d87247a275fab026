"""Residents: objects that stay in the process which made them."""

from __future__ import annotations

from typing import Any, NoReturn, Self

from ipcframe.abc import Endpoint
from ipcframe.errors import UnsupportedOperation
from ipcframe.toolkit import forks

__all__ = ["Resident", "ResidentEndpoint"]


class Resident:
    """Refuses to be handed to another process, and to be used in a forked child, which has a copy of it.

    What can be done with the object begins with `_check_home`.
    """

    _home: object

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Remember the process."""
        made = super().__new__(cls)
        made._home = forks.generation
        return made

    def _check_home(self) -> None:
        if self._home is not forks.generation:
            self._refuse("cannot be used in a forked child")

    def __reduce__(self) -> NoReturn:
        self._refuse("cannot be handed to another process")

    def _refuse(self, what: str) -> NoReturn:
        raise UnsupportedOperation(
            f"{self!r} {what}: the backend 'loopback' declares in_process=True",
            "use it in threads, or choose a backend for processes: `ipcframe backends` shows them",
        )


class ResidentEndpoint(Resident, Endpoint):
    """The same of what can be closed, whose operations all begin with `_check_open`."""

    def _check_open(self) -> None:
        self._check_home()
        super()._check_open()

    def __reduce__(self) -> NoReturn:
        self._check_open()
        super().__reduce__()
