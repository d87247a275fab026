"""Programs that use what the standard library builds on a multiprocessing context.

Run as ``client_program.py installed|context|plain METHOD``: after `install`, with a context of ours that is
passed explicitly, or as a program written for multiprocessing. Each client's name is printed when it is done.
"""

from __future__ import annotations

import contextlib
import faulthandler
import multiprocessing
import multiprocessing.connection
import multiprocessing.pool
import multiprocessing.queues
import os
import pickle
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

LONGEST = 100
"""Seconds, after which a program prints the stacks of its threads and ends."""
WAIT = 60
LARGE = b"x" * 1_000_000
given: list[Any] = []


@contextlib.contextmanager
def raises(kinds: Any, words: str = "") -> Iterator[list[Any]]:
    """As pytest's; children import this module, and pytest would cost them more than all else."""
    caught: list[Any] = []
    try:
        yield caught
    except kinds as error:
        caught.append(error)
    assert caught, f"{kinds} was not raised"
    assert words in str(caught[0]), caught


class DerivedQueue(multiprocessing.queues.Queue):  # type: ignore[type-arg]
    """As programs derive one; `tag` is lost on the way, as it is with the standard library's."""

    tag = "none"

    def __init__(self, maxsize: int = 0, *, ctx: Any) -> None:
        super().__init__(maxsize, ctx=ctx)
        self.tag = "given"

    def put_twice(self, obj: object) -> None:
        self.put(obj)
        self.put(obj)


class Unpicklable:
    def __reduce__(self) -> Any:
        raise pickle.PicklingError("on purpose")


def twice(value: Any) -> Any:
    return value + value


def fail(value: Any) -> Any:
    raise LookupError(value)


def give_unpicklable(value: Any) -> Any:
    return Unpicklable()


def die(_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def initialise(*args: Any) -> None:
    given[:] = args


def count_up(times: int) -> int:
    lock, value = given
    for _ in range(times):
        with lock:
            value.value += 1
    return os.getpid()


def add(value: Any, times: int) -> None:
    for _ in range(times):
        with value.get_lock():
            value.get_obj().value += 1


def shout(queue: Any, text: str) -> None:
    queue.put(text.upper())


def log(queue: Any, text: str) -> None:
    import logging.handlers

    logger = logging.getLogger("clients")
    logger.addHandler(logging.handlers.QueueHandler(queue))
    logger.warning("%s from %d", text, os.getpid())


def put_twice(queue: Any) -> None:
    queue.put_twice("derived")


def executor_maps(ctx: Any) -> None:
    with ProcessPoolExecutor(2, mp_context=ctx) as pool:
        assert list(pool.map(twice, range(20), chunksize=3)) == [2 * n for n in range(20)]
        assert pool.submit(twice, LARGE).result(WAIT) == LARGE + LARGE
        with raises(LookupError, "7") as caught:
            pool.submit(fail, 7).result(WAIT)
        assert "in fail" in str(caught[0].__cause__)


def executor_survives_what_cannot_be_pickled(ctx: Any) -> None:
    with ProcessPoolExecutor(1, mp_context=ctx) as pool:
        for _ in range(3):
            with raises((pickle.PicklingError, AttributeError)):
                pool.submit(lambda: 1).result(WAIT)
            assert pool.submit(twice, 2).result(WAIT) == 4
            with raises(pickle.PicklingError, "on purpose"):
                pool.submit(give_unpicklable, 1).result(WAIT)
            assert pool.submit(twice, 3).result(WAIT) == 6


def executor_tells_of_a_killed_worker(ctx: Any) -> None:
    pool = ProcessPoolExecutor(2, mp_context=ctx)
    futures: list[Future[Any]] = [pool.submit(time.sleep, 0.01) for _ in range(4)]
    futures += [pool.submit(die, 0), *(pool.submit(time.sleep, 0.01) for _ in range(20))]
    with raises(BrokenProcessPool):
        print([future.result(WAIT) for future in futures])
    with raises(BrokenProcessPool):
        pool.submit(twice, 1).result(WAIT)
    pool.shutdown()
    with ProcessPoolExecutor(2, mp_context=ctx) as pool, raises(BrokenProcessPool):
        list(pool.map(die, [LARGE] * 10))


def executor_renews_its_workers(ctx: Any) -> None:
    if ctx.get_start_method() == "fork":
        return
    with ProcessPoolExecutor(1, mp_context=ctx, max_tasks_per_child=2) as pool:
        pids = [pool.submit(os.getpid).result(WAIT) for _ in range(4)]
    assert pids[0] == pids[1] != pids[2] == pids[3]


def executor_initialises_with_objects(ctx: Any) -> None:
    lock, value = ctx.Lock(), ctx.Value("i", 0, lock=False)
    with ProcessPoolExecutor(2, mp_context=ctx, initializer=initialise, initargs=(lock, value)) as pool:
        list(pool.map(count_up, [100] * 4))
    assert value.value == 400


def executor_stops_early(ctx: Any) -> None:
    pool = ProcessPoolExecutor(1, mp_context=ctx)
    futures = [pool.submit(time.sleep, 0.2) for _ in range(20)]
    pool.shutdown(wait=True, cancel_futures=True)
    assert futures[-1].cancelled()
    pool = ProcessPoolExecutor(1, mp_context=ctx)
    future = pool.submit(twice, 1)
    pool.shutdown(wait=False)
    assert future.result(WAIT) == 2


def executor_in_an_event_loop(ctx: Any) -> None:
    import asyncio

    async def run() -> Any:
        loop = asyncio.get_running_loop()
        with ProcessPoolExecutor(2, mp_context=ctx) as pool:
            return await asyncio.gather(*(loop.run_in_executor(pool, twice, n) for n in range(5)))

    assert asyncio.run(run()) == [0, 2, 4, 6, 8]


def pool_maps(ctx: Any) -> None:
    with ctx.Pool(2) as pool:
        assert pool.map(twice, range(20)) == [2 * n for n in range(20)]
        assert sorted(pool.imap_unordered(twice, range(20), 3)) == [2 * n for n in range(20)]
        assert list(pool.imap(twice, [LARGE])) == [LARGE + LARGE]
        assert pool.starmap(pow, [(2, 3), (3, 2)]) == [8, 9]
        heard: list[BaseException] = []
        with raises(LookupError, "5"):
            pool.apply_async(fail, (5,), error_callback=heard.append).get(WAIT)
        assert isinstance(heard[0], LookupError)
        unsendable: Any = vars(multiprocessing.pool)["MaybeEncodingError"]
        with raises(unsendable, "on purpose"):
            pool.apply_async(give_unpicklable, (1,)).get(WAIT)
        with raises((pickle.PicklingError, AttributeError)):
            pool.map_async(lambda _: 1, [1]).get(WAIT)
        with raises(multiprocessing.TimeoutError):
            pool.apply_async(time.sleep, (0.3,)).get(0.01)
        pool.close()
        pool.join()


def pool_renews_and_initialises(ctx: Any) -> None:
    lock, value = ctx.Lock(), ctx.Value("i", 0, lock=False)
    with ctx.Pool(2, initialise, (lock, value), maxtasksperchild=1) as pool:
        pids = pool.map(count_up, [50] * 4, chunksize=1)
        pool.close()
        pool.join()
    assert len(set(pids)) == 4
    assert value.value == 200


def pool_terminates(ctx: Any) -> None:
    pool = ctx.Pool(2)
    waiting = pool.map_async(time.sleep, [300] * 8, chunksize=1)
    begun = time.monotonic()
    pool.terminate()
    pool.join()
    assert not waiting.ready()
    assert time.monotonic() - begun < WAIT


def values_and_arrays(ctx: Any) -> None:
    for value in (ctx.Value("i", 0), ctx.Value("i", 0, lock=ctx.Lock()), ctx.Value("i", 0, lock=ctx.RLock())):
        children = [ctx.Process(target=add, args=(value, 50)) for _ in range(2)]
        for child in children:
            child.start()
        for child in children:
            child.join()
        assert value.value == 100
    array = ctx.Array("d", 4)
    with array, memoryview(array.get_obj()) as view:
        assert view.nbytes == 32
    array[:] = [1.0, 2.0, 3.0, 4.0]
    assert array[1:3] == [2.0, 3.0]


def managers(ctx: Any) -> None:
    with ctx.Manager() as manager:
        queue, lock, table = manager.Queue(), manager.Lock(), manager.dict()
        with lock:
            child = ctx.Process(target=shout, args=(queue, "managed"))
            child.start()
            assert queue.get(timeout=WAIT) == "MANAGED"
            child.join()
        table["one"] = [1]
        assert table.copy() == {"one": [1]}
        with manager.Pool(1) as pool:
            assert pool.apply(twice, (4,)) == 8


def logging_over_a_queue(ctx: Any) -> None:
    import logging.handlers

    queue = ctx.Queue(-1)
    seen: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: seen.append(record.getMessage())  # type: ignore[method-assign]
    listener = logging.handlers.QueueListener(queue, handler)
    listener.start()
    children = [ctx.Process(target=log, args=(queue, f"message {n}")) for n in range(3)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    listener.stop()
    expected = [f"message {n} from {child.pid}" for n, child in enumerate(children)]
    assert sorted(seen) == sorted(expected)


def waiting_for_a_queue(ctx: Any) -> None:
    for queue in (ctx.Queue(), ctx.SimpleQueue()):
        child = ctx.Process(target=shout, args=(queue, "waited for"))
        reader = queue._reader
        assert multiprocessing.connection.wait([reader], 0) == []
        child.start()
        assert multiprocessing.connection.wait([reader], WAIT) == [reader]
        assert reader.poll()
        assert queue.get() == "WAITED FOR"
        assert multiprocessing.connection.wait([reader, child.sentinel], WAIT) == [child.sentinel]
        child.join()
        queue.close()


def queues_derived(ctx: Any) -> None:
    queue = DerivedQueue(2, ctx=ctx)
    assert queue.tag == "given"
    child = ctx.Process(target=put_twice, args=(queue,))
    child.start()
    assert [queue.get(timeout=WAIT) for _ in range(2)] == ["derived"] * 2
    child.join()
    assert child.exitcode == 0
    assert isinstance(ctx.Queue(), multiprocessing.queues.Queue)
    assert isinstance(ctx.JoinableQueue(), multiprocessing.queues.Queue)
    assert isinstance(ctx.SimpleQueue(), multiprocessing.queues.SimpleQueue)


def types_by_name(ctx: Any) -> None:
    from multiprocessing import synchronize

    made = [ctx.Lock(), ctx.RLock(), ctx.Semaphore(2), ctx.BoundedSemaphore(2), ctx.Condition(), ctx.Event()]
    for one in [*made, ctx.Barrier(2)]:
        assert isinstance(one, getattr(synchronize, type(one).__name__)), one
    assert isinstance(ctx, multiprocessing.context.BaseContext)
    assert type(ctx).__name__.lower() == f"{ctx.get_start_method()}context"


def classes_made_by_hand(ctx: Any) -> None:
    from multiprocessing import synchronize

    made: Any = synchronize
    for context in (ctx, None):
        with made.Lock(ctx=context), made.Semaphore(1, ctx=context) as got:
            assert got
    for context in (ctx, multiprocessing):
        with made.Condition(ctx=context):
            assert not made.Event(ctx=context).is_set()
        for kind in (multiprocessing.queues.JoinableQueue, multiprocessing.queues.SimpleQueue):
            queue: Any = kind(ctx=context)
            queue.put("by hand")
            assert queue.get() == "by hand"


ANYWHERE = [
    executor_maps,
    executor_survives_what_cannot_be_pickled,
    executor_tells_of_a_killed_worker,
    executor_renews_its_workers,
    executor_initialises_with_objects,
    executor_stops_early,
    executor_in_an_event_loop,
    pool_maps,
    pool_renews_and_initialises,
    pool_terminates,
    values_and_arrays,
    managers,
    logging_over_a_queue,
    waiting_for_a_queue,
]
INSTALLED = [queues_derived, types_by_name, classes_made_by_hand]


def main(way: str, method: str) -> None:
    """Run the clients, and print the name of each."""
    faulthandler.dump_traceback_later(LONGEST, exit=True)
    ctx: Any
    if way == "context":
        import ipcframe

        ctx = ipcframe.get_context(method, backend="pipe")
    else:
        multiprocessing.set_start_method(method)
        ctx = multiprocessing.get_context()
    for client in ANYWHERE if way == "context" else [*ANYWHERE, *INSTALLED]:
        client(ctx)
        print(client.__name__, flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "installed":
        with contextlib.suppress(KeyError):
            del os.environ["IPCFRAME_BACKEND"]
        import ipcframe

        ipcframe.install(backend="pipe")
    main(*sys.argv[1:])
