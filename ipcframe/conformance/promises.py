"""What is promised, in one sentence each, and the decorator that ties a case to its promise."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from .case import Case

__all__ = ["PAGE", "PROMISES", "promise"]

PAGE = "docs/reference/promises"

PROMISES = {
    # connections
    "connection.whole": "A message arrives whole, once, in the order it was sent.",
    "connection.one-stream": "Bytes and objects share one stream, and a message can be passed on as it is.",
    "connection.windows": "Offset and size count bytes; what lies outside of the buffer is refused.",
    "connection.into": "recv_bytes_into fills the caller's buffer, or hands over the message in an error.",
    "connection.maxlength": "A message above maxlength is refused before anything is allocated for it.",
    "connection.arrays": "Arrays arrive equal, and writable.",
    "connection.poll": "poll tells whether recv would find something, and takes nothing.",
    "connection.fileno": (
        "The descriptor can be waited on, and is readable while there is something to receive."
    ),
    "connection.directions": "An end does what it says it can, and refuses the rest.",
    "connection.close": "A closed end refuses with ClosedError, which says who closed it.",
    "connection.close-ends-waits": "Closing an end ends the waits of other threads on it.",
    "connection.timeouts": "A timeout is kept: not before, and at most 50 ms late.",
    "connection.timeout-values": (
        "None and infinity wait, zero and less do not, what is no number is refused."
    ),
    "connection.end-of-stream": (
        "After the delivered messages comes EndOfStream, within 0.1 s of the peer's end."
    ),
    "connection.peer-gone": "Who sends to nobody gets PeerGone, within 0.1 s, parked or not.",
    "connection.death": "A killed sender's message is delivered whole or not at all.",
    "connection.unpicklable": (
        "What cannot be pickled raises in send, with the path to it; the stream goes on."
    ),
    "connection.unloadable": "What cannot be unpickled raises in recv; the next message arrives.",
    "connection.garbage": (
        "Bytes that are no message give BrokenConnection, and nothing is allocated for them."
    ),
    "connection.nesting": "Reducers and signal handlers may use connections, also the very one in use.",
    "connection.reducers": "Reducers of multiprocessing.reduction and copyreg count, also registered late.",
    "connection.threads": "Threads may share an end: each message goes to one of them, and nothing mixes.",
    "connection.fork": "After a fork the child's objects work, whatever the parent's threads were doing.",
    "connection.handoff": "Each end can be handed to another process, by argument or through a connection.",
    "connection.interrupts": (
        "An interrupted operation loses nothing, tears nothing, and leaves the end usable."
    ),
    # channels
    "channel.once": "Each packet is taken whole, by exactly one receiver, in order for each sender.",
    "channel.sizes": "Packets of 1 to packet_size bytes pass; others are refused.",
    "channel.timeouts": "A full or empty channel keeps the timeout.",
    "channel.close": (
        "A closed channel refuses with ClosedError, and closing ends the waits of other threads."
    ),
    "channel.fileno": "The channel's descriptor is readable while a packet can be taken.",
    "channel.handoff": "A channel can be handed to other processes, which may send and receive.",
    "channel.killed": "A killed process takes along at most the packet that it was taking.",
    "channel.interrupts": "An interrupted receive loses no packet; an interrupted send puts one in or none.",
    # backends
    "capabilities.true": "What a backend declares of itself is so, a declared no included.",
    "backend.idle": "A backend opens nothing and starts nothing before it is asked for something.",
    "leftovers.none": (
        "Nothing is left behind: no descriptors, threads, files or warnings, after a kill included."
    ),
    # start methods
    "start.exit-codes": "The exit code is the child's own, and negative for a signal.",
    "start.life": "A child is alive from start until its end is noticed, and its sentinel shows its end.",
    "start.join": "join waits for the child's end and no longer than its timeout.",
    "start.signals": "terminate and kill end the child.",
    "start.daemon": (
        "Daemonic children end with their parent, others are waited for; daemons have no children."
    ),
    "start.close": "close gives the process up, and is refused while it runs.",
    "start.exception": "The parent finds the exception that ended the child, with the text of its traceback.",
    "start.arguments": "Target, arguments, name and daemon flag arrive in the child.",
    "start.memory": "Memory is inherited where that is declared, and only there.",
    "start.refusal": "A start that fails leaves nothing behind.",
    "start.descendants": "Children start children of their own.",
    "start.capabilities": "What a start method declares of itself is so.",
}

_Function = TypeVar("_Function", bound=Callable[..., Any])


def promise(identifier: str) -> Callable[[_Function], _Function]:
    """Tie a case to its promise: its outcome is counted, and its failure says what was promised."""
    assert identifier in PROMISES, identifier

    def tied(function: _Function) -> _Function:
        @functools.wraps(function)
        def case(self: Case, *args: Any, **kwargs: Any) -> None:
            __tracebackhide__ = True
            with self.judged(identifier):
                function(self, *args, **kwargs)

        return case  # type: ignore[return-value]

    return tied
