"""What processes of the fork server run, and what it imports beforehand."""

from __future__ import annotations

import os
import random
import sys
from typing import Any

from orphan_targets import descendants

import ipcframe
from ipcframe.conformance.conditions import eventually, open_descriptors
from ipcframe.conformance.interrupts import Striker

CANNOT_FORK = "cannot_fork"
"""A module in the folder of the test, which makes os.fork fail in whatever imports it."""


def start_one(back: Any) -> None:
    """Start a process by the fork server, from wherever this runs; tell what came of it."""
    from ipcframe_forkserver.launcher import fork_server

    child = ipcframe.get_context("forkserver", backend="pipe").Process(target=sys.exit, args=(7,))
    child.start()
    child.join()
    back.send((child.exitcode, fork_server._forkserver_pid))
    fork_server._stop()


def tell_of_module(back: Any, name: str) -> None:
    """Tell whether the module was there already."""
    back.send(name in sys.modules)


def tell_signals(back: Any) -> None:
    """Tell what signals are blocked, and what becomes of Ctrl-C."""
    import signal

    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    ctrl_c, child = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGCHLD)
    back.send((sorted(map(int, blocked)), ctrl_c is signal.default_int_handler, child))


def start_interrupted(method: str) -> None:
    """Interrupt starts: each leaves a process that is known, or none."""
    ctx = ipcframe.get_context(method, backend="pipe")
    _start_and_join(ctx)
    family, before = set(descendants(os.getpid())), open_descriptors()
    with Striker(random.Random(5)).armed() as striker:
        while striker.struck < 10:
            process = ctx.Process(target=sys.exit, args=(7,))
            striker.strike(process.start)
            if process._popen is not None:
                process.join()
                assert process.exitcode == 7
            del process
    eventually(lambda: set(descendants(os.getpid())) == family)
    assert open_descriptors() == before


def join_interrupted(method: str) -> None:
    """Interrupt joins: no exit code is lost."""
    ctx = ipcframe.get_context(method, backend="pipe")
    _start_and_join(ctx)
    with Striker(random.Random(5)).armed() as striker:
        while striker.struck < 10:
            process = ctx.Process(target=sys.exit, args=(7,))
            process.start()
            while striker.strike(process.join):
                continue
            assert process.exitcode == 7


def _start_and_join(ctx: ipcframe.Context) -> None:
    process = ctx.Process(target=int)
    process.start()
    process.join()


def main(modules: list[str]) -> None:
    """As a program: have modules imported beforehand, and start two processes."""
    import multiprocessing

    multiprocessing.set_forkserver_preload(modules)
    ctx = ipcframe.get_context("forkserver", backend="pipe")
    for _ in range(2):
        ours, theirs = ctx.Pipe()
        child = ctx.Process(target=tell_of_module, args=(theirs, modules[-1]))
        try:
            child.start()
        except OSError as error:
            print(error)
            continue
        print(ours.recv(timeout=20))
        child.join()


if __name__ == "__main__":
    sys.path.insert(0, os.environ["MODULES"])  # the server is to find what its parent finds
    main(sys.argv[1:])
