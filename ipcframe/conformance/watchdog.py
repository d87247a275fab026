"""No case hangs the run: when its time is up, all stacks are printed, and the case fails.

One thread watches all cases. It sends the children a signal that makes them print their stacks, kills them,
and interrupts the main thread by a signal whose handler raises.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable
from functools import partial
from types import FrameType

import pytest

from .targets import STACKS_SIGNAL

__all__ = ["Watchdog"]

_EXPIRED_SIGNAL = signal.SIGUSR2
_REACTION = 3.0
_GRACE = 30.0
_STDERR = 2


class Watchdog:
    """Watches one case at a time; `watch` and `rest` are called in the main thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._until: float | None = None
        self._ended = 0
        self._seconds = 0.0
        self._pids: Callable[[], Iterable[int]] = tuple
        self._made_in = 0

    def watch(self, seconds: float, pids: Callable[[], Iterable[int]]) -> None:
        """Begin to watch; `pids` tells the children."""
        if self._made_in != os.getpid():
            self._made_in = os.getpid()
            threading.Thread(target=self._run, name="conformance-watchdog", daemon=True).start()
        self._previous = signal.signal(_EXPIRED_SIGNAL, self._raise)
        with self._changed:
            self._seconds, self._pids = seconds, pids
            self._until = time.monotonic() + seconds
            self._changed.notify()

    def rest(self) -> None:
        """The case has ended."""
        with self._changed:
            self._until = None
            self._ended += 1
            self._changed.notify()
        signal.signal(_EXPIRED_SIGNAL, self._previous)

    def _raise(self, number: int, frame: FrameType | None) -> None:
        pytest.fail(
            f"the watchdog: the case did not end within {self._seconds} s; all stacks are on stderr",
            pytrace=True,
        )

    def _run(self) -> None:
        while True:
            with self._changed:
                until = self._until
                if until is None or time.monotonic() < until:
                    self._changed.wait(None if until is None else until - time.monotonic())
                    continue
                self._until = None
                case = self._ended
            self._expire(partial(self._has_ended, case))

    def _has_ended(self, case: int) -> bool:
        return self._ended != case

    def _expire(self, has_ended: Callable[[], bool]) -> None:
        children = sorted({descendant for pid in self._pids() for descendant in _family(pid)})
        _say(f"watchdog: time is up; stacks of this process and of its children {children}:")
        faulthandler.dump_traceback(_STDERR)
        _signal(children, STACKS_SIGNAL)
        time.sleep(0.5)  # they print
        main = threading.main_thread()
        assert main.ident is not None
        with self._changed:
            if has_ended():
                return
            signal.pthread_kill(main.ident, _EXPIRED_SIGNAL)
            # Not the children yet: a waitpid that is interrupted by both would lose their exit status.
            if self._changed.wait_for(has_ended, _REACTION):
                return
        _signal(children, signal.SIGKILL)
        with self._changed:
            if not self._changed.wait_for(has_ended, _GRACE):
                _say("watchdog: the main thread does not react either; the run ends")
                os._exit(70)


def _say(text: str) -> None:
    os.write(_STDERR, f"\n{text}\n".encode())


def _signal(pids: Iterable[int], number: int) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _family(pid: int) -> list[int]:
    """The process and its descendants, as far as the system tells."""
    family = [pid]
    for one in family:
        try:
            with open(f"/proc/{one}/task/{one}/children", encoding="ascii") as children:  # noqa: PTH123
                family += map(int, children.read().split())
        except OSError:
            continue
    return family
