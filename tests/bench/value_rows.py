"""The rows about values and arrays in shared memory."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from pairing import Measure, Paired, Side
from scale import MIB, Scale, context_of

__all__ = ["value_rows"]


def value_rows(scale: Scale) -> list[Paired]:
    """Every row about values and arrays, in the order of the table."""
    return [
        Paired("Value, made and kept", partial(_made, scale, "Value", ("i", 1), scale.trips), 1.0),
        Paired("RawValue, made and kept", partial(_made, scale, "RawValue", ("i", 1), scale.trips), 1.0),
        Paired(
            f"RawArray of {scale.large // MIB} MiB, made",
            partial(_made, scale, "RawArray", ("b", scale.large), 3),
            1.0,
        ),
        Paired("Value, value += 1 under its lock", partial(_used, scale, "Value", 0, _increment), None),
        Paired("Value, value read", partial(_used, scale, "Value", 3, _read), None),
        Paired("Array, an element read", partial(_used, scale, "Array", [3], _element), None),
        Paired("RawArray, an element read", partial(_used, scale, "RawArray", [3], _element), None),
    ]


@contextlib.contextmanager
def _made(scale: Scale, kind: str, arguments: tuple[Any, ...], count: int, side: Side) -> Iterator[Measure]:
    make = getattr(context_of(side, scale), kind)

    def measure() -> float:
        began = time.perf_counter()
        kept = [make(*arguments) for _ in range(count)]
        took = time.perf_counter() - began
        assert len(kept) == count
        return took / count

    yield measure


@contextlib.contextmanager
def _used(
    scale: Scale, kind: str, initial: Any, use: Callable[[Any, int], Any], side: Side
) -> Iterator[Measure]:
    obj = getattr(context_of(side, scale), kind)("i", initial)

    def measure() -> float:
        began = time.perf_counter()
        use(obj, scale.messages)
        return (time.perf_counter() - began) / scale.messages

    yield measure


def _increment(value: Any, count: int) -> None:
    before = value.value
    for _ in range(count):
        with value.get_lock():
            value.value += 1
    assert value.value == before + count


def _read(value: Any, count: int) -> None:
    for _ in range(count):
        found = value.value
    assert found == 3


def _element(array: Any, count: int) -> None:
    for _ in range(count):
        found = array[0]
    assert found == 3
