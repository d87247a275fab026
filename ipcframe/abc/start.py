"""StartMethod: how a process comes to be."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Protocol

from ..capabilities import StartCapabilities
from ..errors import UnsupportedOperation

__all__ = ["Launched", "ProcessHandle", "StartMethod"]


class ProcessHandle(Protocol):
    """A started process as its parent sees it: the interface of the standard library's launchers."""

    pid: int
    sentinel: int
    """A descriptor that becomes readable when the process has ended."""
    returncode: int | None

    def poll(self, flag: int = ...) -> int | None:
        """The exit code, negative for a signal; None while the process runs."""
        ...

    def wait(self, timeout: float | None = None) -> int | None:
        """`poll`, waiting up to `timeout` seconds."""
        ...

    def terminate(self) -> None:
        """Send SIGTERM."""
        ...

    def kill(self) -> None:
        """Send SIGKILL."""
        ...

    def close(self) -> None:
        """Give up the descriptors."""
        ...


class Launched(Protocol):
    """What is launched: `_bootstrap` runs it in the child.

    A start method that does not inherit memory pickles it. The child must unpickle `_name` first: what
    the child needs before it imports the main module travels with it.
    """

    _name: str

    def _bootstrap(self, parent_sentinel: int | None = None) -> int:
        """Run to the end in the child; returns the exit code.

        `parent_sentinel` is a descriptor that is at its end when the parent has ended, preferably a pipe's.
        Without one, daemonic processes outlive a killed parent.
        """
        ...


class StartMethod(ABC):
    """One way to start a process; a plugin as backends are."""

    name: ClassVar[str]
    """What users type, and the name of the entry point."""
    label: ClassVar[str]
    """How class names begin: label "Fork" gives ForkContext and ForkProcess."""
    capabilities: ClassVar[StartCapabilities]

    @classmethod
    def unavailable_reason(cls) -> str | None:
        """Why this start method cannot run on this machine, with the remedy; None when it can."""
        return None

    @abstractmethod
    def launch(self, launched: Launched) -> ProcessHandle:
        """Start a process that runs `launched`.

        Blocks: until the process exists, not until it runs.
        Threads: any number at once.
        Buffers: what is not inherited has been pickled when this returns.
        Raises: OSError when there can be no more processes; what pickling raises. Nothing is left then.
        Interrupted: there is a process that the parent knows of, or there is none.
        Peer death: a child that dies at once is a child that has exited.
        After fork: a child may launch its own.
        """

    def preload(self, modules: Sequence[str]) -> None:
        """Name modules to be imported once for all children; see `StartCapabilities.preloads`."""
        raise UnsupportedOperation(
            f"the start method {self.name!r} has no preload", "it imports modules in each child"
        )

    def drop_ins(self) -> dict[str, Any]:
        """What `ipcframe.install` puts in the place of multiprocessing's own objects, by their full names.

        For those that programs and tests reach for, such as the server that processes are forked from.
        """
        return {}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"
