"""What the children of the kit run; importable in any process, without pytest."""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable
from itertools import repeat
from typing import Any

import ipcframe
from ipcframe.abc import Channel, Connection, Endpoint

from ..errors import UnsupportedOperation
from .conditions import open_descriptors

__all__ = ["STACKS_SIGNAL", "run"]

STACKS_SIGNAL = signal.SIGUSR1
"""Makes a child print the stacks of its threads."""

_inherited: dict[str, object] = {}
"""What a case leaves here before it starts a child, which sees it if memory is inherited."""


class Unloadable(Exception):
    """An exception whose pickle cannot be loaded."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"{first} and {second}")


class Unpicklable(Exception):
    """An exception that cannot be pickled."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.lock = threading.Lock()


def run(discard: tuple[Endpoint, ...], job: Callable[..., Any], *args: Any) -> None:
    """Run the job after closing what a forked child must not keep open."""
    faulthandler.register(STACKS_SIGNAL, all_threads=True)
    for end in discard:
        end.close()
    job(*args)


def pattern(number: int, size: int) -> bytes:
    """A message that shows its number in every 8 bytes."""
    return number.to_bytes(8, "little") * (size // 8)


# --- connections ---


def echo(end: Connection) -> None:
    """Send back what comes, until the end of the stream."""
    while True:
        try:
            end.send(end.recv())
        except EOFError:
            return


def send_each(end: Connection, objects: list[Any]) -> None:
    """Send the objects, and end."""
    for obj in objects:
        end.send(obj)


def send_bytes_each(end: Connection, messages: list[bytes]) -> None:
    """Send the messages, and end."""
    for message in messages:
        end.send_bytes(message)


def send_then_wait(end: Connection, objects: list[Any]) -> None:
    """Send the objects, and live until killed."""
    send_each(end, objects)
    wait_for_ever()


def hold(end: Connection) -> None:
    """Keep the end open without using it, until killed."""
    wait_for_ever()


def send_patterns(end: Connection, size: int) -> None:
    """Send numbered messages of this size until killed."""
    number = 0
    while True:
        end.send_bytes(pattern(number, size))
        number += 1


def send_after_go(end: Connection, go: Connection, objects: list[Any]) -> None:
    """Send the objects when something arrives on the other connection."""
    go.recv()
    send_each(end, objects)


def receive_and_tell(end: Connection, back: Connection) -> None:
    """Receive objects until the end of the stream, then send their list."""
    got = []
    while True:
        try:
            got.append(end.recv())
        except EOFError:
            back.send(got)
            return


def receive_for_ever(end: Connection) -> None:
    """Receive until killed."""
    while True:
        end.recv_bytes()


def expect_end(end: Connection, back: Connection) -> None:
    """Wait for the end of the stream, and tell what came."""
    back.send("waiting")
    try:
        back.send(end.recv(timeout=20))
    except EOFError:
        back.send("the end")


def pass_handle_back(end: Connection) -> None:
    """Receive a descriptor, write to it, send it back, and end."""
    end.send("ready")
    fd = end.recv_handle()
    os.write(fd, b"there")
    end.send_handle(fd)


def use_connection_sent(end: Connection) -> None:
    """Receive a connection through a connection, and answer on it."""
    with end.recv() as received:
        received.send(received.recv() * 2)


def work_after_fork(context: ipcframe.Context, to: Connection, back: Connection) -> None:
    """Use a new pair, and inherited ends whose other ends the parent's threads are using."""
    ours, theirs = context.Pipe()
    ours.send("new")
    assert theirs.recv(timeout=20) == "new"
    to.send("from the child")
    total = 0
    while True:
        message = back.recv_bytes(timeout=20)
        if message == b"the last":
            break
        total += 1
    to.send(total)


def exit_now(code: int) -> None:
    """End without any farewell."""
    os._exit(code)


def wait_for_ever() -> None:
    """Live until killed."""
    while True:
        time.sleep(60)


# --- channels ---


def send_packets(channel: Channel, sender: int, count: int, size: int) -> None:
    """Send numbered packets that carry the sender's number."""
    for number in range(count):
        channel.send(packet(sender, number, size))


def send_packets_for_ever(channel: Channel, sender: int, size: int) -> None:
    """Send numbered packets until killed."""
    number = 0
    while True:
        channel.send(packet(sender, number, size))
        number += 1


def receive_packets(channel: Channel, back: Connection) -> None:
    """Receive packets until the one that says stop, then send what came."""
    back.send("ready")
    got: list[bytes] = []
    while True:
        one = channel.receive()
        if one == b"stop":
            back.send(got)
            return
        got.append(one)


def receive_packets_for_ever(channel: Channel, ready: Connection) -> None:
    """Receive packets until killed."""
    ready.send("ready")
    while True:
        channel.receive()


def packet(sender: int, number: int, size: int) -> bytes:
    """A packet that shows its sender and number throughout."""
    return (sender.to_bytes(4, "little") + number.to_bytes(4, "little")) * (size // 8)


def use_channels_after_fork(context: ipcframe.Context, awaited: Channel, full: Channel) -> None:
    """Use a new channel, and two which threads of the parent are waiting for."""
    with context.Channel() as own:
        own.send(b"new")
        assert own.receive(timeout=20) == b"new"
    awaited.send(b"from the child")
    full.receive(timeout=20)


# --- start methods ---


def return_silently(*_: object) -> None:
    """Do nothing."""


def wait_for_end_of(end: Connection) -> None:
    """Live until the other end of the connection is closed."""
    try:
        end.recv()
    except EOFError:
        return


def leave(code: object) -> None:
    """``sys.exit(code)``."""
    sys.exit(code)  # type: ignore[arg-type]


def leave_silently(code: object) -> None:
    """``sys.exit(code)`` without a text on stderr."""
    sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123 - for the rest of this process
    sys.exit(code)  # type: ignore[arg-type]


def fail(kind: type[BaseException], *args: object) -> None:
    """Raise an exception."""
    sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123 - as above
    raise kind(*args)


def kill_self(number: int) -> None:
    """End by a signal."""
    signal.signal(number, signal.SIG_DFL) if number != signal.SIGKILL else None
    os.kill(os.getpid(), number)
    wait_for_ever()


def tell_identity(back: Connection, *args: object, **kwargs: object) -> None:
    """Send what a child knows of itself."""
    me = multiprocessing.current_process()
    parent = multiprocessing.parent_process()
    back.send((me.name, me.daemon, os.getpid(), parent.pid if parent else None, args, kwargs))


def tell_inherited(back: Connection) -> None:
    """Send what the case has left in this module's memory."""
    back.send(_inherited.get("mark"))


def start_grandchild(context: ipcframe.Context, back: Connection) -> None:
    """Start a child of this child."""
    grandchild = context.Process(target=tell_identity, args=(back,), name="grandchild")
    grandchild.start()
    grandchild.join()
    back.send((os.getpid(), grandchild.exitcode))


def start_from_daemon(context: ipcframe.Context, back: Connection) -> None:
    """Try to start a child from a daemonic process, which is refused."""
    try:
        context.Process(target=return_silently).start()
    except AssertionError as error:
        back.send(str(error))
    else:
        back.send("started")


def hold_child(context: ipcframe.Context, daemon: bool, held: Connection, back: Connection) -> None:
    """Start a child, tell its pid, and end while it waits."""
    child = context.Process(target=wait_for_end_of, args=(held,), daemon=daemon)
    child.start()
    back.send(child.pid)


def compute_for_ever() -> None:
    """Be busy in C until killed, without coming back to Python where signal handlers would run."""
    deque(repeat(None), 0)


def hold_children(context: ipcframe.Context, held: Connection, back: Connection) -> None:
    """Start a daemonic child that is busy, then one that waits; tell their pids, and live until killed."""
    daemon = context.Process(target=compute_for_ever, daemon=True)
    daemon.start()
    later = context.Process(target=wait_for_end_of, args=(held,))
    later.start()
    back.send((daemon.pid, later.pid))
    wait_for_ever()


# --- leftovers ---


def lose_a_child(context: ipcframe.Context, folder: str, stderr: str, back: Connection) -> None:
    """Use everything with a child that is killed, twice; tell which descriptors and threads are left."""
    tempfile.tempdir = folder
    fd = os.open(stderr, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    os.dup2(fd, 2)
    os.close(fd)
    left = []
    for _ in range(2):
        _lose_one(context)
        gc.collect()
        left.append(open_descriptors())
    back.send((sorted(left[1] - left[0]), threading.active_count()))


def _lose_one(context: ipcframe.Context) -> None:
    ours, theirs = context.Pipe()
    channel = context.Channel() if context.backend.capabilities.channel else None
    child = context.Process(target=echo_beside, args=(theirs, channel))
    child.start()
    theirs.close()
    ours.send(b"x" * 100_000)
    ours.recv()
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    child.close()
    ours.close()
    if channel is not None:
        channel.send(b"never received")
        channel.close()


def echo_beside(end: Connection, channel: Channel | None) -> None:
    """Echo, while a channel is open too."""
    echo(end)


def use_everything_quietly(context: ipcframe.Context, path: str, back: Connection) -> None:
    """Use objects of every kind with a child, all of which print into the file if they print at all."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    for standard in (1, 2):
        os.dup2(fd, standard)
    os.close(fd)
    ours, theirs = context.Pipe()
    objects: list[Any] = [context.Lock(), context.Semaphore(), context.Condition(), context.Barrier(1)]
    with contextlib.suppress(UnsupportedOperation):
        objects.append(context.Queue())
    child = context.Process(target=use_each_once, args=(theirs, objects))
    child.start()
    theirs.close()
    use_each_once(None, objects)
    ours.send("x")
    assert ours.recv(timeout=20) == "x"
    ours.close()
    child.join()
    assert child.exitcode == 0
    back.send("done")


def use_each_once(end: Connection | None, objects: list[Any]) -> None:
    """Use each of these objects, and echo."""
    for obj in objects:
        if hasattr(obj, "put"):
            obj.put("x")
            obj.get(timeout=20)
        elif hasattr(obj, "parties"):
            obj.wait(20)
        else:
            with obj:
                pass
    if end is not None:
        end.send(end.recv(timeout=20))
