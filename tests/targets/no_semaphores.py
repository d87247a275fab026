"""A program on a system without sem_open: multiprocessing's locks cannot even be imported."""

import _multiprocessing  # type: ignore[import-not-found]
import sys

if hasattr(_multiprocessing, "SemLock"):  # a fork server's children have it gone already
    del _multiprocessing.SemLock
sys.modules.pop("multiprocessing.synchronize", None)

import ipcframe  # noqa: E402
from ipcframe.abc import Event, Lock, Queue  # noqa: E402


def answer(conn: ipcframe.Connection) -> None:
    try:
        import multiprocessing.synchronize  # noqa: F401
    except ImportError:
        conn.send("no locks, and " + conn.recv())


def put(lock: Lock, queue: Queue, done: Event) -> None:
    with lock:
        queue.put("from behind a lock")
    done.set()


if __name__ == "__main__":
    ctx = ipcframe.get_context(sys.argv[1], backend="pipe")
    ours, theirs = ctx.Pipe()
    child = ctx.Process(target=answer, args=(theirs,))
    child.start()
    ours.send("a pipe")
    print(ours.recv(timeout=30))
    child.join()
    lock, queue, done = ctx.Lock(), ctx.Queue(), ctx.Event()
    child = ctx.Process(target=put, args=(lock, queue, done))
    with lock:
        child.start()
    print(queue.get(timeout=30), done.wait(30))
    child.join()
    channel = ctx.Channel()
    channel.send(b"packet")
    print(channel.receive(timeout=30), child.exitcode)
