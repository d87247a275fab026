"""Saboteurs of primitives: each makes one kind of its own, which is broken; the others are the toolkit's."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any, ClassVar

from saboteurs import Saboteur

from ipcframe.abc import Called, Turn
from ipcframe.deadline import NEVER, Deadline, deadline_after
from ipcframe.toolkit.virtual import parts
from ipcframe.toolkit.virtual.barrier import Barrier
from ipcframe.toolkit.virtual.condition import Condition
from ipcframe.toolkit.virtual.event import Event
from ipcframe.toolkit.virtual.lock import Lock, RLock
from ipcframe.toolkit.virtual.semaphore import Semaphore


class SyncSaboteur(Saboteur):
    """A backend one kind of whose primitives is broken."""

    broken: ClassVar[dict[str, type]] = {}

    def native(self, kind: str, *args: Any) -> Any:
        return self.broken[kind](*args, ctx=self) if kind in self.broken else None


class GenerousCondition(Condition):
    def notify(self, n: int = 1) -> None:
        super().notify(sys.maxsize)


class WakesTooMany(SyncSaboteur):
    """notify wakes everybody."""

    name = "wakes-too-many"
    broken: ClassVar = {"condition": GenerousCondition}
    rejected_by = "test_notify_wakes_as_many_as_it_says[1]"


class SparingCondition(Condition):
    def wait(self, timeout: float | None = None) -> bool:
        self._check_held("must acquire() condition before using wait()")
        turn = self._line.enter()
        try:
            self.release()
            return turn.wait(NEVER if timeout is None else deadline_after(timeout)) is not Called.TIMED_OUT
        finally:
            self.acquire()
            turn.leave()


class GivesUpOneHold(SyncSaboteur):
    """A wait gives up one hold of the lock, of several."""

    name = "gives-up-one-hold"
    broken: ClassVar = {"condition": SparingCondition}
    rejected_by = "test_waiting_gives_up_every_hold_of_the_lock_and_takes_as_many_back"


class ForgetfulSemaphore(Semaphore):
    count = 0

    def release(self) -> None:
        self.count += 1
        if self.count % 3:
            super().release()


class LosesPermits(SyncSaboteur):
    """Every third permit that is given back is lost."""

    name = "loses-permits"
    broken: ClassVar = {"semaphore": ForgetfulSemaphore}
    rejected_by = "test_each_release_lets_one_waiter_go_on[Semaphore]"


class IndebtedSemaphore(Semaphore):
    debt = 0

    def acquire(self, block: bool = True, timeout: float | None = None) -> bool:
        taken = super().acquire(block, timeout)
        self.debt += not taken
        return taken

    def release(self) -> None:
        if self.debt:
            self.debt -= 1
        else:
            super().release()


class TakesAllTheSame(SyncSaboteur):
    """An acquire that times out takes the next permit all the same."""

    name = "takes-all-the-same"
    broken: ClassVar = {"semaphore": IndebtedSemaphore}
    rejected_by = "test_what_timed_out_has_taken_nothing"


class SlowLock(Lock):
    def acquire(self, block: bool = True, timeout: float | None = None) -> bool:
        return super().acquire(block, timeout if timeout is None else max(timeout, 0.8))


class WaitsAtZero(SyncSaboteur):
    """A timeout of 0 waits all the same."""

    name = "waits-at-zero"
    broken: ClassVar = {"lock": SlowLock}
    rejected_by = "test_a_wait_keeps_its_timeout[Lock-0]"


class MourningLock(Lock):
    def acquire(self, block: bool = True, timeout: float | None = None) -> bool:
        holder = self._lock.holder
        if holder and not Path(f"/proc/{holder}").exists():
            time.sleep(1)
            return False
        return super().acquire(block, timeout)


class MournsForEver(SyncSaboteur):
    """The lock of a dead owner never comes free."""

    name = "mourns-for-ever"
    broken: ClassVar = {"lock": MourningLock}
    rejected_by = "test_who_comes_after_the_death_of_a_holder_gets_it_and_is_told[fork-SIGKILL]"


class DiscreetLock(Lock):
    def _tell(self) -> None:
        pass


class TellsNobody(SyncSaboteur):
    """Who gets a dead owner's lock is not told."""

    name = "tells-nobody"
    broken: ClassVar = {"lock": DiscreetLock}
    rejected_by = "test_who_waits_parked_for_one_that_is_killed_goes_on[fork-Lock]"


class OpenRLock(RLock):
    def release(self) -> None:
        self._lock.depth = 0
        self._lock.release()


class AnybodyReleases(SyncSaboteur):
    """An RLock that anybody may release."""

    name = "anybody-releases"
    broken: ClassVar = {"rlock": OpenRLock}
    rejected_by = "test_only_its_thread_may_release_it[fork-RLock]"


class CarelessLock(Lock):
    def acquire(self, block: bool = True, timeout: float | None = None) -> bool:
        taken = super().acquire(block, timeout)
        os.getpid()  # a handler that raises here has the lock taken, and nobody knows
        return taken


class LosesInterruptedLocks(SyncSaboteur):
    """An interrupted acquire may have taken the lock without having returned."""

    name = "loses-interrupted-locks"
    broken: ClassVar = {"lock": CarelessLock}
    rejected_by = "test_an_interrupted_acquire_has_taken_it_and_returned_or_has_not_taken_it[Lock]"


class SelfishEvent(Event):
    def __init__(self, *, ctx: Any) -> None:
        super().__init__(ctx=ctx)
        self._line = parts.line(ctx)

    def set(self) -> None:
        super().set()
        self._line.call(1)

    def wait(self, timeout: float | None = None) -> bool:
        if not self.is_set():
            turn = self._line.enter()
            try:
                turn.wait(NEVER if timeout is None else deadline_after(timeout))
            finally:
                turn.leave()
        return self.is_set()


class WakesOne(SyncSaboteur):
    """set wakes one of those who wait."""

    name = "wakes-one"
    broken: ClassVar = {"event": SelfishEvent}
    rejected_by = "test_set_wakes_everybody"


class StubbornBarrier(Barrier):
    def _wait(self, turn: Turn, generation: int, deadline: Deadline) -> None:
        while self._generation.value == generation:
            if turn.wait(deadline) is Called.TIMED_OUT:
                self._broken.set(1)
                raise TimeoutError


class NeverBreaks(SyncSaboteur):
    """A barrier goes on waiting for a party that is dead."""

    name = "never-breaks"
    broken: ClassVar = {"barrier": StubbornBarrier}
    rejected_by = "test_who_waits_parked_for_one_that_is_killed_goes_on[fork-Barrier, as the last]"
