"""Ledger: how much of what was taken from a queue is not done yet, in a slot of a segment.

Each process has an *account*: a place in the slot's list (see `waiters`) with three numbers that it alone
writes, by single stores: what it is just taking, what it has taken, what it has reported done. So counting
costs no lock. What a dead process was just taking is gone with it, and counts no more; what it had taken and
not reported done stays open. A new process takes over the account of a dead one, if there is one: it forgets
what that was taking, and then stores its own token.

Who adds up looks into the queue first: an object that has left it before was by then noted as being taken,
because the queue and this file are ordered by the kernel's locks that both sides pass.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any

from ..deadline import NEVER, Deadline
from . import forks, identity
from .segment import Segment, new_slot
from .waiters import EXTRA, STATE, TOKEN, Waiters

__all__ = ["Ledger"]

_TAKING, _TAKEN, _DONE = STATE, EXTRA, EXTRA + 1


class Ledger:
    """One process's handle of the ledger."""

    def __init__(self, segment: Segment, slot: int) -> None:
        """The ledger in this slot; for `create` and for unpickling."""
        self._segment = segment
        self._slot = slot
        self._words = segment.words
        self._accounts = Waiters(segment, slot)
        self._generation: object = None
        self._at = 0

    @classmethod
    def create(cls) -> Ledger:
        """A new ledger; raises OSError at the system's limits."""
        return cls(*new_slot())

    def account(self, deadline: Deadline = NEVER) -> int:
        """Where the words of this process's account begin; -1 when there is none before the deadline."""
        if self._generation is not forks.generation:
            dead = {at for at in self._accounts.places() if not identity.is_alive(self._words[at + TOKEN])}
            at = self._accounts.own_or_adopted(dead, _TAKING, deadline)
            if at is None:
                return -1
            if at < 0:
                raise OSError(errno.EAGAIN, "too many processes use one queue")
            self._at = at
            self._generation = forks.generation
        return self._at

    def begin(self, deadline: Deadline) -> bool:
        """This process is about to take something; False when another was stopped as it made its account."""
        at = self.account(deadline)
        if at < 0:
            return False
        words = self._words
        words[at + _TAKING] += 1
        return True

    def count(self) -> None:
        """It has taken something."""
        at, words = self.account(), self._words
        words[at + _TAKEN] += 1

    def end(self) -> None:
        """It is not taking any more."""
        at, words = self.account(), self._words
        words[at + _TAKING] -= 1

    def done(self, inside: Callable[[], int]) -> bool:
        """Report one done; False when nothing is open, what is `inside` of the queue included."""
        at = self.account()
        words = self._words
        if words[at + _TAKEN] <= words[at + _DONE] and inside() + self.open() <= 0:
            return False
        words[at + _DONE] += 1
        self._segment.fence()
        return True

    def open(self) -> int:
        """What was or is being taken, and is not done."""
        words = self._words
        total = 0
        for at in self._accounts.places():
            # Against the order in which they grow: what changes meanwhile may count twice, and never not.
            done = words[at + _DONE]
            taking = words[at + _TAKING]
            if taking and identity.is_alive(words[at + TOKEN]):
                total += taking
            total += words[at + _TAKEN] - done
        return total

    def __reduce__(self) -> tuple[Any, ...]:
        return Ledger, (self._segment, self._slot)
