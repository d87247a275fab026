"""A program for multiprocessing that uses every name of it once, and prints what comes of it.

Run as ``every_name.py METHOD``. It knows nothing of us, and prints the same whoever runs it.
"""

import contextlib
import ctypes
import logging
import multiprocessing
import multiprocessing.connection
import multiprocessing.dummy
import multiprocessing.managers
import multiprocessing.pool
import multiprocessing.queues
import multiprocessing.shared_memory
import multiprocessing.sharedctypes
import multiprocessing.synchronize
import os
import signal
import sys
import threading
from typing import Any

mp: Any = multiprocessing
KEY = b"a key"


class Point(ctypes.Structure):
    """Shared by `values`."""

    _fields_ = (("x", ctypes.c_int), ("y", ctypes.c_double))


class Counter:
    """Lives in a manager's process."""

    def __init__(self) -> None:
        self._count = 0

    def add(self, some: int) -> int:
        self._count += some
        return self._count


class OwnManager(multiprocessing.managers.BaseManager):
    """Has a type of its own."""


OwnManager.register("Counter", Counter)


def say(*words: object) -> None:
    print(*words, flush=True)


def run(target: Any, *args: Any) -> Any:
    child = mp.Process(target=target, args=args)
    child.start()
    child.join()
    return child.exitcode


def square(number: int) -> int:
    return number * number


def divide(by: int) -> float:
    return 1 / by


def fail() -> None:
    sys.stderr.close()  # its traceback is for nobody
    sys.exit(3)


def tell_who(conn: Any) -> None:
    conn.recv()
    parent = mp.parent_process()
    conn.send((mp.current_process().name, mp.current_process().daemon, parent.pid, parent.name))
    conn.send(mp.get_start_method())


def processes() -> None:
    ours, theirs = mp.Pipe()
    child = mp.Process(target=tell_who, args=(theirs,), name="the child", daemon=True)
    say("before", child.pid, child.exitcode, child.is_alive(), child.daemon)
    child.start()
    say("active", mp.active_children() == [child])
    ours.send("go on")
    name, daemon, parent, parents_name = ours.recv()
    say("child", name, daemon, parent == os.getpid(), parents_name, ours.recv() == sys.argv[1])
    child.join()
    say("after", child.exitcode, child.is_alive(), mp.active_children(), mp.parent_process())
    say("codes", run(fail), run(os._exit, 4), run(signal.raise_signal, signal.SIGKILL))
    child.close()
    try:
        child.is_alive()
    except ValueError as error:
        say("closed", error)


def fill(queue: Any, last: Any) -> None:
    for number in range(3):
        queue.put({"number": number})
    last.put("done")


def work(jobs: Any, results: Any) -> None:
    for job in iter(jobs.get, None):
        results.put(square(job))
        jobs.task_done()


def queues() -> None:
    queue, last = mp.Queue(), mp.SimpleQueue()
    run(fill, queue, last)
    say("queue", [queue.get(timeout=60) for _ in range(3)], last.get(), last.empty())
    say("bounded", isinstance(mp.Queue(3), mp.queues.Queue))
    jobs, results = mp.JoinableQueue(), mp.SimpleQueue()
    worker = mp.Process(target=work, args=(jobs, results))
    worker.start()
    for number in range(4):
        jobs.put(number)
    jobs.join()
    jobs.put(None)
    worker.join()
    say("joined", [results.get() for _ in range(4)])


def pass_gate(semaphore: Any, event: Any, barrier: Any, condition: Any, lock: Any, total: Any) -> None:
    event.wait()
    with semaphore:
        barrier.wait()
    with lock:
        total.value += 1
    with condition:
        condition.notify()


def primitives() -> None:
    lock, rlock = mp.Lock(), mp.RLock()
    say("lock", lock.acquire(), lock.acquire(block=False), lock.release(), lock)
    say("rlock", rlock.acquire(), rlock.acquire(timeout=1), rlock.release(), rlock.release(), rlock)
    bounded, semaphore = mp.BoundedSemaphore(1), mp.Semaphore(2)
    try:
        bounded.release()
    except ValueError as error:
        say("bounded", error, bounded)
    event, barrier, condition = mp.Event(), mp.Barrier(2), mp.Condition(lock)
    total = mp.Value("i", 0, lock=False)
    with condition:
        shared = (semaphore, event, barrier, condition, rlock, total)
        children = [mp.Process(target=pass_gate, args=shared) for _ in range(2)]
        for child in children:
            child.start()
        say("event", event.is_set(), event.set(), event.is_set())
        say("condition", condition.wait_for(lambda: total.value == len(children), timeout=60))
    for child in children:
        child.join()
    say("gates", total.value, semaphore.get_value(), barrier.n_waiting, barrier.broken)
    say(
        isinstance(lock, mp.synchronize.Lock),
        isinstance(event, mp.synchronize.Event),
    )


def change(number: Any, array: Any, raw: Any, raws: Any, point: Any) -> None:
    with number.get_lock():
        number.value += 1
    array[1] = -1
    raw.value *= 2
    raws[:] = range(3)
    point.x, point.y = 3, 0.5


def values() -> None:
    number, array = mp.Value("i", 41), mp.Array("i", [1, 2, 3])
    raw, raws = mp.RawValue(ctypes.c_double, 1.5), mp.RawArray("h", 3)
    point = mp.Value(Point, 1, 2.0)
    run(change, number, array, raw, raws, point)
    say("values", number.value, array[:], raw.value, list(raws), point.x, point.y)
    copied = mp.sharedctypes.copy(point.get_obj())
    say("copied", copied.x, copied.y, mp.sharedctypes.synchronized(raws)[1])
    text = mp.Array("c", b"text")
    say("text", text.value, text.raw, len(text), memoryview(array.get_obj()).nbytes)


def write(name: str, items: Any) -> None:
    block = mp.shared_memory.SharedMemory(name)
    block.buf[:5] = b"hello"
    block.close()
    items[1] = "two"


def shared_memory() -> None:
    block = mp.shared_memory.SharedMemory(create=True, size=100)
    items = mp.shared_memory.ShareableList([1, "one", None, 2.5, b"x"])
    run(write, block.name, items)
    say("block", bytes(block.buf[:5]), list(items), items.count(None), items.index(2.5))
    for one in (block, items.shm):
        one.close()
        one.unlink()
    with mp.managers.SharedMemoryManager() as manager:
        say("managed", manager.SharedMemory(10).size >= 10, list(manager.ShareableList(range(3))))


def put_in(mapping: Any, listing: Any, namespace: Any, lock: Any) -> None:
    with lock:
        mapping["key"] = listing[0] + 1
        listing.append("more")
        namespace.attribute = "set"


def managers() -> None:
    with mp.Manager() as manager:
        mapping, listing, namespace = manager.dict(), manager.list([1]), manager.Namespace()
        run(put_in, mapping, listing, namespace, manager.Lock())
        say("managed", dict(mapping), list(listing), namespace.attribute, str(mapping))
        queue, value, array = manager.Queue(), manager.Value("i", 3), manager.Array("i", [1, 2])
        queue.put(value.value)
        say("managed", queue.get(), array[1], manager.Event().is_set(), manager.Semaphore(1).acquire())
        with manager.Pool(2) as pool:
            say("managed", pool.map(square, range(3)))
    own: Any = OwnManager()
    with own:
        counter = own.Counter()
        say("own", counter.add(2), counter.add(3))
    try:
        counter.add(1)
    except OSError:
        say("shut down")


initialised = 0


def initialise(value: int) -> None:
    global initialised
    initialised = value


def with_initialised(number: int) -> int:
    return number + initialised


def pools() -> None:
    with mp.Pool(2, initialise, (10,)) as pool:
        say("map", pool.map(square, range(5)), pool.map(with_initialised, range(3)))
        say("apply", pool.apply(square, (3,)), pool.apply_async(square, (4,)).get(60))
        say("imap", list(pool.imap(square, range(4), 2)), sorted(pool.imap_unordered(square, range(4))))
        say("starmap", pool.starmap(divmod, [(7, 2), (9, 4)]))
        try:
            pool.apply(divide, (0,))
        except ZeroDivisionError as error:
            say("raised", error, type(error.__cause__).__name__)
        pool.close()
        pool.join()
    with mp.Pool(1) as pool:
        try:
            pool.apply_async(signal.pause).get(timeout=0)
        except mp.TimeoutError as error:
            say("late", isinstance(error, mp.ProcessError))
    with mp.pool.ThreadPool(2) as threads:
        say("threads", threads.map(square, range(3)))
    with mp.dummy.Pool(2) as dummies:
        say("dummies", dummies.map(square, range(3)))


def call(address: Any, key: bytes | None) -> None:
    with mp.connection.Client(address, authkey=key) as client:
        client.send(["an", "object"])
        client.send_bytes(b"bytes")


def connections() -> None:
    for family in ("AF_UNIX", "AF_INET"):
        with mp.connection.Listener(None, family, authkey=KEY) as listener:
            child = mp.Process(target=call, args=(listener.address, KEY))
            child.start()
            with listener.accept() as accepted:
                say(family, mp.connection.wait([accepted], 60) == [accepted])
                say(accepted.recv(), accepted.recv_bytes(), accepted.poll(60))
                try:
                    accepted.recv()
                except EOFError:
                    say("end")
            child.join()
    with mp.connection.Listener(authkey=KEY) as listener:
        thread = threading.Thread(target=call_wrongly, args=(listener.address,))
        thread.start()
        try:
            listener.accept()
        except mp.AuthenticationError as error:
            say("refused", isinstance(error, mp.ProcessError))
        thread.join()
    one, other = mp.Pipe(duplex=False)
    other.send_bytes(b"too long")
    try:
        one.recv_bytes_into(bytearray(3))
    except mp.BufferTooShort as error:
        say("short", error.args)
    say(one.readable, one.writable, other.closed, other.close(), other.closed)


def call_wrongly(address: Any) -> None:
    with contextlib.suppress(mp.AuthenticationError):
        call(address, b"another key")


def log(level: int) -> None:
    mp.get_logger().log(level, "from %s", "a child")


def loggers() -> None:
    logger = mp.get_logger()
    say("logger", logger.name, logger.propagate, mp.log_to_stderr() is logger)
    handler = logging.StreamHandler(sys.stdout)
    logger.addHandler(handler)
    logger.setLevel(logging.ERROR)
    log(logging.ERROR)
    say("logged", run(log, logging.ERROR) == 0, logger.level)
    logger.removeHandler(handler)


def odds_and_ends(method: str) -> None:
    say("methods", mp.get_all_start_methods(), mp.get_start_method(), mp.get_start_method(allow_none=True))
    try:
        mp.set_start_method(method)
    except RuntimeError as error:
        say("set", error)
    context = mp.get_context(method)
    say("context", type(context).__name__, context.Process.__name__, context.get_start_method())
    try:
        mp.get_context("no such")
    except ValueError:
        say("no such context")
    mp.set_executable(sys.executable)
    mp.set_forkserver_preload(["json"])
    mp.allow_connection_pickling()
    say("rest", mp.cpu_count() == os.cpu_count(), mp.freeze_support(), mp.reducer.__name__)
    say("key", isinstance(mp.current_process().authkey, bytes), mp.current_process().name)


def main() -> None:
    mp.set_start_method(sys.argv[1])
    odds_and_ends(sys.argv[1])
    parts = (processes, queues, primitives, values, shared_memory, managers, pools, connections, loggers)
    for part in parts:
        say(f"--- {part.__name__}")
        part()


if __name__ == "__main__":
    main()
