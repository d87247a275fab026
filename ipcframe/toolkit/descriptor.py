"""Reads and writes that are not done before somebody iterates: rule I1 of `framing` wants them so."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from ..abc import Buffer

__all__ = ["Descriptor"]


class Descriptor:
    """A descriptor that does not block, and the ways to move bytes through it.

    Each way takes a sequence of one thing and gives an iterator; a step of it moves bytes, in one call of C,
    and gives what came of it. BlockingIOError when nothing can be moved.
    """

    __slots__ = ("fd", "fill", "gather", "read", "write")

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.read: Callable[[tuple[int]], Iterator[bytes]] = partial(map, os.read, (fd,))
        """Takes how many bytes to read at most; gives them, and none at the end."""
        self.fill: Callable[[tuple[list[Buffer]]], Iterator[int]] = partial(map, os.readv, (fd,))
        """Takes where to read to; gives how many bytes were read."""
        self.write: Callable[[Sequence[Buffer]], Iterator[int]] = partial(map, os.write, (fd,))
        """Takes what to write; gives how many bytes were written."""
        self.gather: Callable[[tuple[Sequence[Buffer]]], Iterator[int]] = partial(map, os.writev, (fd,))
        """Takes several to be written as if they were one; gives how many bytes were written."""
