"""Arrivals: descriptors that a message is about, fetched from the process that sent it.

A handle in a message (a connection, a queue, a primitive) stands there without its descriptors: for each of
them there is a *ticket*. Who rebuilds the handle shows the ticket to the sender's `sharer`, which gives the
descriptor, once. What a message needs for certain is fetched in one *visit*; what is lent by an owner may be
here already (see `segment`), and has a visit of its own.

A message whose rebuilding was interrupted is put back, and rebuilt again. So what was fetched for it is kept
until it has been rebuilt, and is found by its ticket. The steps of a visit follow rule I1 of `framing`: what
a call of C gives lands in a list within that call, and who was interrupted goes on where he stopped.
"""

from __future__ import annotations

import array
import contextlib
import errno
import os
import socket
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice, repeat
from typing import Any

from ..deadline import Deadline, deadline_after
from ..errors import HandleLost
from .abstract import foreign_user

__all__ = [
    "GIVEN",
    "MOST",
    "SECRET",
    "UNKNOWN",
    "Arrival",
    "Landed",
    "Message",
    "Ticket",
    "arrive",
    "settle",
]

SECRET = 16
"""The bytes of a ticket that nobody can guess."""
MOST = 250
"""So many tickets are shown at once; the system passes 253 descriptors in one piece (SCM_MAX_FD)."""
GIVEN, UNKNOWN = b"+", b"-"
"""What the sharer answers: here are the descriptors, or there are none for these tickets."""
_PATIENCE = 10.0
"""How long to wait for the sender, in seconds. It answers within microseconds, unless it was stopped."""
_LEAST = 0.001
_SHOWN = 2
"""How many steps there are before the answer."""
_PAUSE = 0.005
"""How long to wait, in seconds, when the sharer's backlog is full: nothing tells when it will not be."""
_ROOM = socket.CMSG_SPACE(MOST * array.array("i").itemsize)
_CLOSED_ON_EXEC = getattr(socket, "MSG_CMSG_CLOEXEC", 0)
_arrivals: dict[bytes, Arrival] = {}
"""What this process has fetched, or begun to fetch, for messages that are not rebuilt yet."""
_do_all: Callable[[Iterable[object]], None] = deque[object](maxlen=0).extend


class Ticket(bytearray):
    """What stands for a descriptor in a pickle; whoever can show it has a right to the descriptor.

    It is a secret, a byte that is 1 if an owner lends the descriptor, and the address of the sharer.
    """

    @classmethod
    def new(cls, address: bytes, lent: bool) -> Ticket:
        """A ticket that there was never before."""
        return cls(b"%b%c%b" % (os.urandom(SECRET), lent, address))

    @property
    def secret(self) -> bytes:
        """What the sharer knows it by."""
        return bytes(self[:SECRET])


class Landed(list[int]):
    """A descriptor that is here, until it is given away."""

    keeps: object = None
    """What it was given to."""


class Arrival(Landed):
    """A descriptor to be fetched; the list holds it as soon as it is here.

    What it is given to lasts until the message has been rebuilt.
    """

    def __init__(self, ticket: bytes, message: Message, kept: bool) -> None:
        super().__init__()
        self.ticket = ticket
        self.message = message
        self._kept = kept

    @property
    def lent(self) -> bool:
        """Whether an owner lends it, who may be here already."""
        return self.ticket[SECRET] == 1

    @property
    def address(self) -> bytes:
        """Where it is to be had."""
        return self.ticket[SECRET + 1 :]

    def detach(self) -> int:
        """The descriptor, which is the caller's, and closed on exec.

        No signal handler comes between its making and the return. Raises as `fetch` does.
        """
        self.fetch()
        # It stays here in case the message has to be rebuilt once more.
        for fd in map(os.dup, self) if self._kept else map(self.pop, (0,)):
            return fd
        raise AssertionError

    def fetch(self) -> None:
        """Have the descriptor in the list.

        Blocks: until the sender's sharer has answered, for 10 s at most; signal handlers run meanwhile.
        Raises HandleLost, and OSError at the system's limits.
        """
        self.message.visit(self).make()

    def decline(self, keeps: object) -> None:
        """The descriptor is not needed: the sender need not wait for anybody to fetch it."""
        self.keeps = keeps
        self.message.visit(self).call_off()


class Message:
    """A message that is being rebuilt: what it has been, or is to be, visited for."""

    def __init__(self) -> None:
        self.visits: list[_Visit] = []

    def expect(self, ticket: bytes) -> Arrival:
        """The arrival for a ticket of this message, kept until `settle`."""
        return _arrivals.setdefault(ticket, Arrival(ticket, self, kept=True))

    def visit(self, arrival: Arrival) -> _Visit:
        """The visit that fetches this arrival."""
        for visit in self.visits:
            if arrival.ticket in visit.wanted:
                return visit
        wanted = {arrival.ticket: arrival}
        if not arrival.lent:
            known = {ticket for visit in self.visits for ticket in visit.wanted}
            ours = [one for one in list(_arrivals.values()) if one.message is self and not one.lent]
            same = (one for one in ours if one.address == arrival.address and one.ticket not in known)
            wanted |= {one.ticket: one for one in islice(same, MOST - 1)}
        visit = _Visit(arrival.address, wanted)
        self.visits.append(visit)
        return visit


class _Visit:
    """A connection to a sharer, to fetch some descriptors."""

    def __init__(self, address: bytes, wanted: dict[bytes, Arrival]) -> None:
        self.wanted = wanted
        self._address = address
        self._over = False
        self._lines: list[socket.SocketType] = []
        self._steps: list[Any] = []  # what connect, send and recvmsg returned

    def make(self) -> None:
        """Have the descriptors in their arrivals, or raise; once done it does nothing."""
        if not self._over:
            deadline = deadline_after(_PATIENCE)
            try:
                self._show(deadline)
                self._receive(deadline)
            except Exception as error:
                self._hang_up()
                if isinstance(error, TimeoutError) and deadline.expired:
                    raise self._lost(f"does not answer within {_PATIENCE:g} s: it may be stopped") from None
                if isinstance(error, ConnectionRefusedError | FileNotFoundError):
                    raise self._lost("has ended before that") from None
                if isinstance(error, ConnectionResetError | BrokenPipeError):
                    raise self._lost("has ended before that, or gives it to its own user only") from None
                raise
        self._hang_up()

    def call_off(self) -> None:
        """Show the tickets without waiting for the answer: the sender need keep nothing for them."""
        if not self._over:
            with contextlib.suppress(OSError):
                self._show(deadline_after(_LEAST))
            self._over = True
        self._hang_up()

    def _show(self, deadline: Deadline) -> None:
        if not self._lines:
            self._steps = []
            self._lines.extend(map(socket.SocketType, (socket.AF_UNIX,), (socket.SOCK_STREAM,)))
        line, steps = self._lines[0], self._steps
        secrets = b"".join(ticket[:SECRET] for ticket in self.wanted)
        while len(steps) < _SHOWN:
            line.settimeout(max(deadline.remaining(), _LEAST))
            moves = map(line.connect, (self._address,)), map(line.send, (secrets,))
            try:
                # One right after the other, so that the sharer need not wake up twice.
                steps.extend(chain.from_iterable(moves[len(steps) :]))
            except BlockingIOError:  # many others are waiting to be let in
                if deadline.expired:
                    raise TimeoutError from None
                time.sleep(_PAUSE)

    def _receive(self, deadline: Deadline) -> None:
        line, steps = self._lines[0], self._steps
        if len(steps) == _SHOWN:
            line.settimeout(max(deadline.remaining(), _LEAST))
            steps.extend(map(line.recvmsg, (1,), (_ROOM,), (_CLOSED_ON_EXEC,)))
        data, ancillary, _, _ = steps[_SHOWN]
        fds = array.array("i")
        for level, kind, packed in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                fds.frombytes(packed)
        trusted = foreign_user(line) is None
        if trusted and len(fds) == len(self.wanted):
            for arrival, fd in zip(self.wanted.values(), fds, strict=True):
                if not _CLOSED_ON_EXEC:
                    os.set_inheritable(fd, False)
                arrival[:] = (fd,)
            self._over = True
            return
        for _ in _closing(fds):
            self._steps = []
        if not trusted:
            raise self._lost("has ended, and another user's process answers in its place")
        if data == UNKNOWN:
            raise self._lost("has none for this message: another has received it, or its sending failed")
        if data == GIVEN:
            raise OSError(errno.EMFILE, f"{os.strerror(errno.EMFILE)}: a handle was received")
        raise ConnectionResetError

    def _hang_up(self) -> None:
        while self._lines:
            self._lines[-1].close()
            self._lines.pop()

    def abandon(self) -> None:
        """Forget it in a forked child: it is the parent's."""
        self._over, self._steps = False, []
        self._hang_up()

    def _lost(self, why: str) -> HandleLost:
        pid = self._address.rpartition(b"-")[0].rpartition(b"-")[2].decode("ascii", "replace")
        return HandleLost(
            f"a message holds a handle whose descriptor its sender, process {pid}, was to give; it {why}",
            "the sender of a handle must live until the handle has been received",
        )


def arrive(ticket: Arrival | bytes | bytearray | memoryview) -> Arrival:
    """What a pickle calls: the arrival that is expected, or one for who unpickles without a `Message`."""
    return ticket if isinstance(ticket, Arrival) else Arrival(bytes(ticket), Message(), kept=False)


def settle(tickets: Iterable[bytes]) -> Iterator[object]:
    """An iterator that gives up, in its one step, what was kept for these tickets.

    That is a single call of C. In a ``for`` statement no signal handler runs after it: what follows, up to
    the next call, is done for certain.
    """
    return _closing(chain.from_iterable(map(_arrivals.pop, tickets, repeat(()))))


def _closing(fds: Iterable[int]) -> Iterator[object]:
    return map(_do_all, (map(os.close, fds),))


def _in_child() -> None:
    for arrival in list(_arrivals.values()):
        for visit in arrival.message.visits:
            visit.abandon()
        while arrival:
            os.close(arrival.pop())
    _arrivals.clear()


os.register_at_fork(after_in_child=_in_child)
