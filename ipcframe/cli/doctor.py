"""``ipcframe doctor``: what this machine offers to programs of many processes.

Checks come through the hook `ipcframe_doctor_checks`, the core's own included.
"""

from __future__ import annotations

import argparse
import importlib
import os
import resource
from collections.abc import Callable, Iterable
from pathlib import Path

from ..hookspecs import hookimpl

__all__ = ["ipcframe_cli_commands", "ipcframe_doctor_checks"]

Check = Callable[[], tuple[str, str]]
_FEW_DESCRIPTORS = 1024


@hookimpl
def ipcframe_cli_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``doctor``."""
    parser = commands.add_parser("doctor", help="say what this machine offers, and what it lacks")
    parser.set_defaults(run=_run)


@hookimpl
def ipcframe_doctor_checks() -> Iterable[Check]:
    """Offer the core's own checks."""
    return [_memfd, _pidfd, _sem_open, _shared_memory, _descriptors]


def _run(arguments: argparse.Namespace) -> int:
    verdicts = [check() for checks in reversed(_hooks(arguments)) for check in checks]
    for verdict, sentence in verdicts:
        print(f"{verdict:<5} {sentence}")
    return int(any(verdict == "bad" for verdict, _ in verdicts))


def _hooks(arguments: argparse.Namespace) -> list[Iterable[Check]]:
    found: list[Iterable[Check]] = arguments.hook.ipcframe_doctor_checks()
    return found


def _memfd() -> tuple[str, str]:
    if hasattr(os, "memfd_create"):
        return "good", "anonymous shared memory: memfd_create is there"
    return "note", "anonymous shared memory: no memfd_create; unlinked temporary files are used instead"


def _pidfd() -> tuple[str, str]:
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError) as error:
        return "note", f"deaths are noticed without a pidfd: pidfd_open fails here ({error})"
    return "good", "deaths: pidfd_open is there"


def _sem_open() -> tuple[str, str]:
    try:
        importlib.import_module("multiprocessing.synchronize")
    except ImportError:
        return "note", "multiprocessing's own locks cannot work: there is no sem_open"
    return "good", "multiprocessing's own locks: sem_open is there"


def _shared_memory() -> tuple[str, str]:
    path = Path("/dev/shm")
    if not path.is_dir():
        return "note", "/dev/shm is missing: multiprocessing's SharedMemory and locks fail here"
    free = os.statvfs(path).f_bavail * os.statvfs(path).f_frsize
    verdict = "note" if free < 2**27 else "good"
    return verdict, f"/dev/shm has {free // 2**20} MiB left (nothing of ours lies there)"


def _descriptors() -> tuple[str, str]:
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    verdict = "note" if limit <= _FEW_DESCRIPTORS else "good"
    return verdict, f"open descriptors: {limit} for each process (ulimit -n)"
