"""What children of the tests of shared values and arrays run."""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import ipcframe
from ipcframe import sharedctypes
from ipcframe.conformance.conditions import open_descriptors


class Point(ctypes.Structure):
    _fields_: ClassVar[Any] = (("x", ctypes.c_int), ("y", ctypes.c_double))


class Place(Point):
    _fields_: ClassVar[Any] = (("name", ctypes.c_char * 8),)


class Triple(ctypes.c_float * 3):  # type: ignore[misc]
    pass


Call = Callable[..., Any]
kept: list[Any] = []


@contextmanager
def elsewhere(method: str) -> Iterator[Call]:
    """Gives a function that calls another in a new process."""
    ctx = ipcframe.get_context(method, backend="pipe")
    ours, theirs = ctx.Pipe()
    child = ctx.Process(target=serve, args=(theirs,), daemon=True)
    child.start()
    theirs.close()

    def call(function: Call, *args: Any) -> Any:
        ours.send((function, args))
        result = ours.recv(timeout=20)
        if isinstance(result, Exception):
            raise result
        return result

    yield call
    ours.send(None)
    child.join()
    assert child.exitcode == 0


def serve(conn: Any) -> None:
    """Do what comes, and send back what it gives or raises."""
    for function, args in iter(conn.recv, None):
        try:
            result = function(*args)
        except Exception as error:
            result = error
        conn.send(result)
        del function, args, result


def keep(obj: Any) -> None:
    kept.append(obj)


def what_is_kept() -> list[Any]:
    return kept


def sizes_of_what_is_kept() -> list[int]:
    return [ctypes.sizeof(obj) for obj in kept]


def forget() -> None:
    kept.clear()


def back(obj: Any) -> Any:
    return obj


def attribute(obj: Any, name: str) -> Any:
    return getattr(obj, name)


def put(obj: Any, name: str, value: Any) -> None:
    setattr(obj, name, value)


def items(obj: Any) -> list[Any]:
    return list(obj[:])


def double(value: Any, array: Any, text: Any, point: Any, raw: Any) -> None:
    value.value *= 2
    array[:] = [2 * element for element in array]
    text.value *= 2
    point.x *= 2
    point.y *= 2
    for row in raw:
        row[:] = [2 * element for element in row]


def count_up(value: Any, times: int) -> None:
    for _ in range(times):
        with value.get_lock():
            value.value += 1


def count_up_in_a_grandchild(method: str, value: Any, times: int) -> None:
    child = ipcframe.get_context(method, backend="pipe").Process(target=count_up, args=(value, times))
    child.start()
    child.join()
    count_up(value, times)


def die_holding(value: Any) -> None:
    value.get_lock().acquire()
    value.value = 17
    os.kill(os.getpid(), signal.SIGKILL)


def address(obj: Any) -> tuple[int, int]:
    """Where it lies: the first byte, and the one after the last."""
    first = ctypes.addressof(obj)
    return first, first + ctypes.sizeof(obj)


def raw_value(value: int) -> Any:
    return sharedctypes.RawValue("i", value)


def arenas() -> int:
    """How many arenas this process has mapped."""
    with open("/proc/self/maps", encoding="ascii") as maps:  # noqa: PTH123
        return sum("ipcframe-arena" in line for line in maps)


def descriptors_of_arenas() -> int:
    return sum("ipcframe-arena" in one for one in open_descriptors())
