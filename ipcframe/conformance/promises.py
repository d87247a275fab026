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
    "connection.large": "A large message is its receiver's own memory, however it came, while it is kept.",
    "connection.descriptors": (
        "A descriptor that is sent arrives in its order, open, as one of the receiver's own, and never leaks."
    ),
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
    "channel.fork": "After a fork the child's channels work, whatever the parent's threads were doing.",
    "channel.handoff": "A channel can be handed to other processes, which may send and receive.",
    "channel.killed": "A killed process takes along at most the packet that it was taking.",
    "channel.interrupts": "An interrupted receive loses no packet; an interrupted send puts one in or none.",
    # killed at every step
    "steps.put": "A process killed at any step of put has put its object, whole, or has not.",
    "steps.get": "A process killed at any step of get takes along at most one object.",
    "steps.lock": "A process killed at any step of taking a lock or giving it back leaves it to the next.",
    "steps.semaphore": (
        "A process killed at any step with a permit takes one along at most, and none that is owned."
    ),
    "steps.event": "A process killed at any step of set hangs nobody.",
    "steps.condition": "A process killed at any step of wait or notify hangs nobody.",
    "steps.barrier": "A process killed at any step of a barrier's wait hangs nobody.",
    # queues
    "queue.once": "Each object goes whole to exactly one consumer, and those of one producer in their order.",
    "queue.timeouts": "A full or empty queue keeps the timeout, and raises queue.Full or queue.Empty.",
    "queue.maxsize": "A maxsize is never exceeded, and a put that waits for room goes on when there is some.",
    "queue.counts": "qsize, empty and full count every completed put, at once.",
    "queue.unpicklable": "What cannot be pickled raises in put, with the path to it; the queue goes on.",
    "queue.unloadable": "What cannot be unpickled raises in that get; the next object arrives.",
    "queue.delivered": "What put returned from is delivered, also when its producer dies at once.",
    "queue.memory": (
        "What nobody gets lies in shared memory, up to a limit in bytes, and is given back when it is got."
    ),
    "queue.close": "A closed queue refuses with ClosedError, and closing ends the waits of other threads.",
    "queue.killed": (
        "A killed process takes along at most the object that it was taking, and holds nobody up."
    ),
    "queue.interrupts": "An interrupted get loses no object; an interrupted put puts one in, whole, or none.",
    "queue.nesting": "Signal handlers may use the very queue that their thread is using.",
    "queue.stopped": "A stopped process holds nobody up who waits elsewhere, and prolongs no timeout.",
    "queue.fork": "After a fork the child's queues work, whatever the parent's threads were doing.",
    "queue.handoff": "A queue can be handed to other processes, by argument or through a connection.",
    "queue.joinable": "join waits until every object that was put has been reported done, and no longer.",
    "queue.idle": "Who waits for an empty queue uses no processor time to speak of.",
    "queue.ends": "What programs reach for inside of multiprocessing's queues is there: _reader and _writer.",
    "queue.repr": "The repr of a queue shows its name and its state, and takes nothing.",
    # primitives
    "lock.api": "What can be acquired takes arguments, answers and refuses as multiprocessing's does.",
    "lock.owner": "A lock's owner is the process that acquired it; any process may release a Lock.",
    "lock.recursion": "An RLock is acquired again by its thread, and released by its thread alone.",
    "lock.exclusion": "One at a time is inside, of processes and of threads.",
    "lock.dead-owner": (
        "What the dead held goes to the next within 0.1 s, parked or not, and the next one is told."
    ),
    "lock.left-held": "A lock that a process holds when it ends normally stays held.",
    "semaphore.api": "A semaphore has permits from 0 to 2**31 - 1, and counts them.",
    "semaphore.permits": "No permit is lost and none is made; each release lets one waiter go on.",
    "semaphore.owned": "An owned semaphore has the permits of the dead back, and no others.",
    "condition.api": "A condition waits with its lock released, and needs it for everything.",
    "condition.notify": "notify wakes as many as it says, whichever process they are in.",
    "condition.killed": "A waiter that is killed swallows no notification, received or not.",
    "event.api": "An event is set until it is cleared.",
    "event.wakes": "set wakes everybody who waits, and waits for nobody, dead or stopped.",
    "barrier.api": "A barrier tells how many parties it has, how many wait, and whether it is broken.",
    "barrier.passes": "All parties go on when the last has come, each with a number of its own.",
    "barrier.breaks": "A party that dies, times out or aborts breaks the barrier for all; reset mends it.",
    "sync.timeouts": "A wait for a primitive keeps its timeout: not before, and at most 50 ms late.",
    "sync.stopped": "A process that is stopped delays nobody who does not need it, and no timeout.",
    "sync.killed": "A process killed at any instant is as if it had never waited, and stops nobody.",
    "sync.interrupts": "An interrupted operation has been done or has not, and the primitive stays usable.",
    "sync.signals": "A signal handler may use the very primitive that its thread is using.",
    "sync.idle": "Who waits sleeps: no timer wakes it.",
    "sync.fork": "After a fork the child's primitives work, and it holds nothing of its parent's.",
    "sync.handoff": "Every primitive can be handed to another process, by argument or through a connection.",
    "sync.descriptors": "A thousand primitives cost few descriptors, also as arguments of a child.",
    # handles
    "handle.in-flight": (
        "A handle that is sent to a process which runs already arrives there while its sender lives."
    ),
    "handle.lost": "A handle whose sender has ended is an error at once, and the next message arrives.",
    # rendezvous
    "rendezvous.meet": "A listener meets any number of clients, each on a connection of its own.",
    "rendezvous.strangers": "Processes that are no relatives meet by an address, and by nothing else.",
    "rendezvous.key": "Who does not know the key is refused, with an error on both sides.",
    "rendezvous.silent": "A client that says nothing delays nobody.",
    "rendezvous.timeouts": "accept and connect keep their timeouts: not before, and at most 50 ms late.",
    "rendezvous.close": (
        "Closing a listener ends the waits of all threads, tells its clients, and frees its address."
    ),
    "rendezvous.killed": "A killed listener or client is the end for its connections, and for nothing else.",
    "rendezvous.interrupts": "An interrupted accept loses no client.",
    "rendezvous.fork": "A forked child that closes its copy of a listener leaves it to its parent.",
    # backends
    "capabilities.true": "What a backend declares of itself is so, a declared no included.",
    "backend.settings": "What is configured is checked; an error names the key and where it came from.",
    "backend.answers": "A plugin answers to its own name, and says None to every other.",
    "backend.signatures": "Operations take the arguments of their contract, with its names and defaults.",
    "backend.names": "An object keeps the name that it was made with, and shows it.",
    "backend.making": "What cannot be made for want of descriptors leaves none open.",
    "descriptors.not-inherited": "Every descriptor is closed on exec: no program inherits one by accident.",
    "backend.idle": "A backend opens nothing and starts nothing before it is asked for something.",
    "leftovers.none": (
        "Nothing is left behind: no descriptors, threads, files or warnings, after a kill included."
    ),
    "leftovers.silent": "Nothing is printed, on neither stdout nor stderr.",
    # start methods
    "start.exit-codes": "The exit code is the child's own, and negative for a signal.",
    "start.life": "A child is alive from start until its end is noticed, and its sentinel shows its end.",
    "start.join": "join waits for the child's end and no longer than its timeout.",
    "start.signals": "terminate and kill end the child.",
    "start.daemon": (
        "Daemonic children end with their parent, killed or not; at its exit it waits for the others; "
        "daemons have no children."
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
            self.leave_if_slow(identifier)
            with self.judged(identifier):
                function(self, *args, **kwargs)

        case.promised = identifier  # type: ignore[attr-defined]
        return case  # type: ignore[return-value]

    return tied
