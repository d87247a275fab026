"""Waiting for a condition, instead of sleeping and hoping; and what a process can see of itself."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from ..abc import Channel, Connection
from ..errors import TimedOut
from ..toolkit.doorbell import descriptors

__all__ = [
    "DEATH_BOUND",
    "LATENESS_BOUND",
    "PATIENCE",
    "Worker",
    "always_faster",
    "arrived",
    "asleep",
    "clog",
    "eventually",
    "in_time",
    "lives",
    "open_descriptors",
    "own_memory",
    "same_bytes",
    "state_of",
    "stopwatch",
]

PATIENCE = 20.0
"""How long anything is waited for whose time is not what the case is about."""
DEATH_BOUND = 1.0
"""Ten times the promised 0.1 s within which a death is noticed."""
_LOOKS = ("poll", "select", "control")
"""How the functions are called that look at descriptors: those of poll and epoll, select, and kqueue."""
_MANY_DOORBELLS = 24
"""More than threads wait at once where descriptors are counted."""
LATENESS_BOUND = 0.5
"""Ten times the promised 50 ms by which a timeout may be late."""


def eventually(predicate: Callable[[], Any], within: float = PATIENCE, otherwise: str = "") -> None:
    """Wait until the predicate holds; fail after `within` seconds, and say what is so `otherwise`."""
    until = time.monotonic() + within
    pause = 0.0005
    while not predicate():
        assert time.monotonic() < until, f"not within {within} s: {otherwise or predicate}"
        time.sleep(pause)
        pause = min(pause * 1.5, 0.005)


def state_of(pid: int) -> str:
    """The letter of the state of a process (proc(5)); nothing where there is none, or it is not told."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()[0]
    except OSError:
        return ""


def lives(pid: int) -> bool:
    """Whether the process runs, or is stopped; one that has ended and is not waited for does not."""
    return state_of(pid) not in ("", "Z", "X")


def asleep(thread: int, pid: int | None = None) -> Callable[[], bool]:
    """A predicate: the thread (by native id) of the process has gone to sleep and stays so.

    Where the system does not tell, it holds at once: cases that use it hold either way, and only reach
    the parked state less surely.
    """
    path = f"/proc/{pid or os.getpid()}/task/{thread}/status"
    told = Path("/proc/self/task").exists()
    last: list[str] = []

    def is_asleep() -> bool:
        if not told:
            return True
        try:
            with open(path) as file:  # noqa: PTH123 - it is read often
                status = file.read()
        except OSError:
            return False
        state = [line for line in status.splitlines() if line.startswith(("State", "voluntary_ctxt"))]
        unchanged = state == last and "S (sleeping)" in state[0]
        last[:] = state
        return unchanged

    return is_asleep


def clog(end: Connection | Channel, sizes: Sequence[int] = (1024, 64, 8)) -> list[int]:
    """Send until the transport is full, so that the next send must wait; returns the numbers sent.

    A message begins with its number in 8 bytes. Others that were under way may arrive as well.
    """
    send: Callable[..., None] = end.send if isinstance(end, Channel) else end.send_bytes
    sent: list[int] = []
    number = 0
    for size in sizes:
        room = True
        while room:
            try:
                send(number.to_bytes(8, "little") + bytes(size - 8), timeout=0)
                sent.append(number)
            except TimedOut:
                room = False
            number += 1
            assert number < 1_000_000, "the transport takes messages without end, and nobody receives them"
    return sent


def arrived(messages: Sequence[bytes], sent: Sequence[int]) -> None:
    """Check what came out of a clogged transport: all that was sent, in order, nothing twice."""
    numbers = [int.from_bytes(message[:8], "little") for message in messages]
    assert numbers == sorted(set(numbers)), "out of order, or twice"
    assert set(sent) <= set(numbers), "lost"


def same_bytes(got: Any, expected: bytes) -> None:
    """Fail with the place of the first difference; a diff of megabytes would take minutes."""
    if got != expected:
        places = (at for at, pair in enumerate(zip(got, expected, strict=False)) if pair[0] != pair[1])
        at = next(places, min(len(got), len(expected)))
        raise AssertionError(f"{len(got)} bytes instead of {len(expected)}, which differ from byte {at} on")


class Worker(threading.Thread):
    """A thread whose result, or exception, is the case's: `result` joins it."""

    def __init__(self, work: Callable[[], Any]) -> None:
        super().__init__(daemon=True)
        self._work = work
        self._outcome: Any = None
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        """Do the work."""
        try:
            self._outcome = self._work()
        except BaseException as error:  # noqa: BLE001 - it is raised by `result`
            self.error = error

    def end(self, within: float = PATIENCE) -> BaseException | None:
        """Wait for the end; what it raised, if anything."""
        self.join(within)
        if self.is_alive():
            raise AssertionError(f"a thread still waits after {within} s ({self._place()})")
        return self.error

    def _place(self) -> str:
        """The functions in which it is, the innermost last."""
        frame = sys._current_frames().get(self.ident or 0)
        names = []
        while frame is not None and frame.f_code is not Worker.run.__code__:
            names.append(frame.f_code.co_name)
            frame = frame.f_back
        return f"in {', '.join(reversed(names))}" if names else "it has just ended"

    def result(self, within: float = PATIENCE) -> Any:
        """Wait for the end, and return what it returned or raise what it raised."""
        error = self.end(within)
        if error is not None:
            raise error
        return self._outcome

    def eventually_asleep(self) -> None:
        """Wait until it sleeps (or has ended): it is inside of what it waits for."""
        assert self.native_id is not None
        sleeping = asleep(self.native_id)
        eventually(lambda: sleeping() or not self.is_alive())


def in_time(took: float, timeout: float) -> None:
    """Check what a wait took that was in vain: not less than its timeout, and not much more."""
    assert took >= timeout - 0.001, f"a timeout of {timeout} s was over after {took:.3f} s"
    late = took - max(timeout, 0)
    assert late < LATENESS_BOUND, f"a timeout of {timeout} s took {took:.3f} s"


@contextlib.contextmanager
def stopwatch() -> Iterator[Callable[[], float]]:
    """Gives a function that tells the seconds since the beginning."""
    begin = time.monotonic()
    yield lambda: time.monotonic() - begin


@contextlib.contextmanager
def always_faster(
    allure: Callable[[], object], snatch: Callable[[], object], within: float
) -> Iterator[None]:
    """Competitors that win every race against this thread, for so many seconds.

    Whenever it looks whether it may go on, it may (`allure`); when it then tries, it may not (`snatch`).
    Threads would win now and then only. A wait that is not written in Python is not disturbed.
    """
    until = time.monotonic() + within

    def compete(frame: FrameType, event: str, function: Any) -> None:
        if time.monotonic() < until and getattr(function, "__name__", "") in _LOOKS:
            if event == "c_call":
                allure()
            elif event == "c_return":
                snatch()

    before = sys.getprofile()
    sys.setprofile(compete)
    try:
        yield
    finally:
        sys.setprofile(before)


def open_descriptors() -> set[str]:
    """The descriptors of this process, as ``number -> what``; empty where the system does not tell.

    Those of garbage are closed first, or the collector would close some of them between two looks. Doorbells
    do not count, for any thread's wait opens and closes some; but many of them do.
    """
    gc.collect()
    to_wait = descriptors()
    found = {}
    with contextlib.suppress(OSError):
        for fd in os.listdir("/proc/self/fd"):  # noqa: PTH208 - names are wanted
            with contextlib.suppress(OSError):
                found[int(fd)] = f"{fd} -> {os.readlink(f'/proc/self/fd/{fd}')}"  # noqa: PTH115
    to_wait |= descriptors()
    shown = {one for fd, one in found.items() if fd not in to_wait and "/proc/" not in one}
    return shown | ({"many doorbells"} if len(to_wait) > _MANY_DOORBELLS else set())


def own_memory() -> int:
    """The bytes of anonymous memory of this process; 0 where the system does not tell."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))
