"""A process with less than it has: limits for the time of a block."""

from __future__ import annotations

import contextlib
import itertools
import os
import resource
from collections.abc import Iterator

__all__ = ["few_descriptors", "free_descriptor", "limited"]


@contextlib.contextmanager
def limited(what: int, value: int) -> Iterator[None]:
    """Set a limit of this process, one of the RLIMIT_ constants of `resource`."""
    soft, hard = resource.getrlimit(what)
    resource.setrlimit(what, (value, hard))
    try:
        yield
    finally:
        resource.setrlimit(what, (soft, hard))


def few_descriptors(free: int) -> contextlib.AbstractContextManager[None]:
    """So many can be opened, and no more."""
    return limited(resource.RLIMIT_NOFILE, free_descriptor(free))


def free_descriptor(after: int = 0) -> int:
    """The lowest number that no open descriptor has, or that of one after so many others."""
    unused = (number for number in itertools.count() if not _is_open(number))
    return next(itertools.islice(unused, after, None))


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True
