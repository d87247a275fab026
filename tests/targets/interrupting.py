"""How tests interrupt: by a signal soon, or at every point at which a signal handler may run."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


@contextmanager
def alarm(handle: Callable[[], object]) -> Iterator[None]:
    """A signal that comes soon, and is handled by this."""

    def handler(number: int, frame: FrameType | None) -> None:
        handle()

    before = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class Interrupt(BaseException):
    """What a handler raises."""


class Interrupter:
    """Raises at the n-th point of our code at which a signal handler may run."""

    def __init__(self, last: int) -> None:
        self.left = last
        self.struck = False

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        code = frame.f_code
        if event in ("call", "c_return") and f"{os.sep}toolkit{os.sep}" in code.co_filename:
            if code.co_name != "__del__":
                self.left -= 1
            if self.left == 0:
                self.struck = True
                sys.setprofile(None)
                raise Interrupt


def interrupted(step: int, work: Callable[[], object]) -> bool:
    """Do this, interrupted at the n-th point; False when it was through before."""
    interrupter = Interrupter(step)
    try:
        sys.setprofile(interrupter)
        work()
    except Interrupt:
        pass
    finally:
        sys.setprofile(None)
    return interrupter.struck
