"""What every object that crosses processes has in common: it can be closed, and says who closed it."""

from __future__ import annotations

import os
import sys
import threading
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

from ..errors import ClosedError

__all__ = ["Endpoint"]


class Endpoint(ABC):
    """One process's end of something shared. Closing it concerns this process alone."""

    _closed_by: str | None = None
    name: str | None = None
    """The name that the object was made with, or None."""

    @property
    def closed(self) -> bool:
        """Whether this end was closed, by this process."""
        return self._closed_by is not None

    def close(self) -> None:
        """Give up this end; again is no error.

        A wait in another thread ends with `ClosedError`: at once, or within a few seconds where nothing can
        wake it.
        """
        if self._closed_by is None:
            caller = sys._getframe(1)
            where = f"{caller.f_code.co_filename}:{caller.f_lineno}"
            self._closed_by = f"process {os.getpid()}, thread {threading.current_thread().name}, at {where}"
            self._close()

    @abstractmethod
    def _close(self) -> None:
        """Release what this end holds; called once.

        Blocks: never.
        Threads: others may be inside any method of this object; they must leave with `ClosedError`.
        Buffers: what was handed out before stays valid.
        Raises: nothing.
        Interrupted: what is not released yet is released when the object is collected.
        Peer death: makes no difference.
        After fork: closes the calling process's end only.
        """

    def _check_open(self) -> None:
        if self._closed_by is not None:
            raise ClosedError(
                f"{self!r} is closed: by {self._closed_by}", "use it before it is closed, or make a new one"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        name = f" {self.name!r}" if self.name else ""
        state = "closed" if self.closed else self._describe()
        return f"<{type(self).__name__}{name} {state} at {id(self):#x}>"

    def _describe(self) -> str:
        """A few words on the open object's state, for its repr."""
        return "open"
