"""The public API as type checkers see it; checked by mypy --strict against the installed package."""

from __future__ import annotations

import queue
import warnings
from collections.abc import Sequence
from typing import Any, assert_type

import ipcframe
import ipcframe.connection
from ipcframe import abc, errors


def contexts() -> None:
    ctx = ipcframe.get_context("name", backend=["a", "b"], strict=True, plugins="x")
    assert_type(ctx, ipcframe.Context)
    assert_type(ctx.backend, abc.Backend)
    assert_type(ctx.start_method, abc.StartMethod)
    assert_type(ctx.get_start_method(), str)
    assert_type(ctx.get_context("other"), ipcframe.Context)
    assert_type(ctx.Channel(name="c"), ipcframe.Channel)
    assert_type(ctx.Pipe(False, name="x", backend="b"), tuple[ipcframe.Connection, ipcframe.Connection])
    assert_type(ctx.Listener("unix:@name", authkey=b"key", name="x"), abc.Listener)
    assert_type(ctx.Client("unix:@name", authkey=b"key", timeout=1), ipcframe.Connection)
    assert_type(ctx.cpu_count(), int)


def connections() -> None:
    ours, theirs = ipcframe.Pipe()
    assert_type(ours, ipcframe.Connection)
    ours.send({"any": "object"}, timeout=1)
    assert_type(theirs.recv(timeout=0.5), Any)
    assert_type(theirs.recv_bytes(100), bytes)
    assert_type(theirs.recv_bytes_into(bytearray(5)), int)
    assert_type(theirs.poll(None), bool)
    assert_type(theirs.fileno(), int)
    assert_type(ours.closed, bool)
    with ours as same:
        assert_type(same, ipcframe.Connection)
    assert_type(ipcframe.connection.wait([theirs, 5], 0.1), list[Any])


def queues() -> None:
    ctx = ipcframe.get_context()
    jobs = ctx.Queue(10, name="jobs", backend="b")
    assert_type(jobs, abc.Queue)
    assert_type(jobs.name, str | None)
    assert_type(ipcframe.Queue(maxsize=3), abc.Queue)
    jobs.put({"any": "object"}, timeout=1)
    jobs.put_nowait(1)
    assert_type(jobs.get(True, 0.5), Any)
    assert_type(jobs.get_nowait(), Any)
    assert_type(jobs.qsize(), int)
    assert_type((jobs.empty(), jobs.full(), jobs.closed), tuple[bool, bool, bool])
    jobs.close()
    jobs.join_thread()
    jobs.cancel_join_thread()
    done = ctx.JoinableQueue(name="done")
    assert_type(done, abc.JoinableQueue)
    assert_type(ipcframe.JoinableQueue(), abc.JoinableQueue)
    done.task_done()
    done.join()
    assert_type(ctx.SimpleQueue(backend="b"), abc.Queue)
    assert_type(ipcframe.SimpleQueue(name="s"), abc.Queue)
    channel = ctx.Channel()
    assert_type((channel.capacity, channel.packet_size, channel.backlog()), tuple[int, int, int])


def primitives() -> None:
    ctx = ipcframe.get_context()
    lock = ctx.Lock(name="l", backend="b")
    assert_type(lock, abc.Lock)
    assert_type(lock.acquire(timeout=0.1), bool)
    assert_type(lock.owner_died, bool)
    with lock as taken:
        assert_type(taken, bool)
    again = ipcframe.RLock()
    assert_type(again, abc.RLock)
    assert_type(again.owner_died, bool)
    permits = ctx.BoundedSemaphore(2, owned=True)
    assert_type(permits, abc.BoundedSemaphore)
    assert_type(permits.get_value(), int)
    assert_type(ctx.Semaphore(3, name="s"), abc.Semaphore)
    assert_type(ipcframe.Semaphore().acquire(False), bool)
    condition = ctx.Condition(lock)
    assert_type(condition, abc.Condition)
    assert_type(ipcframe.Condition(again, name="c"), abc.Condition)
    with condition:
        assert_type(condition.wait(0.1), bool)
        assert_type(condition.wait_for(lambda: 1, timeout=1), Any)
        condition.notify(2)
        condition.notify_all()
    event = ipcframe.Event(name="e")
    assert_type(event, abc.Event)
    event.set()
    event.clear()
    assert_type((event.is_set(), event.wait(1)), tuple[bool, bool])
    barrier = ctx.Barrier(2, action=lambda: None, timeout=5, name="b")
    assert_type(barrier, abc.Barrier)
    assert_type(barrier.wait(), int)
    assert_type((barrier.parties, barrier.n_waiting, barrier.broken), tuple[int, int, bool])
    barrier.reset()
    barrier.abort()

    def anything(primitive: abc.SyncPrimitive) -> str | None:
        return primitive.name

    for primitive in (lock, again, permits, condition, event, barrier):
        anything(primitive)


def processes() -> None:
    process = ipcframe.Process(target=print, args=(1,), daemon=True)
    process.start()
    process.join(1.0)
    assert_type(process.exitcode, int | None)
    assert_type(process.exception, BaseException | None)
    assert_type(process.is_alive(), bool)

    class Worker(ipcframe.Process):
        def run(self) -> None: ...

    assert_type(Worker().name, str)


def faults() -> None:
    try:
        ipcframe.configure(backend="pipe", file="x.toml")
        ipcframe.install(start_method="spawn")
    except errors.ConfigError as error:
        assert_type(error.problem, str)
        assert_type(error.remedy, str)
    except (ipcframe.BackendNotFound, ipcframe.EndOfStream):
        pass
    try:
        ipcframe.Queue().put(1)
    except ipcframe.QueueLimitReached as error:
        assert_type(error.code, str)
        as_existing_code_knows_it: queue.Full = error
        raise as_existing_code_knows_it from None
    warnings.simplefilter("error", ipcframe.OwnerDiedWarning)


class Own(abc.Backend):
    def native(self, kind: str, *args: Any) -> Any:
        return None

    def owned_lock(self) -> abc.OwnedLock | None:
        return None

    def counter(self, value: int, owned: bool) -> abc.Counter | None:
        return None

    def line(self) -> abc.Line | None:
        return None


class Upper(abc.Serializer):
    def dumps(self, obj: object) -> Sequence[abc.Buffer]:
        return [str(obj).upper().encode()]

    def loads(self, message: abc.Buffer) -> Any:
        return bytes(message).decode()
