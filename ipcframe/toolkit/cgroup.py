"""What control groups allow this process: a container's limits are seen in no other way.

Sources: cgroups(7), and the kernel's admin-guide/cgroup-v1/memory and admin-guide/cgroup-v2.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False  # every child that makes a queue imports this, and typing seldom
if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["MEMBERSHIP", "ROOT", "folders", "lines", "memory", "numbers"]

ROOT = "/sys/fs/cgroup"
MEMBERSHIP = "/proc/self/cgroup"


def memory(physical: int, root: str = ROOT, membership: str = MEMBERSHIP) -> tuple[int, int] | None:
    """The tightest limit on memory and what it leaves, in bytes; None where none is below `physical`."""
    found = []
    for folder, version in folders("memory", root, membership):
        names = ("memory.max", "memory.current")
        if version == 1:
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes")
        most, used = (numbers(f"{folder}/{name}") for name in names)
        # Version 1 says "none" by a number beyond all memory.
        if most and used and most[0] < physical:
            found.append((max(most[0] - used[0], 0), most[0]))
    return min(found)[::-1] if found else None


def folders(controller: str, root: str = ROOT, membership: str = MEMBERSHIP) -> Iterator[tuple[str, int]]:
    """The groups that hold this process, up to the root, with the version (1, 2) of their interface."""
    for line in lines(membership):
        _, controllers, group = line.split(":", 2)
        if not controllers:
            top, version = root, 2
        elif controller in controllers.split(","):
            top, version = f"{root}/{controller}", 1
        else:
            continue
        parts = [part for part in group.split("/") if part]
        if not os.path.isdir("/".join([top, *parts])):  # noqa: PTH112 - pathlib costs a child 4 ms
            parts = []  # in a container the path may be the host's
        for most in range(len(parts), -1, -1):
            yield "/".join([top, *parts[:most]]), version


def numbers(path: str) -> list[int]:
    """The numbers of a file of one line; none where it says that there is no limit."""
    words = " ".join(lines(path)).split()
    return [] if "max" in words else [int(word) for word in words]


def lines(path: str) -> list[str]:
    """The lines of a file of the system; none where it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123 - as above
            return file.read().splitlines()
    except OSError:
        return []
