"""Shared memory among programs that come and go, are killed and interrupted, and have little of it."""

from __future__ import annotations

import contextlib
import os
import random
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import count
from multiprocessing import resource_tracker, shared_memory
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import shared_memory_targets as targets

import ipcframe.shared_memory
from ipcframe.conformance.case import budget
from ipcframe.conformance.conditions import eventually, open_descriptors
from ipcframe.conformance.interrupts import Interrupt, Striker

FOLDER = Path("/dev/shm")
PROGRAMS = targets.__file__
OURS: Any = ipcframe.shared_memory
SharedMemory, ShareableList = OURS.SharedMemory, OURS.ShareableList
tracker: Any = resource_tracker._resource_tracker


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The prefix of all names that a test uses, of which none is left when it ends."""
    prefix, number = f"ipcframe-test-{os.getpid()}-", count()
    monkeypatch.setattr(shared_memory, "_make_filename", lambda: f"/{prefix}{os.getpid()}-{next(number)}")
    yield prefix
    assert left(prefix) == []


def left(prefix: str) -> list[str]:
    return sorted(path.name for path in FOLDER.glob(f"{prefix}*"))


def program(name: str, *arguments: str) -> str:
    """What the program prints; it and its resource tracker must print no error."""
    quiet = "ignore:This process:DeprecationWarning"  # of a fork where there are threads
    command = [sys.executable, "-W", quiet, PROGRAMS, name, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stderr, done.returncode) == ("", 0)
    return done.stdout


# --- who unlinks, and who does not ----------------------------------------------------------------


def test_a_stranger_that_attaches_and_ends_leaves_the_block_alone(names: str) -> None:
    made = SharedMemory(create=True, size=8)
    made.buf[0] = 7
    assert program("attach_and_end", made.name) == "7\n"  # its tracker, if it had one, has ended too
    assert left(names) == [made.name]
    made.unlink()


@pytest.mark.parametrize("how", ["attach_and_unlink", "unlink_with_the_standard_library"])
def test_a_block_that_a_stranger_unlinks_is_no_matter_for_its_creator_when_that_ends(how: str) -> None:
    command = [sys.executable, PROGRAMS, "create_for_a_stranger"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as creator:
        assert creator.stdout is not None
        name = creator.stdout.readline().strip()
        assert program(how, name) == ""
        assert creator.communicate("\n", timeout=60) == ("", "")
    assert creator.returncode == 0


@pytest.mark.parametrize(("method", "whose"), [("fork", "ours"), ("fork", "theirs"), ("spawn", "ours")])
def test_what_a_child_has_created_outlives_it(method: str, whose: str) -> None:
    assert program("use_what_a_child_created", method, whose) == "True 7\n"


def test_starting_the_tracker_before_a_fork_lets_no_blocked_signal_through() -> None:
    assert program("fork_with_a_signal_blocked") == "True [] True\n"


def test_a_fork_that_is_not_of_multiprocessing_starts_no_tracker() -> None:
    assert program("fork_without_multiprocessing") == "None\n"


def test_a_fork_while_a_thread_uses_the_tracker_leaves_the_child_able_to_create() -> None:
    assert program("create_while_the_tracker_is_locked") == "0\n"


def test_nothing_is_said_when_a_program_ends_with_arrays_on_its_blocks() -> None:
    assert program("end_with_arrays") == "in use\n2.5\n"


def test_names_that_strangers_have_unlinked_are_not_kept_for_ever(
    names: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OURS, "_next_look", 0)
    monkeypatch.setattr(OURS, "_MANY", 4)
    monkeypatch.setattr(OURS, "_made", set())
    kept = SharedMemory(create=True, size=8)
    for _ in range(20):
        gone = SharedMemory(create=True, size=8)
        FOLDER.joinpath(gone.name).unlink()
    assert len(OURS._made) <= 6
    assert f"/{kept.name}" in OURS._made
    OURS._forget_the_gone()
    assert OURS._made == {f"/{kept.name}"}
    kept.unlink()


# --- killed ---------------------------------------------------------------------------------------


def test_when_all_of_a_program_was_killed_the_tracker_unlinks_what_it_has_left() -> None:
    command = [sys.executable, PROGRAMS, "create_everywhere_and_wait"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as creator:
        assert creator.stdout is not None
        *blocks, creators, child = creator.stdout.readline().split()
        paths = [FOLDER / name for name in blocks]
        os.kill(int(creators), signal.SIGKILL)
        creator.wait()
        assert all(path.exists() for path in paths), "the child may still use them"
        os.kill(int(child), signal.SIGKILL)
        eventually(lambda: not any(path.exists() for path in paths))
        _, told = creator.communicate(timeout=60)
    assert "3 leaked shared_memory objects" in told, "as the standard library says it"


def test_who_is_killed_at_any_step_of_creating_leaves_nothing(names: str) -> None:
    for _ in range(2):  # Python 3.13 tells of the opcodes of a function from its second call on
        steps = steps_of(lambda: SharedMemory(create=True, size=8).unlink())
    assert steps > 200
    wanted = budget("IPCFRAME_STEPS", 12)
    chosen = random.sample(range(1, steps), wanted) if 0 < wanted < steps else range(1, steps)
    # The process that has a tracker of its own, for all who are killed, ends after them.
    pid = os.fork()
    if pid == 0:
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # where the tracker says what it removes
            tracker._fd = None
            resource_tracker.ensure_running()
            killed = [
                killed_at(step) for step in chosen
            ]  # a few of the last may be steps of the parent's only
            os._exit(0 if any(killed) else 1)
        except BaseException:
            os._exit(2)
    assert os.waitpid(pid, 0)[1] == 0
    eventually(lambda: left(names) == [])


def killed_at(step: int) -> bool:
    pid = os.fork()
    if pid == 0:
        trace(step, lambda: os.kill(os.getpid(), signal.SIGKILL))
        SharedMemory(create=True, size=8).unlink()
        os._exit(0)
    return os.waitpid(pid, 0)[1] == signal.SIGKILL


def is_stepped(frame: FrameType) -> bool:
    """Whether the code is ours, or the tracker's."""
    name = frame.f_globals.get("__name__")
    return name in ("ipcframe.shared_memory", "multiprocessing.resource_tracker")


def trace(step: int, act: Callable[[], object]) -> Callable[[], int]:
    """Act at this bytecode from now on; the result tells how many there were."""
    seen = 0

    def local(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal seen
        if event == "opcode":
            seen += 1
            if seen == step:
                act()
        return local

    def begin(frame: FrameType, event: str, argument: Any) -> Any:
        frame.f_trace_opcodes = is_stepped(frame)
        return local if frame.f_trace_opcodes else None

    sys._getframe().f_trace_opcodes = True  # or Python 3.12 tells of none
    sys.settrace(begin)
    return lambda: seen


def steps_of(operation: Callable[[], object]) -> int:
    told = trace(0, lambda: None)
    try:
        operation()
    finally:
        sys.settrace(None)
    return told()


# --- interrupted ----------------------------------------------------------------------------------


def interrupted_at(step: int, operation: Callable[[], object]) -> bool:
    """Run the operation with an interrupt at this one of the places where a signal handler may run.

    That is at the beginning of each function, and after each call of one that is written in C. False when
    there were fewer.
    """
    seen = 0
    collecting = ("__del__", "_close_descriptor")  # what is raised there is printed

    def watch(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal seen
        if event in ("call", "c_return") and is_stepped(frame) and frame.f_code.co_name not in collecting:
            seen += 1
            if seen == step:
                raise Interrupt

    sys.setprofile(watch)
    try:
        operation()
    except Interrupt:
        return True
    finally:
        sys.setprofile(None)
    return False


@pytest.mark.parametrize(
    "create",
    [
        lambda names: SharedMemory(create=True, size=8),
        lambda names: SharedMemory(f"{names}given", True, 8),
        lambda names: ShareableList(["é", 1, "\0"]).shm,
    ],
    ids=["new name", "given name", "list"],
)
def test_a_constructor_that_is_interrupted_anywhere_leaves_nothing(
    names: str, create: Callable[[str], Any]
) -> None:
    made: list[Any] = []
    before = open_descriptors()
    for step in count(1):
        if not interrupted_at(step, lambda: made.append(create(names))):
            break
        assert left(names) == [], f"interrupted at {step}"
    assert step > 20
    made.pop().unlink()
    assert open_descriptors() == before
    assert not {name for name in OURS._made if names in name}


def test_unlink_that_is_interrupted_anywhere_can_be_called_again(names: str) -> None:
    for step in count(1):
        made = SharedMemory(create=True, size=8)
        if not interrupted_at(step, made.unlink):
            break
        with contextlib.suppress(FileNotFoundError):
            made.unlink()
        assert left(names) == [], f"interrupted at {step}"
        assert f"/{made.name}" not in OURS._made
    assert step > 5


def test_interrupts_at_random_instants_leave_neither_names_nor_descriptors(names: str) -> None:
    made: list[Any] = []
    resource_tracker.ensure_running()  # its start is the standard library's, which leaves descriptors open
    before = open_descriptors()
    with Striker(random.Random(7)).armed() as striker:
        for _ in range(300):
            # What is made is in the list, or the constructor has undone it: no Python runs between.
            creating = map(SharedMemory, (None,), (True,), (8,))
            striker.strike(lambda creating=creating: made.extend(creating))  # type: ignore[misc]
            assert left(names) == [block.name for block in made]
            for block in made:
                striker.strike(block.close)
                striker.strike(block.unlink)
                with contextlib.suppress(FileNotFoundError):
                    block.unlink()
            made.clear()
            assert left(names) == []
    del block
    assert striker.struck > 50
    assert open_descriptors() == before


# --- little of it ---------------------------------------------------------------------------------


def test_where_the_system_has_little_a_block_is_refused_before_anybody_is_killed(names: str) -> None:
    if printed := in_little_memory("fill_short_memory"):
        assert printed == "28 []\n" * 4
        return
    # A file system of our own cannot be mounted here: a limit has to do, at which reserving fails.
    print("without a file system of its own")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            SharedMemory(create=True, size=2**21)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def in_little_memory(name: str) -> str:
    """What the program prints with a /dev/shm of 1 MiB; nothing if this process may not mount one."""
    mount = 'mount -t tmpfs -o size=1m tmpfs /dev/shm || exit 77; exec "$@"'
    for flags in ("-m", "-rm"):
        command = ["unshare", flags, "sh", "-c", mount, "sh", sys.executable, PROGRAMS, name]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        except FileNotFoundError:
            return ""
        if done.returncode not in (1, 77):
            assert (done.returncode, done.stderr) == (0, "")
            return done.stdout
    return ""
