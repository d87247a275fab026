"""How to wait for a descriptor: spin a little, where that has paid, then park in the kernel.

A sleep costs tens of microseconds until the other side's wake-up takes effect; an answer that is on its
way comes sooner. So a wait first looks again a few times and yields the CPU in between, which on one core
lets the very process run that is waited for. The number of looks follows their success and falls to none,
so that an idle waiter costs nothing.

No wake-up can be lost: readiness of a descriptor is a state, and poll() reports it whenever it came. It does
not report that another thread of the process, or a signal handler, closes the descriptor. So a waiter parks
on a doorbell too, and who closes a descriptor rings those of all that are parked on it. Who notes its
doorbell only after that finds the descriptor closed, unless its number is another's by then. For that
instant, and where there are no doorbells, a parked waiter looks again every few seconds.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from select import POLLIN, POLLOUT, poll
from time import monotonic

from ..deadline import NOW, Deadline
from .doorbell import borrow, ring

__all__ = ["POLLIN", "POLLOUT", "Patience", "spins", "wake_parked"]

_LOOKS = 40
"""Enough to bridge the wake-up of a peer that was parked itself: some 50 microseconds."""
_SPIN = 0.0002
"""How long to spin, in seconds, at most: when others are to run, one yield may take a slice of theirs."""
_RETRY_AFTER = 16
_LOOK_AGAIN = 4.0
_parked: dict[int, tuple[tuple[int, int], ...]] = {}
"""What this process's parked waiters wait for, by the numbers of their doorbells."""


def spins(most: int) -> Iterator[None]:
    """Give way to others up to so often: for as long as a spin may take, which one long yield ends."""
    until = monotonic() + _SPIN
    for _ in range(most):
        os.sched_yield()
        yield
        if monotonic() > until:
            return


class Patience:
    """The wait strategy of one direction of one endpoint; it learns whether spinning pays."""

    __slots__ = ("_looks", "_misses", "_spare", "expects_to_wait")

    def __init__(self) -> None:
        self._looks = _LOOKS
        self._misses = 0
        # A poll object serves one wait at a time, so a nested or a second one makes its own.
        self._spare: tuple[tuple[tuple[int, int], ...], poll] | None = None
        self.expects_to_wait = False
        """Whether the last wait was one: then it is cheaper to wait first than to try in vain."""

    def wait(self, interests: tuple[tuple[int, int], ...], deadline: Deadline) -> bool:
        """Wait until one of the (descriptor, poll event) pairs may be ready; False when the deadline passed.

        True does not promise readiness: the caller tries, and waits again. Signal handlers run meanwhile,
        and may wait on the same endpoint.
        """
        spare, self._spare = self._spare, None
        if spare is None or spare[0] != interests:
            poller = poll()
            for fd, event in interests:
                if fd < 0:  # closed meanwhile, which the caller finds out by trying
                    return True
                poller.register(fd, event)
            spare = (interests, poller)
        try:
            return self._wait(spare[1], interests, deadline)
        finally:
            self._spare = spare

    def _wait(self, poller: poll, interests: tuple[tuple[int, int], ...], deadline: Deadline) -> bool:
        look = poller.poll
        if look(0):
            self.expects_to_wait = False
            return True
        if deadline is NOW:
            return False
        self.expects_to_wait = True
        looks = self._looks
        until = monotonic() + _SPIN
        while looks:
            os.sched_yield()
            if look(0):
                self._looks = min(self._looks + 8, _LOOKS)
                return True
            looks -= 1
            if monotonic() > until:
                break
        self._missed()
        left = deadline.remaining()
        return left > 0.0 and (_park(interests, min(left, _LOOK_AGAIN)) or left > _LOOK_AGAIN)

    def _missed(self) -> None:
        self._looks >>= 1
        if self._looks == 0:
            self._misses += 1
            if self._misses >= _RETRY_AFTER:
                self._misses = 0
                self._looks = _LOOKS


def _park(interests: tuple[tuple[int, int], ...], seconds: float) -> bool:
    """Sleep until one of the pairs may be ready or something was closed; False when the time is over."""
    poller = poll()
    for fd, event in interests:
        poller.register(fd, event)
    with borrow() as bell:
        number = bell.number
        try:
            if number:
                poller.register(bell.fileno(), POLLIN)
                _parked[number] = interests
            return bool(poller.poll(seconds * 1000))
        finally:
            _parked.pop(number, None)


def wake_parked(fds: Iterable[int]) -> None:
    """Wake whoever is parked in this process on one of these descriptors: they were closed."""
    if _parked:
        closed = set(fds)
        ring(
            number
            for number, interests in list(_parked.items())
            if not closed.isdisjoint(fd for fd, _ in interests)
        )


os.register_at_fork(after_in_child=_parked.clear)
