"""What runs in processes whose parents are killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import ipcframe
from ipcframe.conformance.targets import wait_for_end_of, wait_for_ever


def be_parent_among_others(method: str, held: Any, back: Any) -> None:
    """Start daemons while a thread forks by hand, then a program; tell the pids of both kinds."""
    ctx = ipcframe.get_context(method, backend="pipe")
    daemons = [ctx.Process(target=wait_for_ever, daemon=True) for _ in range(4)]
    others: list[int] = []

    def fork_by_hand() -> None:
        for _ in range(8):
            pid = os.fork()
            if pid == 0:
                wait_for_end_of(held)
                os._exit(0)
            others.append(pid)

    forking = threading.Thread(target=fork_by_hand)
    forking.start()
    for daemon in daemons:
        daemon.start()
    forking.join()
    others.append(subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE).pid)
    back.send(([daemon.pid for daemon in daemons], others))
    wait_for_ever()


def be_killed_at_once(method: str, back: Any) -> None:
    """Start a daemon and be killed, before it can have looked around."""
    ctx = ipcframe.get_context(method, backend="pipe")
    daemon = ctx.Process(target=wait_for_ever, daemon=True)
    daemon.start()
    back.send(daemon.pid)
    os.kill(os.getpid(), signal.SIGKILL)


def be_parent_of(daemon: Any, method: str, *args: Any) -> None:
    """Start a daemon that does this, and live until killed."""
    ctx = ipcframe.get_context(method, backend="pipe")
    ctx.Process(target=daemon, args=args, daemon=True).start()
    wait_for_ever()


def decide_for_oneself(held: Any, back: Any) -> None:
    """Tell of SIGTERM, and go on."""
    signal.signal(signal.SIGTERM, lambda *_: back.send("told to end"))
    back.send(os.getpid())
    wait_for_end_of(held)


def be_served(held: Any, back: Any) -> None:
    """Start a process by the fork server; tell its pid and the server's, and live until killed."""
    from ipcframe_forkserver.launcher import fork_server

    ctx = ipcframe.get_context("forkserver", backend="pipe")
    child = ctx.Process(target=wait_for_end_of, args=(held,))
    child.start()
    back.send((child.pid, fork_server._forkserver_pid))
    wait_for_ever()


def main(method: str) -> None:
    """As a program: start daemons, print the pids of all descendants, and live until killed."""
    ctx = ipcframe.get_context(method, backend="pipe")
    for _ in range(2):
        ctx.Process(target=wait_for_ever, daemon=True).start()
    print(*descendants(os.getpid()), flush=True)
    wait_for_ever()


def descendants(pid: int) -> list[int]:
    """The processes that descend from this one."""
    found = [pid]
    for one in found:
        found += map(int, Path(f"/proc/{one}/task/{one}/children").read_text("ascii").split())
    return found[1:]


if __name__ == "__main__":
    main(sys.argv[1])
