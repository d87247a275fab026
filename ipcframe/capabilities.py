"""What backends and start methods declare of themselves: facts that users and tests rely on.

Two kinds. An *operation* that is declared absent raises `UnsupportedOperation`. A *fact* tells good
backends apart, and the conformance kit checks it in both directions. What every backend keeps (nothing
hangs, order, nothing torn, end of stream, survival of the killed) is no capability and cannot be
declared away.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Capabilities", "StartCapabilities"]


class Capabilities(NamedTuple):
    """What a backend declares. Every field has the value that promises least as its default."""

    # operations
    channel: bool = False
    """`Backend.channel` works here."""
    descriptors: bool = False
    """A connection passes open file descriptors to a process that already runs."""
    rendezvous: bool = False
    """Processes that are no relatives meet by an address (`Backend.listener`, `Backend.connect`)."""
    loans: bool = False
    """A sender writes a message in place, in memory lent by the transport."""
    fileno: bool = False
    """`fileno()` of a receiving endpoint can be waited on by select, poll and event loops."""

    # facts
    zero_copy: bool = False
    """Large buffers out of band reach the receiver without a copy in this library's code."""
    crosses_hosts: bool = False
    """The two ends may be on different machines."""
    message_limit: int | None = None
    """Largest message of a connection in bytes; None where only memory limits it."""
    packet_size: int = 0
    """Largest packet of a channel in bytes; 0 without a channel."""
    in_process: bool = False
    """Objects live in the process that made them. To hand one to another process, or to use it in a forked
    child, raises `UnsupportedOperation`."""


class StartCapabilities(NamedTuple):
    """What a start method declares."""

    inherits_memory: bool = False
    """The child starts with a copy of the parent's memory: its target and arguments need no pickling."""
    forked: bool = False
    """The child begins as a fork, of its parent or of a server: hooks for after a fork run in it."""
    imports_main: bool = False
    """The child imports the parent's main module, which therefore needs an ``if __name__`` guard."""
    preloads: bool = False
    """`StartMethod.preload` names modules that are imported once, for all children."""
