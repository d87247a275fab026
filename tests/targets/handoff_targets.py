"""What children of the tests of handles run; and, as a program, a sender that ends with handles in flight."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import ipcframe
from ipcframe.toolkit import abstract, sharer


def give_and_wait(context: Any, to: Any, wait: Any) -> None:
    """Send an end of a new pair, and live until the other side of `wait` is closed."""
    kept, end = context.Pipe()
    to.send(end)
    try:
        wait.recv()
    except EOFError:
        kept.close()


def use_each(carrier: Any, back: Any) -> None:
    while True:
        with carrier.recv() as end:
            end.send("used")
        back.send("done")


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate()]


def main() -> None:
    context = ipcframe.get_context("fork", backend="pipe")
    (carrier, to), (hear, tell) = context.Pipe(False), context.Pipe(False)
    context.Process(target=use_each, args=(carrier, tell), daemon=True).start()
    print(threads())
    for available in (True, False):
        abstract.AVAILABLE = available
        kept, end = context.Pipe()
        to.send(end)
        assert (kept.recv(timeout=20), hear.recv(timeout=20)) == ("used", "done")
        end.close()
        kept.close()
        print(threads(), [path.name[:16] for path in Path(os.environ["TMPDIR"]).glob("*/*")])
        if available:
            sharer._sharer = None  # the next one has a name
    to.send([context.Pipe(), context.Event(), context.Queue()])


if __name__ == "__main__":
    main()
