"""Values and arrays in shared memory, as in multiprocessing and where they are better."""

from __future__ import annotations

import copy
import ctypes
import multiprocessing
import multiprocessing.sharedctypes
import os
import pickle
import random
import sys
from collections.abc import Iterator
from functools import partial
from multiprocessing.reduction import ForkingPickler
from typing import Any

import numpy as np
import pytest
import sharedctypes_targets as targets
from sharedctypes_targets import Call, address

import ipcframe
from ipcframe import sharedctypes
from ipcframe.conformance.interrupts import Striker
from ipcframe.errors import OwnerDiedWarning

std: Any = multiprocessing.sharedctypes
METHODS = ["fork", "spawn", "forkserver"]
FORK = ipcframe.get_context("fork", backend="pipe")


@pytest.fixture(scope="module", params=METHODS)
def elsewhere(request: pytest.FixtureRequest) -> Iterator[Call]:
    """Calls a function in a process that runs since before the objects were made."""
    with targets.elsewhere(request.param) as call:
        yield call


# --- as in multiprocessing ---


@pytest.mark.parametrize("method", METHODS)
def test_a_child_is_given_them_as_arguments(method: str) -> None:
    ctx = ipcframe.get_context(method, backend="pipe")
    value, array, text = ctx.Value("i", 21), ctx.Array("d", [1, 2, 3]), ctx.Array("c", 20)
    point, raw = ctx.Value(targets.Point, 3, 1.5), ctx.RawArray(ctypes.c_int * 2, 2)
    text.value, raw[1][:] = b"hello", [4, 5]
    child = ctx.Process(target=targets.double, args=(value, array, text, point, raw))
    child.start()
    child.join()
    assert value.value == 42
    assert array[:] == [2.0, 4.0, 6.0]
    assert text.value == b"hellohello"
    assert (point.x, point.y) == (6, 3.0)
    assert [list(row) for row in raw] == [[0, 0], [8, 10]]


def test_a_letter_means_the_type_that_it_means_in_multiprocessing() -> None:
    for letter, cls in std.typecode_to_type.items():
        assert type(sharedctypes.RawValue(letter)) is cls


def test_new_memory_is_zero() -> None:
    for _ in range(3):
        array = sharedctypes.RawArray("i", 1000)
        assert not any(array)
        array[:] = range(1, 1001)


def test_the_lock_is_new_or_given_or_none() -> None:
    lock = FORK.Lock()
    for make in (partial(FORK.Value, "i"), partial(FORK.Array, "i", 2)):
        assert make(lock=lock).get_lock() is lock
        assert not hasattr(make(lock=False), "get_lock")
        assert isinstance(make(lock=None).get_lock(), ipcframe.abc.RLock)
        assert make(name="counts").get_lock().name == "counts"
        with pytest.raises(AttributeError, match="no method 'acquire'"):
            make(lock="a lock")
        with pytest.raises(ValueError, match="name and backend would be of the lock"):
            make(lock=lock, name="counts", backend="pipe")


def test_without_a_context_the_lock_is_of_the_default_context() -> None:
    assert sharedctypes.Value("i", 3).value == 3
    assert sharedctypes.Array("i", [3])[0] == 3
    assert sharedctypes.synchronized(ctypes.c_int(3)).value == 3


def test_the_wrappers_are_multiprocessings_too() -> None:
    assert isinstance(FORK.Value("i"), std.Synchronized)
    assert isinstance(FORK.Array("i", 1), std.SynchronizedArray)
    assert isinstance(FORK.Array("c", 1), std.SynchronizedString)
    assert isinstance(FORK.Value(targets.Point), std.SynchronizedBase)


def test_an_array_has_a_length_and_slices_and_ends() -> None:
    array = FORK.Array("h", range(10))
    array[2:4] = [-1, -2]
    assert len(array) == 10
    assert array[1:5] == [1, -1, -2, 4]
    assert list(array) == array[:]
    with pytest.raises(IndexError):
        array[10]


def test_the_members_of_a_structure_are_those_of_its_bases_too() -> None:
    place = FORK.Value(targets.Place, 1, 2.5, b"home")
    place.x += 1
    assert (place.x, place.y, place.name) == (2, 2.5, b"home")
    assert type(place).__name__ == "SynchronizedPlace"
    assert type(FORK.Value(targets.Place)) is type(place)


def test_a_copy_has_the_bytes_and_memory_of_its_own() -> None:
    point = targets.Point(1, 2.0)
    shared = sharedctypes.copy(point)
    point.x = 5
    assert (shared.x, shared.y) == (1, 2.0)
    with pytest.raises(AssertionError):
        sharedctypes.synchronized(FORK.Value("i"))


def test_numpy_writes_where_the_array_lies() -> None:
    for code, dtype in (("d", np.float64), ("B", np.uint8), ("c", np.uint8), ("q", np.int64)):
        array = FORK.Array(code, 16)
        np.frombuffer(array.get_obj(), dtype)[3] = 7
        assert array[3] in (7, b"\7")
    text = FORK.Array("u", 5)
    text.get_obj().value = "abc"
    assert memoryview(text.get_obj()).nbytes == 5 * ctypes.sizeof(ctypes.c_wchar)
    assert text[:] == "abc\0\0"


def test_an_array_of_no_elements_is_one() -> None:
    assert FORK.Array("d", 0)[:] == []
    assert FORK.Array("c", b"").raw == b""


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("i", -1), ValueError),
        (("i", 2.5), TypeError),
        (("?", 1), TypeError),
        (("i", ["one"]), TypeError),
        (("d", sys.maxsize), OverflowError),
        (("c", sys.maxsize), OSError),
        (("c", 2**50), OSError),
    ],
)
def test_what_cannot_be_made_is_refused(arguments: Any, error: type[Exception]) -> None:
    for make in (FORK.RawArray, FORK.Array):
        with pytest.raises(error):
            make(*arguments)


def test_a_large_array_costs_nothing_before_it_is_filled() -> None:
    array = sharedctypes.RawArray("B", 2 << 30)
    array[-1] = 1
    file = os.fstat(array._wrapper.arena.fd)
    assert file.st_size == 2 << 30
    assert file.st_blocks * 512 <= 1 << 20


# --- to a process that already runs ---


def test_a_running_process_is_sent_them(elsewhere: Call) -> None:
    value, array = FORK.Value("i", 1), FORK.Array("h", [1, 2])
    point, place = FORK.Value(targets.Point, 3, 1.5), sharedctypes.RawValue(targets.Place)
    elsewhere(targets.put, value, "value", 5)
    elsewhere(targets.put, point, "x", 6)
    elsewhere(targets.put, place, "name", b"home")
    array[1] = 7
    assert (value.value, point.x, place.name) == (5, 6, b"home")
    assert elsewhere(targets.items, array) == [1, 7]


def test_what_was_made_elsewhere_comes_back(elsewhere: Call) -> None:
    value = elsewhere(targets.raw_value, 5)
    elsewhere(targets.keep, value)
    value.value = 6
    assert elsewhere(targets.attribute, value, "value") == 6
    elsewhere(targets.forget)
    assert value.value == 6


def test_what_was_sent_there_and_back_is_the_same_memory(elsewhere: Call) -> None:
    sent = sharedctypes.RawValue("i", 1)
    received = elsewhere(targets.back, sent)
    assert address(received) == address(sent)
    assert received._wrapper.arena is sent._wrapper.arena
    matrix = sharedctypes.RawArray(ctypes.c_double * 3, 2)
    assert type(elsewhere(targets.back, matrix)) is type(matrix)
    assert type(elsewhere(targets.back, sharedctypes.RawValue(targets.Triple))) is targets.Triple


def test_a_queue_carries_them() -> None:
    queue = FORK.Queue()
    value = FORK.Value("i", 1)
    queue.put(value)
    queue.get(timeout=20).value += 1
    assert value.value == 2
    queue.close()


def test_a_thousand_objects_of_a_message_cost_one_descriptor(elsewhere: Call) -> None:
    before = elsewhere(targets.descriptors_of_arenas)
    values = [sharedctypes.RawValue("i", number) for number in range(1000)]
    elsewhere(targets.keep, values)
    added = elsewhere(targets.descriptors_of_arenas) - before
    elsewhere(targets.keep, values[5])
    assert elsewhere(targets.descriptors_of_arenas) == before + added
    elsewhere(targets.forget)
    assert elsewhere(targets.descriptors_of_arenas) == before
    assert added <= 2 * len({value._wrapper.arena for value in values}) <= 4


def test_a_process_that_has_it_gets_it_back_from_one_that_has_ended() -> None:
    queue = FORK.Queue()
    value, raw = FORK.Value("i", 1), sharedctypes.RawValue("i", 2)
    child = FORK.Process(target=queue.put, args=((value, raw),))
    child.start()
    child.join()
    same, same_raw = queue.get(timeout=20)
    same.value, same_raw.value = 3, 4
    assert (value.value, raw.value) == (3, 4)
    queue.close()


def test_a_grandchild_and_its_parent_count_under_one_lock() -> None:
    value = FORK.Value("i", 0)
    child = FORK.Process(target=targets.count_up_in_a_grandchild, args=("fork", value, 100))
    child.start()
    targets.count_up(value, 100)
    child.join()
    assert value.value == 300


def test_the_holder_of_the_lock_is_killed_and_the_next_has_it() -> None:
    value = FORK.Value("i", 0)
    child = FORK.Process(target=targets.die_holding, args=(value,))
    child.start()
    child.join()
    with pytest.warns(OwnerDiedWarning):
        assert value.value == 17
    value.value += 1
    assert value.value == 18


# --- pickles ---


def test_ordinary_objects_of_the_same_types_are_pickled_by_value(elsewhere: Call) -> None:
    kept = [sharedctypes.RawValue("i", 1), sharedctypes.RawValue(targets.Point, 1, 2)]
    assert elsewhere(targets.back, ctypes.c_int(5)).value == 5
    assert elsewhere(targets.back, targets.Point(3, 4)).y == 4
    assert ForkingPickler.loads(ForkingPickler.dumps(ctypes.c_int(6))).value == 6
    assert elsewhere(targets.back, sharedctypes.RawArray(targets.Point, [(1, 2), (3, 4)])[1]).x == 3
    copied = copy.copy(kept[0])
    copied.value = 9
    assert elsewhere(targets.back, copied).value == 9
    assert kept[0].value == 1


def test_objects_of_multiprocessings_own_are_pickled_as_without_us() -> None:
    ours, theirs = sharedctypes.RawValue("i", 1), std.RawValue("i", 2)
    again = sharedctypes.RawValue("i", 3)
    with pytest.raises(RuntimeError, match="inheritance"):
        ForkingPickler.dumps(theirs)
    child = multiprocessing.get_context("spawn").Process(
        target=targets.double, args=(ours, [], again, targets.Point(), [])
    )
    child.start()
    child.join()
    assert child.exitcode == 0
    assert (ours.value, again.value, theirs.value) == (2, 6, 2)


def test_the_module_pickle_alone_refuses_rather_than_to_copy() -> None:
    value = sharedctypes.RawValue("i", 1)
    for dump in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError, match="by connections, queues and arguments"):
            dump(value)


# --- interrupts ---


@pytest.mark.parametrize(("kind", "held"), [("Lock", 0), ("RLock", 0), ("RLock", 1)])
def test_an_interrupted_access_leaves_the_lock_as_it_was(kind: str, held: int) -> None:
    lock: Any = getattr(FORK, kind)()
    value = FORK.Value("i", 0, lock=lock)
    for _ in range(held):
        lock.acquire()
    with Striker(random.Random(5)).armed() as striker:
        while striker.struck < 300:
            striker.strike(lambda: value.value)
            assert lock._semlock._count() == held
            striker.strike(lambda: setattr(value, "value", 5))
            assert lock._semlock._count() == held


def test_an_error_within_leaves_the_lock_released() -> None:
    array = FORK.Array("i", 2)
    with pytest.raises(TypeError):
        array[0] = "text"
    assert array.get_lock()._semlock._get_value() == 1
