"""Interrupting an operation at every instant: a one-shot timer whose handler raises."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["Interrupt", "Striker"]

_LEAST = 2e-6


class Interrupt(BaseException):
    """What the handler raises; like KeyboardInterrupt, no Exception."""


class Striker:
    """Runs an operation with a timer that goes off at a random instant of it.

    The operation stores its result itself, as in ``got.append(end.recv())``: between the return of a
    method written in Python and the append no handler runs, so that the result is stored or not taken.
    """

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._usual = 20e-6
        self.struck = 0

    @contextmanager
    def armed(self) -> Iterator[Striker]:
        """Install the handler for the time of the block."""

        def handler(number: int, frame: FrameType | None) -> None:
            raise Interrupt

        before = signal.signal(signal.SIGALRM, handler)
        try:
            yield self
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)

    def strike(self, operation: Callable[[], object]) -> bool:
        """Run the operation; whether it was interrupted. The timer is off when this returns."""
        delay = _LEAST + self._chance.random() * self._usual * 1.5
        begin = time.perf_counter()
        try:
            signal.setitimer(signal.ITIMER_REAL, delay)
            operation()
            signal.setitimer(signal.ITIMER_REAL, 0)
        except Interrupt:
            self.struck += 1
            return True
        else:
            self._usual += (min(time.perf_counter() - begin, 0.001) - self._usual) / 16
            return False
