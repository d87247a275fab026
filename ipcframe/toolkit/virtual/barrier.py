"""Barrier: a line whose places are called when the last party has come.

A lock guards the arrivals. Each takes a place in the line, whose tag is the *generation*, a number that grows
each time the barrier opens or is reset. A party is through when it finds the generation changed. Whether that
was by a reset is told by a bit for each of the last generations: a party that slept through 32 of them
would be mistaken. So nothing depends on who is called: whoever is woken for whatever reason looks at the
generation. To store that is one step; a death before it breaks the barrier, and one after it does not.

The dead are noticed by those who wait, and the one that notices breaks the barrier. So does a party that gets
the lock from a dead one, for that died in the middle of arriving.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any

from ... import abc
from ...abc import Called, Notify, Taking, silent
from ...deadline import NEVER, Deadline, deadline_after
from . import parts

__all__ = ["Barrier"]

_GENERATIONS = 32
_PATIENCE = 0.02


class Barrier(abc.Barrier):
    """A number of parties that wait for each other; see `ipcframe.abc.Barrier`."""

    name: str | None = None
    notify: Notify = staticmethod(silent)

    def __init__(
        self,
        parties: int,
        action: Callable[[], object] | None = None,
        timeout: float | None = None,
        *,
        ctx: Any,
    ) -> None:
        """Make one on the backend of `ctx`; the last party to come runs the action before the others go.

        Raises ValueError for fewer than one party.
        """
        if parties < 1:
            raise ValueError("parties must be > 0")
        self._parties = parties
        self._action = action
        self._timeout = timeout
        self._lock = parts.owned_lock(ctx)
        self._line = parts.line(ctx)
        self._generation = parts.counter(ctx, 0)
        self._resets = parts.counter(ctx, 0)
        self._broken = parts.counter(ctx, 0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the other parties; see `ipcframe.abc.Barrier.wait`."""
        if timeout is None:
            timeout = self._timeout
        deadline = NEVER if timeout is None else deadline_after(timeout)
        held = self._take_lock(deadline)
        turn = None
        generation = -1
        try:
            if self._broken.value:
                raise threading.BrokenBarrierError
            generation = self._generation.value
            index = self._line.length(generation)
            turn = self._line.enter(generation, True, deadline)
            if index + 1 >= self._parties:
                if self._line.bury(generation):  # one that was counted has died
                    raise threading.BrokenBarrierError
                self._open(generation)
            else:
                self._lock.release(False)
                held = False
                self._wait(turn, generation, deadline)
            return index
        except BaseException:
            if generation >= 0:
                self._break(generation, held)
            raise
        finally:
            try:
                self._let_go(turn)
            except BaseException:  # of a handler, maybe before anything was done
                self._let_go(turn)
                raise

    def _let_go(self, turn: abc.Turn | None = None) -> None:
        """Give up the place in line, and the lock if this thread has it; again does no harm."""
        try:
            if turn is not None:
                turn.leave()
        finally:
            if self._lock.mine and self._lock.thread == threading.get_ident():
                self._lock.release(False)

    def _take_lock(self, deadline: Deadline) -> bool:
        held = self._lock.acquire(deadline)
        try:
            if not held:
                self.abort()
                raise threading.BrokenBarrierError
            if held is Taking.INHERITED:
                self._broken.set(1)  # by whoever died in the middle of something
                self._line.call(sys.maxsize)
        except BaseException:
            try:
                self._let_go()
            except BaseException:
                self._let_go()
                raise
            raise
        return True

    def _open(self, generation: int) -> None:
        """All parties are here, and this is the last one."""
        if self._action is not None:
            self._action()
        bit = 1 << generation % _GENERATIONS
        if self._resets.value & bit:
            self._resets.set(self._resets.value & ~bit)
        self._generation.set(generation + 1)
        # If somebody was stopped while he came to stand in line, they are told at least to look.
        self._line.call(sys.maxsize, deadline_after(_PATIENCE))

    def _wait(self, turn: abc.Turn, generation: int, deadline: Deadline) -> None:
        def is_over() -> bool:
            return self._generation.value != generation or self.broken

        while True:
            why = turn.wait(deadline, everybody=True, until=is_over)
            if self._generation.value != generation:
                if self._resets.value >> generation % _GENERATIONS & 1:
                    raise threading.BrokenBarrierError
                return
            # Who is called in the same generation was called because it was broken (and reset since, maybe).
            if self._broken.value or why is Called.CALLED or self._break(generation, False):
                raise threading.BrokenBarrierError

    def _break(self, generation: int | None, held: bool) -> bool:
        """Break it, if it is still in this generation, or None is given; whether it was.

        The lock is waited for only a moment: who holds it may have been stopped.
        """
        taken = not held and self._lock.acquire(deadline_after(_PATIENCE))
        try:
            if generation is not None and self._generation.value != generation:
                return False
            self._broken.set(1)
            self._line.call(sys.maxsize, deadline_after(_PATIENCE))
            return True
        finally:
            if taken:
                try:
                    self._let_go()
                except BaseException:
                    self._let_go()
                    raise

    def reset(self) -> None:
        """Make it new; those who wait get BrokenBarrierError."""
        self._lock.acquire(NEVER)
        try:
            generation = self._generation.value
            self._line.bury()
            if self._line.length(generation):
                self._resets.set(self._resets.value | 1 << generation % _GENERATIONS)
                self._generation.set(generation + 1)
                self._line.call(sys.maxsize)
            self._broken.set(0)
        finally:
            try:
                self._let_go()
            except BaseException:
                self._let_go()
                raise

    def abort(self) -> None:
        """Break it."""
        self._break(None, False)

    @property
    def parties(self) -> int:
        """How many are waited for."""
        return self._parties

    @property
    def n_waiting(self) -> int:
        """How many are waiting."""
        return 0 if self._broken.value else self._line.length(self._generation.value)

    @property
    def broken(self) -> bool:
        """Whether the barrier is broken."""
        return self._broken.value != 0

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__.copy()

    def __repr__(self) -> str:
        state = "broken" if self.broken else f"waiters={self.n_waiting}/{self._parties}"
        return f"<{type(self).__name__} at {id(self):#x}: {state}>"
