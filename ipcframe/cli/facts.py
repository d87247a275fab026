"""The facts of this machine that `ipcframe doctor` judges; each is read anew, and leaves nothing behind.

Sources: proc(5), and the kernel's scheduler/sched-bwc and admin-guide/cgroup-v2.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import platform
import resource
import secrets
from pathlib import Path
from typing import Any, NamedTuple

from ..toolkit import cgroup, memory

__all__ = ["Machine", "Space"]

_FUTEX = {"x86_64": 202, "aarch64": 98}
_FUTEX_WAKE = 1


class Space(NamedTuple):
    """Bytes of something, and how many of them are left."""

    size: int
    left: int


class Machine:
    """This machine, as this process sees it. What it does not offer raises OSError or AttributeError."""

    groups = Path("/sys/fs/cgroup")
    proc = Path("/proc")
    shm = Path("/dev/shm")

    def name(self) -> str:
        """The Python and the system."""
        python = f"{platform.python_implementation()} {platform.python_version()}"
        return f"{python} on {platform.system()} {platform.release()}, {platform.machine()}"

    def start_methods(self) -> list[str]:
        """What multiprocessing of this Python offers; its default comes first."""
        return multiprocessing.get_all_start_methods()

    def make_semaphore(self) -> None:
        """Make a named semaphore, as multiprocessing's locks do; its name is gone at once."""
        made: Any = importlib.import_module("_multiprocessing")
        made.SemLock(1, 1, 1, f"/ipcframe-{os.getpid()}-{secrets.token_hex(4)}", True)

    def make_memfd(self) -> None:
        """Make a file in memory."""
        os.close(os.memfd_create("ipcframe-doctor"))

    def open_pidfd(self) -> None:
        """Open a descriptor of this process."""
        os.close(os.pidfd_open(os.getpid()))

    def wake_futex(self) -> bool:
        """Wake nobody; False where the number of the system call is not known here."""
        number = _FUTEX.get(platform.machine()) if platform.system() == "Linux" else None
        if number is None:
            return False
        import ctypes

        word = ctypes.c_uint32(0)
        call = ctypes.CDLL(None, use_errno=True).syscall
        if call(ctypes.c_long(number), ctypes.byref(word), _FUTEX_WAKE, 1, None, None, 0) < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        return True

    def shared_memory(self) -> Space:
        """The filesystem that multiprocessing's SharedMemory lies in."""
        state = os.statvfs(self.shm)
        return Space(state.f_blocks * state.f_frsize, state.f_bavail * state.f_frsize)

    def limit(self, name: str) -> int | None:
        """A resource limit of this process (``"RLIMIT_NOFILE"``); None where there is none."""
        soft, _ = resource.getrlimit(getattr(resource, name))
        return None if soft == resource.RLIM_INFINITY else soft

    def memory(self) -> Space:
        """The machine's memory."""
        lines = cgroup.lines(str(self.proc / "meminfo"))
        left = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
        size = memory.physical_memory()
        return Space(size, int(left[0]) * 1024 if left else size)

    def group_memory(self) -> Space | None:
        """The tightest limit on memory among the control groups of this process."""
        found = cgroup.memory(memory.physical_memory(), *self._groups())
        return None if found is None else Space(*found)

    def cores(self) -> tuple[int, int, float | None]:
        """How many there are, how many this process may run on, and for how many it gets time."""
        count = os.cpu_count() or 1
        usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else count
        quotas = []
        for folder, version in cgroup.folders("cpu", *self._groups()):
            names = ("cpu.cfs_quota_us", "cpu.cfs_period_us") if version == 1 else ("cpu.max",)
            share = [number for name in names for number in cgroup.numbers(f"{folder}/{name}")]
            if len(share) == 2 and share[0] > 0:
                quotas.append(share[0] / share[1])
        return count, usable, min(quotas, default=None)

    def _groups(self) -> tuple[str, str]:
        return str(self.groups), str(self.proc / "self/cgroup")
