"""Interrupting an operation: at a random instant, by a one-shot timer whose handler raises, or at the nth."""

from __future__ import annotations

import gc
import inspect
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

__all__ = ["Interrupt", "Striker", "interrupted_at"]

_LEAST, _MOST = 2e-6, 0.05
_UNDER_WAY = 0.02
"""How long a signal may be on its way to another thread, which must not find the handler gone."""


class Interrupt(BaseException):
    """What the handler raises; like KeyboardInterrupt, no Exception."""


class Striker:
    """Runs an operation with a timer that goes off at a random instant of it.

    The operation stores its result itself, as in ``got.append(end.recv())``: between the return of a
    method written in Python and the append no handler runs, so that the result is stored or not taken.

    A signal may take effect after its timer was turned off: when another thread was chosen to receive it.
    The handler therefore raises only while the striker says so, and stays, doing nothing, where there was
    none before: a late signal would end the process.
    """

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._usual = 20e-6
        self._raising = False
        self.struck = 0

    @contextmanager
    def armed(self) -> Iterator[Striker]:
        """Install the handler for the time of the block.

        The collector rests: what raises in a callback or finalizer that it calls is printed, and ends there.
        """
        gc.collect()
        gc.disable()
        before = signal.signal(signal.SIGALRM, _on_alarm)
        _armed.append(self)
        try:
            yield self
        finally:
            _armed.remove(self)
            gc.enable()
            signal.setitimer(signal.ITIMER_REAL, 0)
            if before not in (_on_alarm, signal.SIG_DFL):
                time.sleep(_UNDER_WAY)
                signal.signal(signal.SIGALRM, before)

    def strike(self, operation: Callable[[], object]) -> bool:
        """Run the operation; whether it was interrupted. The timer is off when this returns."""
        delay = _LEAST + self._chance.random() * self._usual * 1.5
        begin = time.perf_counter()
        try:
            self._raising = True
            signal.setitimer(signal.ITIMER_REAL, delay)
            operation()
            self._raising = False  # a plain store, after which the handler raises no more
            signal.setitimer(signal.ITIMER_REAL, 0)
        except Interrupt:
            signal.setitimer(signal.ITIMER_REAL, 0)
            self.struck += 1
            self._usual = min(self._usual * 1.03, _MOST)  # a long operation must return now and then
            return True
        else:
            self._usual += (min(time.perf_counter() - begin, 0.001) - self._usual) / 16
            return False


_armed: list[Striker] = []


def _on_alarm(number: int, frame: FrameType | None) -> None:
    for striker in _armed:
        if striker._raising:
            striker._raising = False  # once: what follows is not to be struck
            raise Interrupt


def interrupted_at(number: int, operation: Callable[[], object]) -> bool:
    """Run the operation, interrupted at its nth instant at which a handler may run; False if it has fewer.

    Those of this library and of the backend count, where they are written in Python. Generators do not: the
    end of one that is dropped looks the same, where no handler runs.
    """
    left = number

    def strike(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal left
        name = frame.f_code.co_filename
        if frame.f_code.co_flags & inspect.CO_GENERATOR:
            return
        if event in ("call", "c_return") and f"{os.sep}ipcframe" in name and "conformance" not in name:
            left -= 1
            if left == 0:
                raise Interrupt  # which turns the profiler off, too

    before = sys.getprofile()
    sys.setprofile(strike)
    try:
        operation()
    except Interrupt:
        return True
    finally:
        sys.setprofile(before)
    return False
