"""What processes do with managers."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from multiprocessing import util
from typing import Any

from pool_targets import get_pid, wait_for_ever
from stranger_program import get_queue

from ipcframe.managers import BaseManager, Server, SharedMemoryManager, SyncManager


def make(manager: Any) -> dict[str, Any]:
    """One of everything that a SyncManager makes, but for a pool."""
    return {
        "queue": manager.Queue(),
        "joinable": manager.JoinableQueue(),
        "event": manager.Event(),
        "lock": manager.Lock(),
        "rlock": manager.RLock(),
        "semaphore": manager.Semaphore(2),
        "bounded": manager.BoundedSemaphore(2),
        "condition": manager.Condition(),
        "barrier": manager.Barrier(1),
        "list": manager.list([1]),
        "dict": manager.dict(a=1),
        "value": manager.Value("i", 0),
        "array": manager.Array("i", [0, 0]),
        "namespace": manager.Namespace(),
        "nested": manager.list([manager.dict(), manager.list([manager.list()])]),
    }


def use(made: dict[str, Any]) -> None:
    """Leave a trace in each."""
    made["queue"].put("q")
    made["joinable"].put("j")
    made["event"].set()
    for name in ("lock", "rlock", "semaphore", "bounded", "condition"):
        with made[name]:
            made["value"].value += 1
    with made["condition"]:
        made["condition"].notify_all()
    made["barrier"].wait(timeout=30)
    made["list"].append(made["list"][0] + 1)
    made["dict"].update(b=2, lock=made["lock"])
    made["array"][1] = 5
    made["namespace"].x = made["dict"]["a"]
    made["nested"][0]["k"] = "v"
    made["nested"][1][0].append(made["list"])


def check(made: dict[str, Any]) -> None:
    """Find the traces."""
    assert made["queue"].get() == "q"
    assert made["joinable"].get() == "j"
    made["joinable"].task_done()
    made["joinable"].join()
    assert made["event"].is_set()
    assert made["value"].value == 5
    assert made["list"][:] == [1, 2]
    assert list(made["list"]) == [1, 2]
    assert sorted(made["dict"].keys()) == ["a", "b", "lock"]
    assert sorted(made["dict"]) == ["a", "b", "lock"]
    with made["dict"]["lock"]:
        assert not made["lock"].acquire(False)
    assert made["array"][:].tolist() == [0, 5]
    assert made["namespace"].x == 1
    assert made["nested"][0].copy() == {"k": "v"}
    assert made["nested"][1][0][0][:] == [1, 2]


def use_received(inbox: Any) -> None:
    """Use what comes through a queue or a connection that lived before it."""
    use(inbox.get() if hasattr(inbox, "get") else inbox.recv())


def use_in_grandchild(ctx: Any, made: dict[str, Any]) -> None:
    """Hand them on."""
    child = ctx.Process(target=use, args=(made,))
    child.start()
    child.join()
    sys.exit(child.exitcode)


def use_while_forking(ctx: Any, made: dict[str, Any]) -> None:
    """Let children of this process use what each of its threads has open, made by hand and by us."""
    assert made["list"][0] == 1
    pid = os.fork()
    if not pid:
        made["dict"]["by hand"] = len(made["list"])
        os._exit(0)
    assert os.waitpid(pid, 0) == (pid, 0)
    assert made["dict"].pop("by hand") == 1
    use_in_grandchild(ctx, made)


def start_manager(ctx: Any, back: Any) -> None:
    """Start a manager from a child, or tell what prevents it."""
    try:
        with SyncManager(ctx=ctx) as manager:
            back.send(manager.list([os.getpid()])[0] == os.getpid())
    except AssertionError as error:
        back.send(str(error))


def fail(kind: type[BaseException], *args: Any) -> None:
    """An initializer that raises."""
    sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123 - for the rest of this process
    raise kind(*args)


def print_nothing() -> None:
    """An initializer after which nothing is printed to stderr."""
    sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123 - for the rest of this process


def kill_self() -> None:
    """An initializer that is killed."""
    os.kill(os.getpid(), signal.SIGKILL)


def read_stdout(path: str) -> None:
    """An initializer that replaces stdout by what cannot be written to any more."""
    sys.stdout = open(path, "w", encoding="utf-8")  # noqa: SIM115, PTH123 - for the rest of this process
    sys.stdout.close()


def module_of_process() -> str:
    """Whose process does this."""
    return type(multiprocessing.current_process()).__module__


class Ticker:
    """Something to be managed."""

    def __init__(self) -> None:
        self.count = 0

    def tick(self, pause: float = 0.0) -> int:
        """Count, after so many seconds."""
        time.sleep(pause)
        self.count += 1
        return self.count

    def fail(self) -> None:
        """Raise."""
        raise LookupError("no such thing")

    def unpicklable(self) -> Any:
        """Return what cannot come back."""
        return threading.Lock()

    def threads_of_server(self) -> int:
        """How many threads the server has."""
        return threading.active_count()

    def hidden(self) -> None:
        """Not exposed."""


class Unloadable:
    """Something whose pickle cannot be loaded."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _no_module, ()


def _no_module() -> None:
    raise ModuleNotFoundError("no module named 'nowhere'")


class ServiceServer(Server):
    """A server that answers more than the usual."""

    public = [*Server.public, "hand_out_lock"]  # noqa: RUF012 - as its base has it

    def hand_out_lock(self, c: Any) -> Any:
        """Return what cannot be pickled."""
        return threading.Lock()


class Service(BaseManager):
    """A manager that a program derives."""

    _Server = ServiceServer


Service.register("Ticker", Ticker, exposed=["tick", "fail", "unpicklable", "threads_of_server"])
Service.register("get_queue", get_queue)


def wait_in(numbers: Any, queue: Any, back: Any) -> None:
    """Use a proxy, and wait for ever in another one."""
    numbers.append("child")
    back.send("waiting")
    queue.get()


# --- parents that end -----------------------------------------------------------------------------


def be_a_parent(ctx: Any, back: Any) -> None:
    """Start managers, a pool in one of them, and shared memory; tell all of it, and wait to be killed."""
    manager, memory = SyncManager(ctx=ctx), SharedMemoryManager(ctx=ctx)
    manager.start()
    memory.start()
    pool = manager.Pool(2)
    workers = set(pool.map(get_pid, range(8), 1))
    names = [memory.SharedMemory(10).name, memory.ShareableList([1]).shm.name]
    sibling = os.fork()
    if not sibling:
        wait_for_ever()
    managers: list[Any] = [manager, memory]
    back.send(([one._process.pid for one in managers], sorted(workers), names, sibling))
    wait_for_ever()


def be_a_parent_of_a_stuck_server(ctx: Any, back: Any) -> None:
    """Start a manager whose process has a finalizer that does not end."""
    manager: Any = SyncManager(ctx=ctx)
    manager.start(util.Finalize, (None, wait_for_ever, (), None, 1))
    back.send(manager._process.pid)
    wait_for_ever()


def be_a_parent_of_a_served_process(ctx: Any, back: Any) -> None:
    """Start a process that runs a server, as a program does it without a manager."""
    server: Any = Service(("127.0.0.1", 0), b"k").get_server()
    process = ctx.Process(target=server.serve_forever)
    process.start()
    back.send((process.pid, server.address))
    wait_for_ever()
