"""A policy: what is to carry large messages goes on another backend than the rest.

pip install ./docs/examples/ipcframe_sock
python docs/examples/by_size.py

The program gives a hint and names no backend: ``context.Pipe(message_size=...)``. Which backends may be
chosen is a matter of the configuration: ``backend = ["pipe", "sock"]``.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import ipcframe

LARGE = 64 * 1024
FOR_LARGE = "sock"


@ipcframe.hookimpl
def ipcframe_choose_backend(candidates: Sequence[str], message_size: int | None) -> str | None:
    """Answer where large messages are expected; None leaves the rest to the context."""
    if message_size is not None and message_size >= LARGE and FOR_LARGE in candidates:
        return FOR_LARGE
    return None


def main() -> None:
    ipcframe.register(sys.modules[__name__], name="by-size")
    context = ipcframe.get_context(backend=["pipe", FOR_LARGE])
    for size in (None, 100, 1920 * 1080 * 3):
        receiving, sending = context.Pipe(duplex=False, message_size=size)
        print(f"{size}: {type(receiving).__name__}")
        receiving.close()
        sending.close()


if __name__ == "__main__":
    main()
