"""A program whose child ends in some way; run with either library, it prints the same."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from typing import Any


def raises() -> None:
    raise ValueError("out of order")


def exits() -> None:
    sys.exit(3)


def exits_with_text() -> None:
    sys.exit("with these words")


def interrupted() -> None:
    raise KeyboardInterrupt


def send_descriptors(conn: Any) -> None:
    conn.send(len(list(Path("/proc/self/fd").iterdir())))


def send_inheritable_memory(conn: Any, *kept: Any) -> None:
    """What a program that this process executes would get of ours."""
    open_here = [Path(f"/proc/self/fd/{fd}") for fd in range(3, 256)]
    inherited = [one for one in open_here if one.is_symlink() and os.get_inheritable(int(one.name))]
    conn.send([name for name in map(str, map(Path.readlink, inherited)) if "ipcframe" in name])


TARGETS = {
    "raises": raises,
    "exits": exits,
    "exits with text": exits_with_text,
    "interrupted": interrupted,
}


if len(sys.argv) == 4 and sys.argv[1] in {
    "multiprocessing",
    "ipcframe",
}:  # a child has its parent's arguments
    _base: Any = importlib.import_module(sys.argv[1]).get_context(sys.argv[2]).Process

    class Worker(_base):  # type: ignore[misc]
        def run(self) -> None:
            raise KeyError(self.name)


def main(library: str, method: str, case: str) -> None:
    ctx = importlib.import_module(library).get_context(method)
    child = Worker(name="w") if case == "subclass" else ctx.Process(target=TARGETS[case], name="child")
    child.start()
    child.join()
    print(child.exitcode)


if __name__ == "__main__":
    main(*sys.argv[1:])
