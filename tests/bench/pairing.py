"""Paired measurements: the reference and ours in turn, and only their ratio counts.

A machine slows down by up to 2x for seconds at a time. So each round measures the reference, ours and the
reference once more (its *twin*, set up separately), close to each other in time and in changing order. The
ratio reference/twin of the same rounds shows what the machine alone does to such a ratio: a row is judged
only when the median of that stays within 10 % of 1. Ratios are above 1 where ours is the better one.
"""

from __future__ import annotations

import contextlib
import math
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from itertools import permutations
from pathlib import Path
from typing import Any, Literal, NamedTuple

__all__ = ["Absolute", "Measure", "Paired", "Result", "busy_share", "lower_bound", "measure_row"]

Measure = Callable[[], float]
"""Does the work once, checks the data that arrived, returns seconds for each operation."""
Side = Literal["reference", "ours"]
Verdict = Literal["met", "missed", "not judged", "no target"]
SPREAD = 0.10


class Paired(NamedTuple):
    """A row whose value is the ratio of the reference's time to ours."""

    name: str
    open: Callable[[Side], AbstractContextManager[Measure]]
    target: float | None
    """The ratio that is wanted, at least."""


class Absolute(NamedTuple):
    """A row whose value is ours alone, and better when smaller; the reference is there to compare."""

    name: str
    measure: Callable[[Side], float]
    unit: str
    target: float | None
    """The value that is wanted, at most."""
    repeats: int = 1


class Result(NamedTuple):
    """What came of a row."""

    name: str
    unit: str
    reference: float
    ours: float
    ratio: float
    bound: float
    """The lower 90 % bound of the median ratio; of an absolute row, its worst value."""
    aa: float | None
    """The median ratio of the reference to its twin."""
    target: float | None
    verdict: Verdict
    rounds: int
    busy: float
    """The share of the machine that others used just before."""

    def as_json(self) -> dict[str, Any]:
        """For a file."""
        return self._asdict()


def lower_bound(values: Sequence[float], confidence: float = 0.9) -> float:
    """What the median is at least, with this confidence: an order statistic, without assumptions.

    The k-th smallest of n lies above the true median only if fewer than k values lie below it, which has
    the probability of fewer than k heads in n throws. The largest k that is improbable enough is taken;
    of fewer than four values none is, and the smallest is returned.
    """
    ordered = sorted(values)
    n = len(ordered)
    fewer = 0.0
    rank = 0
    for k in range(1, n + 1):
        fewer += math.comb(n, k - 1) / 2**n
        if fewer > 1 - confidence:
            break
        rank = k
    return ordered[max(rank - 1, 0)]


def measure_row(row: Paired | Absolute, rounds: int, *, settle: float = 0.0) -> Result:
    """Measure a row; it waits up to `settle` seconds for others to leave the machine alone."""
    busy = _settled(settle)
    return _paired(row, rounds, busy) if isinstance(row, Paired) else _absolute(row, busy)


def _paired(row: Paired, rounds: int, busy: float) -> Result:
    times: dict[str, list[float]] = {"reference": [], "ours": [], "twin": []}
    orders = list(permutations(times))
    with contextlib.ExitStack() as stack:
        sides: dict[str, Measure] = {
            "reference": stack.enter_context(row.open("reference")),
            "ours": stack.enter_context(row.open("ours")),
            "twin": stack.enter_context(row.open("reference")),
        }
        for side in sides.values():
            side()  # caches, adaptive waits, the first process of a server
        for number in range(rounds):
            for key in orders[number % len(orders)]:
                times[key].append(sides[key]())
    ratios = [a / b for a, b in zip(times["reference"], times["ours"], strict=True)]
    aa = statistics.median(a / b for a, b in zip(times["reference"], times["twin"], strict=True))
    bound = lower_bound(ratios)
    verdict: Verdict = "no target"
    if abs(aa - 1) > SPREAD:
        verdict = "not judged"
    elif row.target is not None:
        verdict = "met" if bound >= row.target else "missed"
    return Result(
        row.name, "us", statistics.median(times["reference"]) * 1e6, statistics.median(times["ours"]) * 1e6,
        statistics.median(ratios), bound, aa, row.target, verdict, rounds, busy,
    )  # fmt: skip


def _absolute(row: Absolute, busy: float) -> Result:
    reference = statistics.median(row.measure("reference") for _ in range(row.repeats))
    values = [row.measure("ours") for _ in range(row.repeats)]
    ours = statistics.median(values)
    verdict: Verdict = "no target" if row.target is None else "met" if max(values) <= row.target else "missed"
    ratio = reference / ours if ours else math.inf
    return Result(
        row.name, row.unit, reference, ours, ratio, max(values), None, row.target, verdict, row.repeats, busy
    )


def busy_share(seconds: float = 0.2) -> float:
    """The share of all cores that is in use, over a moment in which this process sleeps."""
    before = _jiffies()
    time.sleep(seconds)
    total, idle = (after - then for after, then in zip(_jiffies(), before, strict=True))
    return 1 - idle / total if total else 0.0


def _jiffies() -> tuple[int, int]:
    fields = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return sum(fields), fields[3] + fields[4]


def _settled(patience: float) -> float:
    if patience <= 0:
        return 0.0
    end = time.monotonic() + patience
    while (busy := busy_share()) > SPREAD and time.monotonic() < end:
        pass
    return busy
