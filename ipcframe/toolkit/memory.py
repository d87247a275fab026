"""Anonymous memory that processes share, and how much of it there is.

Nothing here has a name: a file goes when the last process that holds a descriptor of it has ended.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys

from . import cgroup

__all__ = ["anonymous_file", "available", "physical_memory"]


def anonymous_file(name: str, size: int = 0) -> int:
    """The descriptor of a new file in memory, closed on exec; `name` is for people who look into /proc.

    With a size it is sparse, and sealed against growing and shrinking where the system has seals: nobody
    can then take pages away from under a mapping of it. Raises OSError at the system's limits.
    """
    fds: list[int] = []
    try:
        # It lands in the list in the call that opens it: a handler may raise right after (see `guard`).
        if hasattr(os, "memfd_create"):
            fds.extend(map(os.memfd_create, (name,), (os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING,)))
        else:
            import tempfile

            with tempfile.TemporaryFile() as file:
                fds.extend(map(os.dup, (file.fileno(),)))
        if size:
            os.ftruncate(fds[0], size)
            if sys.platform == "linux":
                with contextlib.suppress(OSError):  # a temporary file has no seals
                    seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
                    fcntl.fcntl(fds[0], fcntl.F_ADD_SEALS, seals)
        return fds[0]
    except BaseException:
        for fd in fds:
            os.close(fd)
        raise


def physical_memory() -> int:
    """The machine's memory in bytes: no message can be larger."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def available() -> int:
    """The bytes that the machine, and the control groups of this process, have left.

    From MemAvailable of /proc/meminfo (proc(5)), and `cgroup.memory`; where there is neither, the machine's
    memory.
    """
    whole = physical_memory()
    found = [whole]
    found += [
        int(line.split()[1]) * 1024
        for line in cgroup.lines("/proc/meminfo")
        if line.startswith("MemAvailable")
    ]
    group = cgroup.memory(whole)
    return min(found) if group is None else min(*found, group[1])
