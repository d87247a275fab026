"""Doorbells: how a sleeping thread of any process is woken, without a descriptor in the object it waits on.

Who is about to sleep makes a doorbell, a datagram socket with an abstract address that nobody can guess,
and leaves its number with the object. Who changes the object rings those numbers. A doorbell lives as long
as its waiter: ringing that of a dead one fails, so that nobody counts on the dead. A ring that was sent
is kept by the kernel until it is looked at, so none is lost by ringing before the waiter sleeps.

Abstract addresses (unix(7)) are Linux's; elsewhere, and where sockets are forbidden, a doorbell has no
number, and its waiter looks again now and then.
"""

from __future__ import annotations

import atexit
import contextlib
import math
import os
import socket
import weakref
from collections.abc import Iterable, Iterator
from select import POLLIN, poll
from types import TracebackType

from ..deadline import Deadline
from .identity import Watch

__all__ = ["Doorbell", "borrow", "descriptors", "give_back", "prepare", "ring"]

_LOOK_AGAIN = 0.02
"""How often one looks who can be told nothing, in seconds: as seldom as a death within 0.1 s allows."""
_LONGEST = 3600.0
"""poll() counts milliseconds in 31 bits."""
_MOST_SPARE = 4


_all: weakref.WeakSet[Doorbell] = weakref.WeakSet()


class Doorbell:
    """The means to sleep of one thread for one wait: use it in a ``with`` statement."""

    _sockets: list[socket.SocketType] = []  # noqa: RUF012 - until the object's own is there
    number = 0

    def __init__(self) -> None:
        _all.add(self)
        # A handler may raise after any call: the socket lands in the list in the same call that makes it.
        self._sockets = []
        self.number = 0
        try:
            self._sockets.extend(_new_socket())
            number = int.from_bytes(os.urandom(8), "little") >> 1 | 1
            self._sockets[0].bind(_address(number))
            self.number = number
        except (OSError, AttributeError):
            self.close()

    def sleep(self, deadline: Deadline, watches: Iterable[Watch] = (), blind: bool = False) -> None:
        """Sleep until somebody has rung since `forget`, a watched process ends, or the deadline.

        It may be woken for nothing.

        Blocks: as said; `blind` if nobody knows this doorbell: then only for a short while. Signal handlers
        run meanwhile.
        """
        poller = poll()
        blind = blind or not self._sockets
        for one in self._sockets:
            poller.register(one.fileno(), POLLIN)
        for watch in watches:
            if watch.dead:
                return
            if watch.fd < 0:
                blind = True
            else:
                poller.register(watch.fd, POLLIN)
        left = deadline.remaining()
        if blind:
            left = min(left, _LOOK_AGAIN)
        elif left != math.inf:
            left = min(left, _LONGEST)
        poller.poll(None if left == math.inf else math.ceil(left * 1000))

    def fileno(self) -> int:
        """What becomes readable when somebody rings, to sleep on together with others; -1 if nobody can."""
        return self._sockets[0].fileno() if self._sockets else -1

    def forget(self) -> None:
        """Forget the rings so far; then look at what is waited for, and then sleep."""
        try:
            while self._sockets:
                self._sockets[0].recv(1)
        except BlockingIOError:
            return

    def close(self) -> None:
        """Nobody sleeps here any more."""
        self.number = 0
        if self._sockets:
            _close_all(self._sockets)

    def __del__(self) -> None:
        self.close()

    def __enter__(self) -> Doorbell:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        give_back(self)


class _Spares:
    """What this process keeps for the next wait: making a socket costs microseconds."""

    def __init__(self) -> None:
        self.doorbells: list[Doorbell] = []
        self.ended = False
        """Whether this process ends, and nothing is kept for later any more."""

    def close(self) -> None:
        """Give them up."""
        while self.doorbells:
            self.doorbells.pop().close()


_spares = _Spares()
_senders: list[socket.SocketType] = []
"""What rings, if it could be made. It has no state, so a forked child may share it."""


def prepare() -> None:
    """Have what is needed to ring: later there may be no descriptor left."""
    if not _senders and not _spares.ended:
        with contextlib.suppress(OSError, AttributeError):
            _senders.extend(_new_socket())


def _new_socket() -> Iterator[socket.SocketType]:
    """Makes a datagram socket when it is asked for the next one, in a single call of C."""
    return map(socket.SocketType, (socket.AF_UNIX,), (socket.SOCK_DGRAM | socket.SOCK_NONBLOCK,))


def _close_all(sockets: list[socket.SocketType]) -> None:
    for one in sockets:
        one.close()
    sockets.clear()


def borrow() -> Doorbell:
    """A doorbell that nobody has rung."""
    try:
        bell = _spares.doorbells.pop()
    except IndexError:
        return Doorbell()
    bell.forget()
    return bell


def give_back(bell: Doorbell) -> None:
    """The wait is over, and its place given up."""
    spares = _spares
    if bell.number and len(spares.doorbells) < _MOST_SPARE:
        spares.doorbells.append(bell)
    else:
        bell.close()


def descriptors() -> set[int]:
    """Those with which this process waits and rings. They come and go as any of its threads waits."""
    return {one.fileno() for owned in (_senders, *(bell._sockets for bell in list(_all))) for one in owned}


def ring(numbers: Iterable[int]) -> list[int]:
    """Ring these doorbells; returns those whose waiters are gone. Never blocks, and never raises."""
    prepare()
    gone: list[int] = []
    for number in numbers if _senders else ():
        if not number:
            continue  # that waiter looks by itself
        try:
            _senders[0].sendto(b"!", _address(number))
        except ConnectionRefusedError:
            gone.append(number)
        except BlockingIOError:
            _ring_anew(number)
        except OSError:
            continue
    return gone


def _ring_anew(number: int) -> None:
    """Ring through a new socket: the kernel charges rings that nobody has looked at to their sender.

    If that fails too, it is the waiter's queue that is full of rings, and it will not sleep.
    """
    sockets: list[socket.SocketType] = []
    try:
        sockets.extend(_new_socket())
        sockets[0].sendto(b"!", _address(number))
    except OSError:
        return
    finally:
        for one in sockets:  # not `_close_all`, which may be interrupted before it has begun
            one.close()


def _address(number: int) -> bytes:
    return b"\0ipcframe-%016x" % number


def _at_exit() -> None:
    _spares.ended = True
    _spares.close()
    _close_all(_senders)


atexit.register(_at_exit)


def _in_child() -> None:
    # What the parent's threads wait with must not seem to live when the parent has ended.
    for bell in list(_all):
        bell.close()
    _spares.close()


os.register_at_fork(after_in_child=_in_child)
