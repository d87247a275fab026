"""A policy: what is made with a name that begins with "frames" goes on the backend "sock".

pip install ./docs/examples/ipcframe_sock
python docs/examples/by_name.py
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import ipcframe


@ipcframe.hookimpl
def ipcframe_choose_backend(candidates: Sequence[str], kind: str, name: str | None) -> str | None:
    """Answer for our names; None leaves the others to the context, or to the next policy."""
    if name is not None and name.startswith("frames") and "sock" in candidates:
        return "sock"
    return None


def main() -> None:
    ipcframe.register(sys.modules[__name__], name="by-name")
    context = ipcframe.get_context(backend=["pipe", "sock"])
    for name in ("control", "frames of camera 1"):
        receiving, sending = context.Pipe(duplex=False, name=name)
        print(f"{name}: {type(receiving).__name__}")
        receiving.close()
        sending.close()


if __name__ == "__main__":
    main()
