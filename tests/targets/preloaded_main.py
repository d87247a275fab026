"""A program whose main module is imported by the fork server, once for all children."""

from __future__ import annotations

import multiprocessing
import os
import sys
from multiprocessing import Queue
from typing import Any

import ipcframe

IMPORTED_IN = os.getpid()
ARGUMENTS = list(sys.argv)


def tell(back: Any) -> None:
    """Tell where this was imported, with which arguments, whose objects there are, and on what backend."""
    kind = type(Queue()).__module__.partition(".")[0]
    now = type(multiprocessing.Event()).__module__.partition(".")[0]
    back.send((IMPORTED_IN, ARGUMENTS[1:], kind, now, ipcframe.get_context().spec.backend.name))


def ask() -> Any:
    """Start a process by the fork server, and return what it tells."""
    ours, theirs = ipcframe.get_context("forkserver", backend="pipe").Pipe()
    child = ipcframe.get_context("forkserver", backend="pipe").Process(target=tell, args=(theirs,))
    child.start()
    found = ours.recv(timeout=20)
    child.join()
    return found


def main() -> None:
    """Print what children tell: twice while installed, and then without."""
    ipcframe.install(backend="pipe")
    first, second = ask(), ask()
    print(first[0] == second[0] != os.getpid(), *first[1:])
    from ipcframe import dropin

    dropin.uninstall()
    print(*ask()[3:])
    ipcframe.install(backend="pipe")
    print(*ask()[3:])


if __name__ == "__main__":
    main()
