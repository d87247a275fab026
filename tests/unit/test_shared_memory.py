"""`SharedMemory` and `ShareableList`: what they are, and what they do within one program."""

from __future__ import annotations

import errno
import gc
import inspect
import os
import pickle
import resource
import signal
from collections.abc import Iterator
from itertools import count
from multiprocessing import resource_tracker, shared_memory
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shared_memory_targets as targets

import ipcframe.shared_memory
from ipcframe.conformance.conditions import open_descriptors
from ipcframe.errors import OutOfSharedMemory

FOLDER = Path("/dev/shm")
STANDARD: Any = shared_memory
OURS: Any = ipcframe.shared_memory  # no types: `buf` may be None, and a list holds items of one type
SharedMemory, ShareableList = OURS.SharedMemory, OURS.ShareableList


@pytest.fixture(autouse=True)
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The prefix of all names that a test uses, of which none is left when it ends."""
    prefix, number = f"ipcframe-test-{os.getpid()}-", count()
    monkeypatch.setattr(shared_memory, "_make_filename", lambda: f"/{prefix}{next(number)}")
    yield prefix
    assert left(prefix) == []


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the resource tracker is told."""
    messages: list[str] = []
    tracker: Any = resource_tracker._resource_tracker
    send = tracker._send

    def tell(word: str, name: str, kind: str) -> None:
        messages.append(f"{word} {name.rpartition('-')[2]}")
        send(word, name, kind)

    monkeypatch.setattr(tracker, "_send", tell)
    return messages


def left(prefix: str) -> list[str]:
    return sorted(path.name for path in FOLDER.glob(f"{prefix}*"))


# --- blocks ---------------------------------------------------------------------------------------


def test_the_signatures_are_those_of_the_standard_library_and_track() -> None:
    ours = inspect.signature(SharedMemory)
    assert str(ours).replace("'", "") == (
        "(name: str | None = None, create: bool = False, size: int = 0, *, track: bool = True) -> None"
    )
    theirs = [*inspect.signature(STANDARD.SharedMemory).parameters, "track"]
    assert list(ours.parameters) == list(dict.fromkeys(theirs))
    assert list(inspect.signature(ShareableList).parameters) == ["sequence", "name"]
    assert issubclass(SharedMemory, STANDARD.SharedMemory)
    assert issubclass(ShareableList, STANDARD.ShareableList)


def test_what_one_writes_the_other_reads_whichever_library_they_use(names: str) -> None:
    made = SharedMemory(f"{names}a", create=True, size=100)
    attached = [SharedMemory(made.name), STANDARD.SharedMemory(made.name, size=7)]
    made.buf[99] = 5
    assert [(block.size, block.buf[99]) for block in attached] == [(100, 5)] * 2
    assert repr(made) == f"SharedMemory('{names}a', size=100)"
    for block in (*attached, made):
        block.close()
        block.close()
    assert made.buf is None
    made.unlink()
    with pytest.raises(FileNotFoundError):
        made.unlink()
    with pytest.raises(FileNotFoundError):
        SharedMemory(made.name)


def test_a_name_is_taken_once(names: str) -> None:
    made = SharedMemory(f"{names}a", create=True, size=8)
    with pytest.raises(FileExistsError):
        SharedMemory(made.name, create=True, size=8)
    assert left(names) == [made.name]
    made.unlink()


def test_a_generated_name_that_is_taken_is_passed_over(names: str) -> None:
    taken = SharedMemory(f"{names}0", create=True, size=8)
    made = SharedMemory(create=True, size=8)
    assert made.name == f"{names}1"
    taken.unlink()
    made.unlink()


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"create": True}, ValueError),
        ({"create": True, "size": -1}, ValueError),
        ({"create": True, "size": 1.5}, TypeError),
        ({}, ValueError),
        ({"name": "a\0b", "create": True, "size": 1}, ValueError),
        ({"name": "a/b", "create": True, "size": 1}, OSError),
        ({"create": True, "size": 2**70}, OutOfSharedMemory),
    ],
)
def test_wrong_arguments_make_nothing(arguments: dict[str, Any], error: type[Exception], names: str) -> None:
    before = open_descriptors()
    with pytest.raises(error):
        SharedMemory(**arguments)
    assert left(names) == []
    assert open_descriptors() == before


def test_only_who_creates_tells_the_tracker(names: str, told: list[str]) -> None:
    made = SharedMemory(create=True, size=8)
    other = SharedMemory(made.name)
    pickle.loads(pickle.dumps(other)).close()
    assert told == ["REGISTER 0"]
    other.unlink()
    assert told == ["REGISTER 0", "REGISTER 0", "UNREGISTER 0"]


def test_to_unregister_what_was_only_attached_to_is_no_error(told: list[str]) -> None:
    OURS.unregister("/ipcframe-test-0", "shared_memory")
    assert told == ["REGISTER 0", "UNREGISTER 0"]


@pytest.mark.parametrize("name", [None, "untracked"])
def test_an_untracked_block_is_not_told_of(names: str, told: list[str], name: str | None) -> None:
    made = SharedMemory(name and names + name, create=True, size=8, track=False)
    assert told == []
    SharedMemory(made.name, track=True).unlink()


@pytest.mark.parametrize("name", ["a:b", "a\nb", "ä"])
def test_a_name_that_the_tracker_cannot_be_told_of_works(names: str, told: list[str], name: str) -> None:
    made = SharedMemory(names + name, create=True, size=8)
    SharedMemory(made.name).unlink()
    assert told == []


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_block_travels_by_its_name(method: str) -> None:
    context = ipcframe.get_context(method, backend="pipe")
    ours, theirs = context.Pipe()
    block = SharedMemory(create=True, size=8)
    block.buf[0] = 7
    child = context.Process(target=targets.answer_first_byte, args=(theirs, block))
    child.start()
    ours.send(block)
    assert ours.recv() == ("ipcframe.shared_memory", 7, 7, [])
    child.join()
    assert block.buf[1] == 9
    block.unlink()


def test_who_attaches_waits_while_the_block_is_being_made(
    names: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = STANDARD._posixshmem.shm_open(f"/{names}a", os.O_CREAT | os.O_RDWR, 0o600)
    monkeypatch.setattr(OURS.time, "sleep", lambda seconds: os.ftruncate(made, 8))
    block = SharedMemory(f"{names}a")
    assert block.size == 8
    block.unlink()
    os.close(made)


def test_who_attaches_to_a_block_whose_creation_failed_finds_none(
    names: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = STANDARD._posixshmem.shm_open(f"/{names}a", os.O_CREAT | os.O_RDWR, 0o600)
    monkeypatch.setattr(OURS.time, "sleep", lambda seconds: FOLDER.joinpath(f"{names}a").unlink())
    with pytest.raises(FileNotFoundError):
        SharedMemory(f"{names}a")
    os.close(made)


def test_an_attempt_to_attach_that_fails_unlinks_nothing(names: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = SharedMemory(create=True, size=8)
    with monkeypatch.context() as patch:
        patch.setattr("ipcframe.shared_memory.mmap.mmap", fails(errno.ENOMEM))
        with pytest.raises(OSError, match="Cannot allocate"):
            SharedMemory(made.name)
    assert left(names) == [made.name]
    made.unlink()


def fails(number: int, after: int = 0) -> Any:
    calls = count()

    def fail(*arguments: Any) -> None:
        if next(calls) >= after:
            raise OSError(number, os.strerror(number))

    return fail


# --- room -----------------------------------------------------------------------------------------


def test_a_block_larger_than_what_is_left_is_refused_and_the_text_says_what_to_do() -> None:
    with pytest.raises(OutOfSharedMemory, match="--shm-size") as caught:
        SharedMemory(create=True, size=2**60)
    assert caught.value.errno == errno.ENOSPC
    assert isinstance(caught.value, OSError)
    assert str(2**60) in str(caught.value)
    assert "ipcframe.Array" in str(caught.value)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.ENOMEM])
@pytest.mark.parametrize("name", [None, "a"])
def test_a_reservation_that_fails_half_way_leaves_nothing(
    names: str, name: str | None, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = open_descriptors()
    monkeypatch.setattr(os, "posix_fallocate", fails(number, after=2))
    with pytest.raises(OutOfSharedMemory):
        SharedMemory(name and names + name, create=True, size=2**22)
    assert left(names) == []
    assert open_descriptors() == before


def test_where_nothing_can_be_reserved_a_block_is_made_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "posix_fallocate", fails(errno.EOPNOTSUPP))
    made = SharedMemory(create=True, size=8)
    assert made.size == 8
    made.unlink()


def test_a_block_has_all_its_memory_at_once(names: str) -> None:
    made = SharedMemory(create=True, size=3 * 2**20 + 1)
    assert Path(FOLDER, made.name).stat().st_blocks * 512 >= made.size
    made.unlink()


def test_the_limit_of_file_sizes_is_an_error_that_leaves_nothing(names: str) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            SharedMemory(create=True, size=2**21)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert left(names) == []


def test_signals_do_not_keep_a_large_block_from_being_made() -> None:
    struck = []
    before = signal.signal(signal.SIGALRM, lambda number, frame: struck.append(number))
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    try:
        made = SharedMemory(create=True, size=2**25)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    made.unlink()
    assert struck


# --- arrays ---------------------------------------------------------------------------------------


def test_a_block_that_something_lies_on_says_so_when_it_is_closed() -> None:
    block = SharedMemory(create=True, size=80)
    block.unlink()
    array = np.frombuffer(block.buf)
    for _ in range(2):
        with pytest.raises(BufferError):
            block.close()
    array[0] = 2.5
    del array
    block.close()


@pytest.mark.parametrize("lay", [np.frombuffer, lambda buf: np.ndarray(10, buffer=buf), lambda buf: buf])
def test_what_lies_on_a_block_outlives_it_without_a_word(lay: Any) -> None:
    before = open_descriptors()
    block = SharedMemory(create=True, size=80)
    block.unlink()
    array = lay(block.buf)
    del block
    gc.collect()
    array[0] = 2
    assert array[0] == 2
    del array
    assert open_descriptors() == before


# --- lists ----------------------------------------------------------------------------------------

ITEMS = ["text", b"bytes", 1.5, -3, None, True]


def test_a_list_lies_on_a_block_of_ours_and_is_found_by_its_name(names: str) -> None:
    made = ShareableList(ITEMS, name=f"{names}a")
    assert type(made.shm) is SharedMemory
    others: list[Any] = [ShareableList(name=made.shm.name), STANDARD.ShareableList(name=made.shm.name)]
    for other in (made, *others):
        assert list(other) == ITEMS
        assert other.format == "8s8sdqxxxxxx?xxxxxxxx?"
    others[1][0] = "other"
    assert (made[0], made[-1], made.count(True), made.index(None)) == ("other", True, 1, 4)
    assert repr(made) == f"ShareableList({list(made)}, name='{names}a')"
    copied = ShareableList(made)
    assert list(copied) == list(made)
    for one in (made, copied):
        one.shm.unlink()


def test_a_list_of_the_standard_librarys_is_read_as_there() -> None:
    made = STANDARD.ShareableList([*ITEMS, "12345678"])
    assert list(ShareableList(name=made.shm.name)) == list(made)
    made.shm.unlink()


@pytest.mark.parametrize("item", ["\0", "a\0\0", b"\0", b"1234567\0", b"12345678\0", "é\0", "", b""])
def test_what_ends_with_nuls_keeps_them(item: Any) -> None:
    made: Any = ShareableList([item, "room for it", 1])
    made[1] = item
    assert [made[0], made[1]] == [item, item]
    assert ShareableList(name=made.shm.name)[1] == item
    made[1] = "all of it"  # the next may be longer again
    assert list(made) == [item, "all of it", 1]
    made[1] = 5
    made[1] = item
    assert made[1] == item
    made.shm.unlink()


def test_what_ends_with_nuls_is_read_by_the_standard_library_as_ever() -> None:
    made = ShareableList([b"ab\0", "c\0"])
    other = STANDARD.ShareableList(name=made.shm.name)
    assert list(other) == [b"ab", "c"]
    other[0] = b"12345678"
    assert list(made) == [b"12345678", "c\0"]
    made.shm.unlink()


@pytest.mark.parametrize("item", ["é" * 5, "€" * 8, "encodés", "😀" * 100])
def test_a_text_of_more_bytes_than_characters_is_stored_whole(item: str) -> None:
    made = ShareableList([item, "next"])
    assert list(made) == [item, "next"]
    made.shm.unlink()


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_list_travels_by_its_name(method: str) -> None:
    context = ipcframe.get_context(method, backend="pipe")
    ours, theirs = context.Pipe()
    made: Any = ShareableList(ITEMS)
    child = context.Process(target=targets.answer_items, args=(theirs, made))
    child.start()
    assert ours.recv() == ("ipcframe.shared_memory", ITEMS)
    child.join()
    assert made[0] == "new"
    made.shm.unlink()


@pytest.mark.parametrize("items", [[2**70], [object()], ["\ud800"], [3, 2**63]])
def test_a_list_that_cannot_be_made_leaves_nothing(names: str, items: list[Any]) -> None:
    with pytest.raises(Exception):  # noqa: B017, PT011 - the standard library's, of many kinds
        ShareableList(items)
    assert left(names) == []


def test_an_item_that_finds_no_room_changes_nothing() -> None:
    made: Any = ShareableList(["short\0", 1])
    with pytest.raises(ValueError, match="exceeds available storage"):
        made[0] = "x" * 9
    with pytest.raises(IndexError):
        made[2] = 1
    assert list(made) == ["short\0", 1]
    made.shm.unlink()
