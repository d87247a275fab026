"""What other processes do with shared memory; the programs among them print what the tests look for."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import sys
import threading
from multiprocessing import resource_tracker, shared_memory
from pathlib import Path
from typing import Any

import ipcframe.shared_memory
from ipcframe.errors import OutOfSharedMemory

tracker: Any = resource_tracker._resource_tracker
module: Any = ipcframe.shared_memory
SharedMemory, ShareableList = module.SharedMemory, module.ShareableList
kept: list[Any] = []


def answer_first_byte(conn: Any, block: Any) -> None:
    """What arrived, and what attaching has told the tracker: nothing."""
    told: list[Any] = []
    told_to: Any = resource_tracker
    told_to.register = lambda *words: told.append(words)
    again = conn.recv()
    conn.send((type(block).__module__, block.buf[0], again.buf[0], told))
    block.buf[1] = 9


def answer_items(conn: Any, shared: Any) -> None:
    conn.send((type(shared).__module__, list(shared)))
    shared[0] = "new"


def create_and_end(conn: Any) -> None:
    block = SharedMemory(create=True, size=16)
    block.buf[0] = 7
    conn.send((block.name, tracker._fd is not None))


# --- programs -------------------------------------------------------------------------------------


def attach_and_end(name: str) -> None:
    print(SharedMemory(name).buf[0])


def attach_and_unlink(name: str) -> None:
    """With a tracker of its own, which has never heard of the name."""
    resource_tracker.ensure_running()
    SharedMemory(name).unlink()


def unlink_with_the_standard_library(name: str) -> None:
    shared_memory.SharedMemory(name).unlink()


def create_for_a_stranger() -> None:
    """Creates, and ends when another program has unlinked it."""
    block = SharedMemory(create=True, size=16)
    print(block.name, flush=True)
    sys.stdin.readline()


def use_what_a_child_created(method: str, whose: str) -> None:
    """Before, no tracker runs."""
    assert tracker._fd is None
    context: Any = multiprocessing.get_context(method)
    if whose == "ours":
        context = ipcframe.get_context(method, backend="pipe")
    ours, theirs = context.Pipe()
    child = context.Process(target=create_and_end, args=(theirs,))
    child.start()
    name, runs = ours.recv()
    child.join()
    again = SharedMemory(name)
    print(runs, again.buf[0])
    again.unlink()


def fork_with_a_signal_blocked() -> None:
    """It is pending all the time."""
    handled: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: handled.append(number))
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    os.kill(os.getpid(), signal.SIGTERM)
    child = multiprocessing.get_context("fork").Process(target=int)
    child.start()
    print(tracker._fd is not None, handled, signal.pthread_sigmask(signal.SIG_BLOCK, ()) == {signal.SIGTERM})
    child.join()


def fork_without_multiprocessing() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    print(tracker._fd)


def create_everywhere_and_wait() -> None:
    """Three blocks, one of them made by a child; prints their names and both processes' pids."""
    name = f"ipcframe-test-{os.getpid()}"
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()

    def create_and_wait() -> None:
        block = SharedMemory(create=True, size=16)
        theirs.send(block.name)
        signal.pause()

    child = context.Process(target=create_and_wait)
    child.start()
    blocks = [SharedMemory(name, True, 16), SharedMemory(create=True, size=16)]
    print(ours.recv(), *(block.name for block in blocks), os.getpid(), child.pid, flush=True)
    signal.pause()


def end_with_arrays() -> None:
    """Everything that may lie on a block lies on one when the interpreter ends."""
    import numpy as np

    blocks = [SharedMemory(create=True, size=64) for _ in range(4)]
    for block in blocks:
        block.unlink()
    cycle: list[Any] = [blocks[3], np.frombuffer(blocks[3].buf)]
    cycle.append(cycle)
    array = np.ndarray(8, buffer=blocks[1].buf)
    kept.extend([np.frombuffer(blocks[0].buf), array, blocks[2].buf[3:5], blocks[0], cycle])
    try:
        blocks[0].close()
    except BufferError:
        print("in use")
    del blocks
    gc.collect()
    array[0] = 2.5
    print(array[0])


def fill_short_memory() -> None:
    """In a /dev/shm of 1 MiB."""
    left = os.statvfs("/dev/shm")
    assert left.f_bavail * left.f_frsize == 2**20
    for size, known in [(2**21, True), (2**21, False), (2**20 + 1, False), (2**60, False)]:
        if not known:
            module._free = lambda fd: sys.maxsize  # so that it is the reservation that finds out
        try:
            SharedMemory(create=True, size=size)
        except OutOfSharedMemory as error:
            print(error.errno, list(Path("/dev/shm").iterdir()))
    block = SharedMemory(create=True, size=2**20)
    block.buf[:] = b"x" * 2**20
    block.unlink()
    block.close()
    ShareableList(["x" * 2**19]).shm.unlink()


def create_while_the_tracker_is_locked() -> None:
    """A thread holds the tracker's lock when its process is forked; the child creates."""
    resource_tracker.ensure_running()
    locked, release = threading.Event(), threading.Event()

    def hold() -> None:
        with tracker._lock:
            locked.set()
            release.wait()

    threading.Thread(target=hold).start()
    locked.wait()
    pid = os.fork()
    if pid == 0:
        signal.alarm(20)
        SharedMemory(create=True, size=16).unlink()
        os._exit(0)
    print(os.waitpid(pid, 0)[1])
    release.set()


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
