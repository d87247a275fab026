"""Queue: derived from a channel, with a spill file behind it.

A message that fits a packet goes into the channel. When that is full, or the message is larger, it goes into
the spill file, and whatever follows too, until the file is empty again. A consumer takes from the channel
first, and from the file when the channel is empty. So the messages of one producer keep their order: at any
moment what it has in the channel is older than what it has in the file. Who takes from the file has looked
at its end, and found the channel empty *after* that: what lies before the end has no elder in the channel.

Threads of one process share what they take: it lands in one line, in this order, under a lock, and each takes
the first in line. Else one thread could take a packet while the one before it, taken from the file, is still
another's to use, and then be given that one. A process of one thread needs none of that, while the file is
empty.

Nothing is counted that a death could falsify: how many packets the channel holds is read from the kernel.
Packets are padded to sizes that leave a remainder of 1 when divided by a number larger than the channel's
capacity; then the remainder of the channel's backlog is the number of packets in it. (A pickle ends where
it says, so padding behind it does no harm.)

Without a maxsize, a put needs no lock as long as the channel takes it. With one, puts are made in sections of
the producers' guard, so that no two of them find the last room. Who waits for room is rung by consumers; one
may be killed between taking and ringing, so he looks again each second. (A signal handler that puts may
interrupt a put that has just found the last room: then there is one more in the queue than its maxsize.)
"""

from __future__ import annotations

import functools
import operator
import os
import queue
import threading
import time
from select import POLLIN
from typing import Any

from ...abc import Buffer, Channel, Notify, Serializer, silent
from ...deadline import NEVER, NOW, Deadline, deadline_after
from ...errors import UnsupportedOperation
from .. import forks
from ..extents import Extent
from ..packets import others
from ..serialisation import PICKLE
from ..spill import HINT, LONGEST, Record, Spill
from ..waiters import FLAG, Waiters
from ..waiting import Patience
from .ends import Ends
from .parts import backend_of, need
from .putting import Putting, deadline_of

__all__ = ["Nothing", "Queue", "deadline_of", "rebuild"]

_IN_PASSING = 0.5
_IN_VAIN = 3
"""So often in a row a wait may end with nothing to take, before it is asked why."""
_MOST = 2**31 - 1
"""The largest maxsize of a semaphore, which multiprocessing makes of 0 and less."""


class Queue(Ends, Putting):
    """A queue of objects, each of which goes to exactly one process; see `ipcframe.abc.Queue`."""

    notify: Notify = staticmethod(silent)

    def __init__(self, maxsize: int = 0, *, ctx: Any) -> None:
        """Make a queue on the backend of `ctx`; not positive, `maxsize` sets no bound.

        Raises UnsupportedOperation where the backend has no channel that can be waited on.
        """
        backend = backend_of(ctx)
        capable = backend.capabilities
        other = "choose a backend that has them: `ipcframe backends` shows what each declares"
        need(backend, "a channel (it declares channel=False)", capable.channel, other)
        need(backend, "a channel that can be waited on (it declares fileno=False)", capable.fileno, other)
        need(backend, "eventfds and files in memory", hasattr(os, "eventfd"), "run it on Linux")
        if maxsize > 0:
            maxsize = operator.index(maxsize)  # as multiprocessing's semaphore has it
        if maxsize > _MOST:
            raise OverflowError(f"a maxsize of {maxsize} is above {_MOST}")
        limit = backend.configured["queue_limit"].value if "queue_limit" in backend.configured else None
        channel = backend.channel()
        try:
            spill = Spill.create(limit)
        except BaseException:
            channel.close()
            raise
        self._attach(channel, spill, max(maxsize, 0), PICKLE, None, silent)

    def _attach(
        self,
        channel: Channel,
        spill: Spill,
        maxsize: int,
        serializer: Serializer,
        name: str | None,
        notify: Notify,
    ) -> None:
        self._name = name
        self.notify = notify
        self._channel = channel
        self._send = channel._send
        self._spill = spill
        self._words = spill.words
        self._maxsize = maxsize
        self._serializer = serializer
        divisor = channel.capacity + 1
        self._divisor = divisor
        # The largest size of a packet that leaves 1, and what a record of the file holds.
        self._fits = (channel.packet_size - 1) // divisor * divisor + 1
        self._small = min(self._fits, LONGEST)
        self._tails, self._padding = _padding(divisor, self._small)
        segment, slot = spill.place
        self._room_words = segment.words
        self._room_flag = segment.slot_words(slot) + FLAG
        self._room = Waiters(segment, slot)
        self.name = name
        self._interests = ((channel.fileno(), POLLIN), (spill.fd, POLLIN))
        self._restart()

    @property
    def name(self) -> str | None:
        """The name that the queue was made with, or None."""
        return self._name

    @name.setter
    def name(self, name: str | None) -> None:
        self._name = name
        self._spill.title = f"the queue {name!r}" if name else "a queue without a name"

    def _restart(self) -> None:
        self.landed: tuple[Record, ...] = ()  # see `Landing`
        self._counted = 0  # in a queue that counts what was taken, how many of those are counted
        self._read: tuple[Extent, ...] = ()  # extents that were read, and are still to be given back
        self._landing = threading.RLock()
        self._patience = Patience()
        self._generation = forks.generation

    def _forked(self) -> None:
        with forks.renewal:
            if self._generation is not forks.generation:
                self._restart()

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """Take an object out of the queue; see `ipcframe.abc.Queue.get`."""
        if self._closed_by is not None:
            self._check_open()
        message: Buffer | None = None
        try:
            message = self._take(NEVER if timeout is None and block else deadline_of(block, timeout))
            if message is None:
                raise Nothing
            if self._maxsize:
                self._make_room_known()
            return self._serializer.loads(message)
        except Exception:
            self._check_open()
            raise
        except BaseException:
            if message is not None:
                self.landed = ((message, None), *self.landed)
            raise

    def _make_room_known(self) -> None:
        """Wake who waits for room."""
        if self._maxsize and self._room_words[self._room_flag]:
            self._room.ring_all()

    def _take(self, deadline: Deadline) -> Buffer | None:
        """The next message, which is the caller's; None when the deadline passed first.

        No call stands between the taking and the return, nor between the return and the caller's store.
        """
        if self._generation is not forks.generation:
            self._forked()
        patience, channel = self._patience, self._channel
        if patience.expects_to_wait and deadline is not NOW and not self._holds_message():
            patience.wait(self._interests, deadline)
        in_vain = hint = 0
        while True:
            line = self.landed
            if not (line or self._words[HINT] or others()):
                packet = channel._receive(NOW)
                if packet is not None:
                    return packet
                hint = 0
            elif not line:
                hint = self._land(channel)
                line = self.landed
            if line:
                message, extent = line[0]
                if extent is not None:
                    self._read_extent(line, extent)
                elif self.landed is line:
                    self.landed = line[1:]
                    return message
            elif deadline.expired:
                return None
            elif not hint:
                in_vain += 1
                self._wait_for_more(in_vain, deadline)

    def _land(self, channel: Channel) -> int:
        """Have the next message land, unless one has; whether there may be something in the file."""
        with self._landing:
            hint = self._words[HINT]
            if hint and not self.landed and not self._channel_has_more():
                # At once or not at all: other threads wait for this lock.
                self._spill.take(self, self._channel_has_more, NOW)
            if not self.landed:
                packet = channel._receive(NOW)
                if packet is not None:
                    self.landed = (*self.landed, (packet, None))
        return hint

    def _wait_for_more(self, in_vain: int, deadline: Deadline) -> None:
        """Wait until there may be something to take; there was not, so often in a row."""
        if in_vain > _IN_VAIN:
            self._spill.reset()
        self._patience.wait(self._interests, deadline)
        self._check_open()

    def _read_extent(self, landed: tuple[Record, ...], extent: Extent) -> None:
        """Replace the large message that has landed first by its bytes."""
        extents = self._spill.extents
        extents.bury_consumers(self._spill.taken)
        ready = ((extents.read(extent), None), *landed[1:])
        if self.landed is landed:
            self.landed = ready
            self._read = (extent, *self._read)
        while read := self._read:
            extents.drop(read[0])
            if self._read is read:
                self._read = read[1:]

    def _channel_has_more(self) -> bool:
        # In this order: another thread may just be moving a packet from the channel to what it holds.
        return bool(self._channel._backlog()) or self._channel._holds_packet()

    def _holds_message(self) -> bool:
        """Whether an interrupted get has left something in this process, where no descriptor shows it."""
        return bool(self.landed) or self._channel._holds_packet()

    def _poll(self, deadline: Deadline) -> bool:
        """Whether there is something to get before the deadline."""
        if self._generation is not forks.generation:
            self._forked()
        in_vain = 0
        while True:
            self._check_open()
            if self._holds_message() or self._size():
                return True
            if deadline.expired:
                return False
            in_vain += 1
            self._wait_for_more(in_vain, deadline)

    # --- the rest ---

    def qsize(self) -> int:
        """The number of objects in it; see `ipcframe.abc.Queue.qsize`."""
        self._check_open()
        return self._size()

    def _size(self) -> int:
        # What was put before this was called is in one of the two, and never moves to the other.
        return self._spill.count() + self._channel._backlog() % self._divisor

    def empty(self) -> bool:
        """Whether there is nothing to get; see `ipcframe.abc.Queue.empty`."""
        self._check_open()
        return not (self._spill.count() or self._channel._backlog())

    def full(self) -> bool:
        """Whether a put would have to wait; see `ipcframe.abc.Queue.full`."""
        self._check_open()
        return 0 < self._maxsize <= self._size()

    def join_thread(self) -> None:
        """Nothing to wait for: what `put` returned from is safe."""
        if self._closed_by is None:
            raise AssertionError(f"{self!r} is not closed")

    def cancel_join_thread(self) -> None:
        """Nothing is waited for at exit."""

    def _terminate_broken(self) -> None:
        """What `concurrent.futures` calls when its processes have died."""
        self.close()

    def _describe(self) -> str:
        bound = f"maxsize {self._maxsize}, " if self._maxsize else ""
        return f"{bound}{self._size()} in it, on {self._channel!r}"

    def _close(self) -> None:
        if self._maxsize:
            self._room.ring_all()  # who waits for room in this process finds it closed
        self._channel.close()
        self._spill.close()

    def __del__(self) -> None:
        if self._closed_by is None and hasattr(self, "_generation"):
            self._closed_by = "the garbage collector"
            self._channel.close()
            self._spill.close()

    def _left_over(self) -> bool:
        return bool(self.landed) and self._generation is forks.generation

    def __reduce__(self) -> tuple[Any, ...]:
        self._check_open()
        until = deadline_after(_IN_PASSING)
        while self._left_over() and not until.expired:
            time.sleep(0.001)  # it may be another thread's, which is just taking it
        if self._left_over():
            raise UnsupportedOperation(
                f"{self!r} cannot be handed over: an interrupted get holds an object", "get it first"
            )
        state = (self._channel, self._spill, self._maxsize, self._serializer, self.name, self.notify)
        return rebuild, (type(self), state)


class Nothing(queue.Empty):
    """There was nothing to get; by its class told from what an object raises that is being unpickled."""


@functools.cache
def _padding(divisor: int, most: int) -> tuple[list[bytes], list[bytes]]:
    """What is added by the remainder that lacks, so that 1 is left when divided, and by the size."""
    tails = [bytes(size) for size in range(divisor)]
    return tails, [tails[(1 - size) % divisor] for size in range(most + 1)]


def rebuild(kind: type[Queue], state: tuple[Any, ...]) -> Queue:
    """A queue from what `Queue.__reduce__` sent."""
    made = kind.__new__(kind)
    made._attach(*state)
    return made
