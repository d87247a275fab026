"""Arenas: memory is never used a second time, costs few descriptors, and goes with its last object."""

from __future__ import annotations

import ctypes
import errno
import gc
import mmap
import os
import random
import signal
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest
import sharedctypes_targets as targets
from sharedctypes_targets import Call, address

import ipcframe
from ipcframe import sharedctypes
from ipcframe.conformance.conditions import Worker
from ipcframe.conformance.interrupts import Striker
from ipcframe.toolkit.arena import allocate

FORK = ipcframe.get_context("fork", backend="pipe")


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[Call]:
    """Calls a function in a process that runs since before the objects were made."""
    with targets.elsewhere("fork") as call:
        yield call


def in_forked_child(work: Callable[[], Any]) -> Any:
    """What the work gives in a child made by hand, which lives until that is here."""
    ours, theirs = FORK.Pipe()
    pid = os.fork()
    if pid == 0:
        try:
            theirs.send(work())
            theirs.recv(timeout=20)
        finally:
            os._exit(0)
    result = ours.recv(timeout=20)
    ours.send(None)
    os.waitpid(pid, 0)
    return result


def assert_apart(objects: list[Any]) -> None:
    places = sorted(address(obj) for obj in objects)
    assert all(first[1] <= second[0] for first, second in pairwise(places))


def test_memory_is_never_used_a_second_time(elsewhere: Call) -> None:
    value = sharedctypes.RawValue("i", 1)
    elsewhere(targets.keep, value)
    del value
    unrelated = [sharedctypes.RawValue("i", 42) for _ in range(3)]
    (still_there,) = elsewhere(targets.what_is_kept)
    assert still_there.value == 1
    still_there.value = 666
    assert [one.value for one in unrelated] == [42, 42, 42]
    elsewhere(targets.forget)


def test_no_two_objects_overlap_whatever_their_sizes() -> None:
    sizes = [1, 8, 16, 17, 4096, 5000, 65536, 300_000, 1 << 20, (1 << 20) + 1]
    arrays = [sharedctypes.RawArray("B", random.choice(sizes)) for _ in range(300)]
    assert_apart(arrays)
    assert all(ctypes.addressof(array) % 16 == 0 for array in arrays)


def test_objects_of_a_child_made_by_hand_do_not_lie_in_the_parents_arena() -> None:
    value = sharedctypes.RawValue("i", 1)

    def work() -> tuple[int, Any]:
        value.value += 1
        own = sharedctypes.RawValue("i", 7)
        return value.value, own

    seen, own = in_forked_child(work)
    mine = [sharedctypes.RawValue("i", 3) for _ in range(3)]
    own.value += 1
    assert (seen, value.value, own.value) == (2, 2, 8)
    assert [one.value for one in mine] == [3, 3, 3]


def test_after_a_fork_with_threads_the_child_makes_values() -> None:
    stop: list[bool] = []

    def make() -> None:
        while not stop:
            sharedctypes.RawArray("B", 100)

    makers = [Worker(make) for _ in range(2)]
    try:
        for _ in range(5):
            assert in_forked_child(lambda: FORK.Value("i", 5).value) == 5
    finally:
        stop.append(True)
    for maker in makers:
        maker.result()


def test_threads_are_never_given_the_same_memory() -> None:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        makers = [
            Worker(lambda: [sharedctypes.RawArray("B", size) for size in (1, 3000) * 300]) for _ in range(4)
        ]
        arrays = [array for maker in makers for array in maker.result()]
    finally:
        sys.setswitchinterval(before)
    assert_apart(arrays)


def test_a_signal_handler_makes_a_value_while_one_is_made() -> None:
    made: list[Any] = []

    def handler(number: int, frame: Any) -> None:
        made.append(sharedctypes.RawArray("B", 3000))

    before = signal.signal(signal.SIGALRM, handler)
    try:
        for number in range(300):
            signal.setitimer(signal.ITIMER_REAL, 1e-6 * (number % 30 + 1))  # once
            made.append(sharedctypes.RawArray("B", 3000))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_IGN)  # drops one that is on its way
        signal.signal(signal.SIGALRM, before)
    assert len(made) > 300
    assert_apart(made)


def test_an_arena_goes_with_its_last_object() -> None:
    gc.collect()
    before = targets.arenas(), targets.descriptors_of_arenas()
    values = [sharedctypes.RawValue("i") for _ in range(10_000)]
    view = memoryview(values[-1])
    assert 0 < targets.arenas() - before[0] <= 4
    assert 0 < targets.descriptors_of_arenas() - before[1] <= 8
    values.clear()
    assert targets.arenas() - before[0] == 1
    view.cast("B")[0] = 5
    del view
    assert (targets.arenas(), targets.descriptors_of_arenas()) == before


def test_a_thousand_arrays_cost_few_descriptors() -> None:
    before = targets.descriptors_of_arenas()
    arrays = [sharedctypes.RawArray("B", 1 << 20) for _ in range(1000)]
    assert targets.descriptors_of_arenas() - before <= 2 * -(-len(arrays) // 16)


def test_an_arena_lives_on_in_who_has_an_object_of_it(elsewhere: Call) -> None:
    array = sharedctypes.RawArray("B", b"x" * (2 << 20))
    elsewhere(targets.keep, array)
    del array
    assert elsewhere(targets.sizes_of_what_is_kept) == [2 << 20]
    elsewhere(targets.forget)


def test_a_file_that_cannot_be_mapped_leaves_no_descriptor(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any, **kwargs: Any) -> Any:
        raise OSError(errno.ENOMEM, "no room")

    before = targets.descriptors_of_arenas()
    monkeypatch.setattr(mmap, "mmap", fail)
    with pytest.raises(OSError, match="no room"):
        allocate(2 << 20)
    assert targets.descriptors_of_arenas() == before


def test_an_interrupted_allocation_loses_no_descriptor() -> None:
    before = targets.descriptors_of_arenas()
    made: list[Any] = []
    with Striker(random.Random(6)).armed() as striker:
        while striker.struck < 300:
            striker.strike(lambda: made.append(allocate(2 << 20)))
            made.clear()
    del striker
    assert targets.descriptors_of_arenas() == before
