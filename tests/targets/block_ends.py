"""Pairs of ends that send large messages in shared memory, and the state of their blocks."""

from __future__ import annotations

import gc
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy

from ipcframe.toolkit.blocks import LEAST
from ipcframe.toolkit.doorbell import descriptors
from ipcframe.toolkit.rights import RightsConnection

Ends = tuple[RightsConnection, RightsConnection]
SIZE = 2 * LEAST
FREE, TAKEN, SENT = 0, 1, 2


@contextmanager
def sending_and_receiving() -> Iterator[Ends]:
    """A sending and a receiving end; both leave nothing."""
    before = _open_and_mapped()
    first, second = socket.socketpair()
    with (
        RightsConnection(None, first.detach()) as sender,
        RightsConnection(second.detach(), None) as receiver,
    ):
        yield sender, receiver
    del sender, receiver
    if _open_and_mapped() - before:
        gc.collect()
        assert not _open_and_mapped() - before


def numbers() -> set[str]:
    """The descriptors of this process, without those that it waits with; no garbage is collected first."""
    return set(os.listdir("/proc/self/fd")) - set(map(str, descriptors()))  # noqa: PTH208


def _open_and_mapped() -> set[str]:
    """The same, and the blocks that it has mapped."""
    lines = Path("/proc/self/maps").read_text().splitlines()
    return numbers() | {line for line in lines if "ipcframe block" in line}


def array(number: int) -> Any:
    """An array that is sent in a block."""
    return numpy.full(SIZE // 8, number)


def states(sender: RightsConnection) -> list[int]:
    """The states of the blocks of an end: FREE, TAKEN or SENT."""
    blocks = sender._outlet._blocks
    return [] if blocks is None else [block.state for block in blocks._blocks]
