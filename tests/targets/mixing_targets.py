"""What processes do that mix contexts: of start methods, of generations, made by hand."""

from __future__ import annotations

import atexit
import multiprocessing
import os
import pickle
from multiprocessing import util
from typing import Any

import ipcframe


def make(ctx: Any) -> dict[str, Any]:
    """One of everything that travels."""
    return {
        "queue": ctx.Queue(),
        "joinable": ctx.JoinableQueue(),
        "simple": ctx.SimpleQueue(),
        "lock": ctx.Lock(),
        "rlock": ctx.RLock(),
        "semaphore": ctx.Semaphore(2),
        "bounded": ctx.BoundedSemaphore(2),
        "condition": ctx.Condition(),
        "event": ctx.Event(),
        "barrier": ctx.Barrier(1),
        "value": ctx.Value("i", 0),
        "array": ctx.Array("d", [0.0, 0.0]),
        "raw": ctx.RawValue("i", 0),
        "raws": ctx.RawArray("i", 2),
        "pipe": ctx.Pipe(),
        "channel": ctx.Channel(),
    }


def use(made: dict[str, Any], by: int) -> None:
    """Leave a trace in each."""
    for name in ("queue", "joinable", "simple"):
        made[name].put((name, by))
    for name in ("lock", "rlock", "semaphore", "bounded"):
        with made[name]:
            made["value"].value += by
    with made["condition"]:
        made["condition"].notify_all()
    made["event"].set()
    made["barrier"].wait(timeout=30)
    made["array"][1] = by
    made["raw"].value = made["raws"][1] = by
    made["pipe"][1].send(by)
    made["channel"].send(bytes([by]))


def check(made: dict[str, Any], by: int) -> None:
    """Find the traces, those of one `use`."""
    for name in ("queue", "joinable", "simple"):
        assert made[name].get() == (name, by)
    made["joinable"].task_done()
    made["joinable"].join()
    assert made["value"].value == 4 * by
    assert made["event"].is_set()
    assert made["array"][:] == [0, by]
    assert (made["raw"].value, list(made["raws"])) == (by, [0, by])
    assert made["pipe"][0].recv(timeout=30) == by
    assert made["channel"].receive(timeout=30) == bytes([by])
    for name in ("lock", "rlock", "semaphore", "bounded", "condition"):
        assert made[name].acquire(timeout=30)


def pass_on(methods: list[str], made: dict[str, Any], contexts: list[Any]) -> None:
    """Be one generation: use it when nobody is left to pass it on to."""
    if not methods:
        return use(made, 3)
    ctx = ipcframe.get_context(methods[0], backend="pipe")
    assert ctx in contexts, "a context is one in a tree of processes"
    child = ctx.Process(target=pass_on, args=(methods[1:], made, contexts))
    child.start()
    child.join()
    assert child.exitcode == 0
    return None


def tell_key(conn: Any) -> None:
    """Say with which key this process proves who it is, and whether the key stays where it is."""
    key = multiprocessing.current_process().authkey
    conn.send(bytes(key))
    try:
        pickle.dumps(key)
    except TypeError as error:
        conn.send(str(error))


def tell_logger(conn: Any) -> None:
    """Say what of the parent's logging is here."""
    logger = multiprocessing.get_logger()
    conn.send((logger.level, [type(one).__name__ for one in logger.handlers], util._log_to_stderr))  # type: ignore[attr-defined]


def end(conn: Any) -> None:
    """Say what runs at the end, in its order."""
    pid = os.getpid()
    atexit.register(conn.send, ("atexit", pid == os.getpid()))
    util.Finalize(None, conn.send, args=("late",), exitpriority=1)
    util.Finalize(None, conn.send, args=("early",), exitpriority=10)
    util.Finalize(None, conn.send, args=("never",))
    conn.send("target")


def tell_default(conn: Any) -> None:
    """Say which context is the default one here, and that it is a value."""
    ctx = ipcframe.get_context()
    same = pickle.loads(pickle.dumps(ctx)) is ctx
    conn.send((ipcframe.get_start_method(), ctx.get_start_method(), ctx.spec.backend.name, same))


def be_daemon(ctx: Any, conn: Any) -> None:
    """Say what a daemon may, and may not do."""
    pool = ipcframe.pool.ThreadPool(1)
    conn.send((multiprocessing.current_process().daemon, pool.map(abs, [-1])))
    pool.terminate()
    try:
        ctx.Manager()
    except AssertionError as error:
        conn.send(str(error))


def tell_sentinel(process: Any, back: Any) -> None:
    """Send what asking for the sentinel of another process gives."""
    try:
        back.send(process.sentinel)
    except ValueError as error:
        back.send(str(error))
