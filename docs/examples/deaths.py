"""An observer: it logs every lock that was taken over from a process that had died.

    python deaths.py

Installed with an entry point in the group ``ipcframe.plugins``, it acts where it is named:
``plugins = ["deaths"]``.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import warnings
from typing import Any

import ipcframe

log = logging.getLogger("deaths")


@ipcframe.hookimpl
def ipcframe_owner_died(obj: Any, pid: int) -> None:
    """Called where the lock is taken over, before `acquire` returns."""
    log.warning("process %s died holding the %s %r", pid, type(obj).__name__, obj.name)


def die_holding(lock: Any) -> None:
    lock.acquire()
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    logging.basicConfig(stream=sys.stdout, format="%(levelname)s: %(message)s")
    # Programs are told by a warning anyway; here the log is enough.
    warnings.simplefilter("ignore", ipcframe.OwnerDiedWarning)
    ipcframe.register(sys.modules[__name__], name="deaths")
    context = ipcframe.get_context()
    lock = context.Lock(name="index")
    child = context.Process(target=die_holding, args=(lock,))
    child.start()
    child.join()
    with lock:
        print("the next one has it")


if __name__ == "__main__":
    main()
