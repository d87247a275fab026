"""LocalLock: an `OwnedLock` in a slot of a segment.

Words of the slot: 0 is the token of the holder, 1 the flag of the waiters (see `waiters`).

Who takes it stores its token in a section of the slot's guard, where it has seen the word free, or its
holder dead. Who holds it releases it by one store, without a section; from then on anybody may take it.

No wake-up is lost. A waiter takes its place, which sets the flag, and *then* looks at the word, in a
section. A holder that releases stores the word, passes the fence, and *then* looks at the flag. Place,
section and fence are all operations on record locks of one file, which the kernel puts into one order: either
the waiter's place comes first, and the releaser sees the flag and rings; or the fence does, and the waiter
sees the word free. A releaser that is killed between store and ring was the holder, whose pidfd the waiter
watches. One that is interrupted there by an exception rings before it lets that pass. Any other process that
releases rings within a section, before it stores: those who are woken look when the section is over.

All waiters are woken, and one gets it: were it only one, that one might be stopped or killed before it takes
it, and nobody would wake the next.
"""

from __future__ import annotations

import weakref
from fcntl import lockf
from multiprocessing import util
from threading import get_ident
from typing import Any

from ...abc import OwnedLock, Taking
from ...deadline import NOW, Deadline
from .. import forks, identity
from ..doorbell import Doorbell, borrow
from ..guard import EXCLUSIVE, UNLOCK
from ..identity import LEFT, NOBODY, Watch
from ..segment import Segment, new_slot
from ..waiters import FLAG, Place, Waiters
from ..waiting import spins

__all__ = ["LocalLock", "new_lock"]

NOT_TAKEN, TAKEN, INHERITED = Taking.NOT_TAKEN, Taking.TAKEN, Taking.INHERITED
_LOOKS = 40
"""How often a waiter looks, and yields in between, before it sleeps; see `waiting`."""


_locks: weakref.WeakSet[LocalLock] = weakref.WeakSet()
_farewell: object = None
"""The process (by `forks.generation`) that will leave its locks held when it ends normally."""


class LocalLock(OwnedLock):
    """One process's handle of the lock; all of a process's handles of it are one object."""

    def __init__(self, segment: Segment, slot: int) -> None:
        """The lock in this slot; for `new_lock` and for unpickling."""
        self._segment = segment
        self._slot = slot
        self._words = segment.words
        self._owner = segment.slot_words(slot)
        self._flag = self._owner + FLAG
        self._guard = segment.guard(slot)
        self._waiters = Waiters(segment, slot)
        self._renew()

    def _renew(self) -> None:
        self._guard.check_generation()
        self.thread = 0
        self.depth = 0
        self._inherited_from = NOBODY
        self._me = identity.my_token()
        self._generation = forks.generation
        _locks.add(self)

    def _forked(self) -> None:
        with forks.renewal:
            if self._generation is not forks.generation:
                self._renew()

    # --- the contract ---

    def acquire(self, deadline: Deadline) -> Taking:
        """Take it; see `OwnedLock.acquire`."""
        if self._generation is not forks.generation:
            self._forked()
        words, owner, guard = self._words, self._owner, self._guard
        taken, thread = False, get_ident()
        if not words[owner]:
            if _farewell is not forks.generation:
                _say_farewell_at_exit()
            try:
                with guard.mutex:
                    try:
                        guard.epoch = hold = object()
                        lockf(guard.fd, EXCLUSIVE, 1, guard.at)
                        if guard.epoch is hold and not words[owner]:
                            words[owner] = self._me
                            self.thread = thread
                            self.depth = 1
                            self._inherited_from = NOBODY
                            taken = True
                    except BlockingIOError:
                        pass
                    finally:
                        guard.epoch = None
                        lockf(guard.fd, UNLOCK, 1, guard.at)
                if taken:
                    return TAKEN
            except BaseException:
                if taken:
                    self.release()
                raise
        return self._acquire_slowly(deadline)

    def release(self, anybodys: bool = True) -> bool:
        """Release it; see `OwnedLock.release`."""
        if self._generation is not forks.generation:
            self._forked()
        words = self._words
        if words[self._owner] != self._me:
            return anybodys and self._release_anothers()
        self.depth = 0
        words[self._owner] = NOBODY
        try:
            self._segment.fence()
        finally:
            if words[self._flag]:
                try:
                    self._waiters.ring_all()
                except BaseException:  # of a handler, before anybody was rung
                    self._waiters.ring_all()
                    raise
        return True

    @property
    def holder(self) -> int:
        """See `OwnedLock.holder`."""
        return identity.pid_of(self._words[self._owner])

    @property
    def inherited_from(self) -> int:
        """See `OwnedLock.inherited_from`."""
        return identity.pid_of(self._inherited_from) if self.mine else 0

    @property
    def mine(self) -> bool:
        """See `OwnedLock.mine`."""
        if self._generation is not forks.generation:
            self._forked()
        return bool(self._words[self._owner] == self._me)

    # --- waiting ---

    def _acquire_slowly(self, deadline: Deadline) -> Taking:
        attempt = _Attempt()
        try:
            self._wait(attempt, deadline)
            return attempt.outcome
        except BaseException:
            if attempt.outcome:
                self.release()
            raise

    def _wait(self, attempt: _Attempt, deadline: Deadline) -> None:
        if self._try(attempt, deadline) or deadline is NOW:
            return
        for _ in spins(_LOOKS):
            if not self._words[self._owner] and self._try(attempt, deadline):
                return
        place = Place()
        with borrow() as bell:
            try:
                self._waiters.enter(place, bell.number, deadline)
                while not self._try(attempt, deadline, in_section=True) and not deadline.expired:
                    self._sleep(bell, deadline, not place.taken)
                    if self._try(attempt, deadline):
                        return
                    bell.forget()
            finally:
                self._waiters.vacate(place)

    def _sleep(self, bell: Doorbell, deadline: Deadline, blind: bool) -> None:
        """Sleep until it may be free. Who holds it is watched: it may die."""
        token = self._words[self._owner]
        if token in (NOBODY, self._me) or token & LEFT:
            bell.sleep(deadline, (), blind or token == NOBODY)
            return
        watch = Watch(token)
        try:
            # Between the look and the watch it may have changed hands: that rang.
            bell.sleep(deadline, (watch,), blind)
        finally:
            watch.close()

    def _try(self, attempt: _Attempt, deadline: Deadline, in_section: bool = False) -> bool:
        """Take it if it is free, or its holder dead; `in_section`, look after everybody's section is over."""
        if _farewell is not forks.generation:
            _say_farewell_at_exit()
        words, owner, guard = self._words, self._owner, self._guard
        token = dead = words[owner]
        if token and (token & LEFT or identity.is_alive(token)):
            if not in_section:
                return False
            dead = NOBODY
        thread = get_ident()

        def step(hold: object) -> bool | None:
            if guard.epoch is not hold:
                return None
            token = words[owner]
            if token and token != dead:
                return False
            words[owner] = self._me
            self.thread = thread
            self.depth = 1
            self._inherited_from = token
            attempt.outcome = INHERITED if token else TAKEN
            return True

        return bool(guard.run(step, deadline))

    # --- releasing ---

    def _release_anothers(self) -> bool:
        words, guard = self._words, self._guard

        def step(hold: object) -> bool | None:
            if not words[self._owner]:
                return False if guard.epoch is hold else None
            if words[self._flag]:
                self._waiters.ring_all()
            if guard.epoch is not hold:
                return None
            words[self._owner] = NOBODY
            return True

        return bool(guard.run(step))

    def _leave_held(self) -> None:
        """This process ends normally: what it holds stays held."""
        if self._generation is forks.generation and self._words[self._owner] == self._me:
            self._words[self._owner] = self._me | LEFT
            self._segment.fence()
            if self._words[self._flag]:
                self._waiters.ring_all()  # nobody need watch this process any more

    def __reduce__(self) -> tuple[Any, ...]:
        return _at, (self._segment, self._slot)


class _Attempt:
    """Where a section notes what it has done (G5)."""

    __slots__ = ("outcome",)

    def __init__(self) -> None:
        self.outcome = NOT_TAKEN


def new_lock() -> LocalLock:
    """A new lock, free; raises OSError at the system's limits."""
    return _at(*new_slot())


def _at(segment: Segment, slot: int) -> LocalLock:
    found: LocalLock = segment.local(slot, LocalLock)
    return found


def _say_farewell_at_exit() -> None:
    """Have what this process holds when it ends normally stay held, as multiprocessing's locks do."""
    global _farewell
    util.Finalize(None, _leave_all_held, exitpriority=-100)
    _farewell = forks.generation


def _leave_all_held() -> None:
    for lock in list(_locks):
        lock._leave_held()
