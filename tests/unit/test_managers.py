"""Managers: everything they make, in any process, by any start method."""

from __future__ import annotations

import contextlib
import gc
import inspect
import multiprocessing
import multiprocessing.managers
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client as StandardClient
from typing import Any

import manager_targets as targets
import pytest
import stranger_program as stranger
from interrupting import alarm

import ipcframe
from ipcframe import managers
from ipcframe._servers import OURS
from ipcframe.conformance.conditions import PATIENCE, Worker, eventually, open_descriptors
from ipcframe.managers import SharedMemoryManager, SyncManager

METHODS = ["fork", "spawn", "forkserver"]
STANDARD: Any = multiprocessing.managers
FORK = ipcframe.get_context("fork", backend="pipe")
Ours = targets.Service


@pytest.fixture(scope="module", params=METHODS)
def manager(request: pytest.FixtureRequest) -> Iterator[SyncManager]:
    ctx = ipcframe.get_context(request.param, backend="pipe")
    with SyncManager(ctx=ctx) as started:
        yield started


@pytest.fixture(scope="module")
def forked() -> Iterator[Any]:
    with SyncManager(ctx=FORK) as started:
        yield started


@pytest.fixture(scope="module")
def ours() -> Iterator[Any]:
    with Ours(ctx=FORK) as started:
        yield started


def run(ctx: Any, target: Callable[..., Any], *args: Any) -> None:
    child = ctx.Process(target=target, args=args)
    child.start()
    child.join(PATIENCE)
    assert child.exitcode == 0


# --- what is managed, and where it is used --------------------------------------------------------


def test_everything_works_and_nothing_is_left(manager: Any) -> None:
    made = targets.make(manager)
    targets.use(made)
    targets.check(made)
    made.clear()
    gc.collect()  # Python 3.12 keeps what has raised StopIteration in a cycle
    assert manager._number_of_objects() == 0, manager._debug_info()


def test_everything_can_be_handed_to_a_process_of_the_same_start_method(manager: Any) -> None:
    made = targets.make(manager)
    run(manager._ctx, targets.use, made)
    targets.check(made)


def test_everything_works_in_forks_by_hand_and_in_grandchildren_of_another_start_method(forked: Any) -> None:
    made = targets.make(forked)
    run(FORK, targets.use_while_forking, ipcframe.get_context("spawn", backend="pipe"), made)
    targets.check(made)


@pytest.mark.parametrize("way", ["queue", "connection", "managed queue"])
def test_everything_arrives_in_a_process_that_runs_already(forked: Any, way: str) -> None:
    ends: Any = FORK.Pipe(duplex=False)
    if way != "connection":
        ends = [FORK.Queue() if way == "queue" else forked.Queue()] * 2
    inbox, outbox = ends
    child = FORK.Process(target=targets.use_received, args=(inbox,))
    child.start()
    made = targets.make(forked)
    (outbox.send if way == "connection" else outbox.put)(made)
    child.join(PATIENCE)
    assert child.exitcode == 0
    targets.check(made)


def test_a_pool_in_a_manager_maps_and_ends(forked: Any) -> None:
    with forked.Pool(2) as pool:
        assert pool.map(abs, range(-3, 0)) == [3, 2, 1]
        assert list(pool.imap(abs, [-1, -2])) == [1, 2]
        assert pool.apply_async(abs, (-4,)).get(PATIENCE) == 4
        assert pool.apply(targets.module_of_process) == "ipcframe.process"


def test_a_manager_can_be_started_in_a_child_but_not_in_a_daemonic_one() -> None:
    for daemon, answer in ((False, True), (True, "daemonic processes are not allowed to have children")):
        ours, theirs = FORK.Pipe()
        child = FORK.Process(target=targets.start_manager, args=(FORK, theirs), daemon=daemon)
        child.start()
        assert ours.recv(timeout=PATIENCE) == answer
        child.join()


def test_managers_and_proxies_are_the_standard_librarys_to_isinstance(forked: Any) -> None:
    assert isinstance(forked, STANDARD.SyncManager)
    assert isinstance(forked.list(), STANDARD.ListProxy)
    assert isinstance(forked.Queue(), STANDARD.BaseProxy)
    assert issubclass(SharedMemoryManager, STANDARD.SharedMemoryManager)
    for name in ("BaseManager", "SyncManager", "SharedMemoryManager"):
        ours, theirs = getattr(managers, name), getattr(STANDARD, name)
        assert list(inspect.signature(ours).parameters) == list(inspect.signature(theirs).parameters)


def test_the_name_of_our_way_to_talk_imports_what_it_needs() -> None:
    program = (
        "import pickle, sys; name = pickle.load(sys.stdin.buffer);"
        "from multiprocessing.managers import listener_client; listener_client[name]"
    )
    for name in OURS.values():
        command = [sys.executable, "-c", program]
        subprocess.run(command, input=pickle.dumps(name), timeout=PATIENCE, check=True)


# --- a manager that a program derives -------------------------------------------------------------


def test_exceptions_come_back_and_what_cannot_be_pickled_is_told(ours: Any) -> None:
    ticker = ours.Ticker()
    with pytest.raises(LookupError, match="no such thing"):
        ticker.fail()
    with pytest.raises(managers.RemoteError, match=r"cannot pickle '_thread\.lock' object"):
        ticker.unpicklable()
    with pytest.raises(managers.RemoteError, match="KeyError"):
        ours._create("nothing")
    with pytest.raises(managers.RemoteError, match="has no '__init__' to ask"):
        managers.dispatch(ours._Client(ours.address, authkey=ours._authkey), None, "__init__")
    with pytest.raises(managers.RemoteError, match="no module named 'nowhere'"):
        ours._create("Ticker", targets.Unloadable())
    with pytest.raises(managers.RemoteError, match=r"cannot pickle '_thread\.lock' object"):
        managers.dispatch(ours._Client(ours.address, authkey=ours._authkey), None, "hand_out_lock")
    with pytest.raises(AttributeError):
        ticker.hidden()
    assert ticker.tick() == 1


def test_what_is_sent_but_cannot_be_pickled_raises_at_once_and_the_proxy_goes_on(ours: Any) -> None:
    queue = ours.get_queue()
    with pytest.raises(TypeError, match=r"cannot pickle '_thread\.lock' object"):
        queue.put(threading.Lock())
    queue.put(1)
    assert queue.get() == 1


class Struck(Exception):
    """Raised by a signal handler."""


def strike() -> None:
    raise Struck


def test_an_answer_that_an_interrupt_has_left_behind_is_not_taken_for_the_next_one(ours: Any) -> None:
    ticker = ours.Ticker()
    for number in range(3):
        queue = ours.get_queue(f"interrupted {number}")
        with pytest.raises(Struck), alarm(strike):
            queue.get()
        assert ticker.tick() == number + 1
        queue.put("for the request that was given up")


def test_a_signal_handler_may_use_the_proxy_that_its_thread_waits_on(ours: Any) -> None:
    queue = ours.get_queue("nested")
    with alarm(lambda: queue.put(queue.qsize())):
        assert queue.get() == 0
    assert queue.qsize() == 0


def test_threads_and_objects_do_not_add_up(ours: Any) -> None:
    ticker = ours.Ticker()

    def state() -> list[int]:
        here = [len(open_descriptors()), threading.active_count()]
        return [*here, ticker.threads_of_server(), ours._number_of_objects()]

    state()  # opens what this thread keeps
    before = state()
    for _ in range(10):
        ours.Ticker().tick()
        Worker(lambda: ours.Ticker().tick()).result()
    eventually(lambda: state() == before)


# --- strangers ------------------------------------------------------------------------------------


def ask(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, stranger.__file__, *arguments], stdout=subprocess.PIPE, text=True
    )


def served(server: Any) -> str:
    """Start a program of the standard library's that asks this server; what it prints."""
    queue = server.get_queue()
    queue.put("a")
    where = ["ask", str(server.address[1])]
    if isinstance(server.address, bytes):
        where = ["ask abstract", server.address.hex()]
    with ask(*where) as program:
        assert program.communicate(timeout=PATIENCE)[0] == "refused\n"
    answer = queue.get()
    answer[3].put("through theirs")
    assert answer[:3] == ["aa", 1, 2]
    return str(queue.get())


@pytest.fixture
def _our_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that is received knows no key but the one of the process."""
    monkeypatch.setattr(multiprocessing.current_process(), "authkey", stranger.KEY)


@pytest.mark.usefixtures("_our_key")
def test_a_program_of_the_standard_librarys_is_served() -> None:
    with Ours(ctx=FORK) as local:
        assert served(local) == "through theirs"
    remote: Any
    with Ours(("127.0.0.1", 0), ctx=FORK) as remote:
        assert served(remote) == "through theirs"


@pytest.mark.usefixtures("_our_key")
def test_a_server_of_the_standard_librarys_is_used() -> None:
    with ask("serve") as program, contextlib.ExitStack() as stack:
        stack.callback(program.kill)
        assert program.stdout is not None
        port = int(program.stdout.readline())
        remote: Any = Ours(("127.0.0.1", port))
        remote.connect()
        queue = remote.get_queue("theirs")
        queue.put([remote.Ticker(), remote.get_queue("theirs")])
        ticker, same = queue.get()
        same.put([ticker.tick(), ticker.tick()])
        assert queue.get() == [1, 2]
        wrong = Ours(("127.0.0.1", port), b"a guess")
        with pytest.raises(AuthenticationError):
            wrong.connect()


def test_a_client_that_says_nothing_delays_nobody(ours: Any) -> None:
    silent = [StandardClient(ours.address) for _ in range(5)]
    assert ours.Ticker().tick() == 1
    with pytest.raises(AuthenticationError):
        StandardClient(ours.address, authkey=b"a guess")
    assert ours.Ticker().tick() == 1
    for one in silent:
        one.close()


def test_xml_rpc_is_spoken_too() -> None:
    with Ours(serializer="xmlrpclib", ctx=FORK) as speaker:
        started: Any = speaker
        ticker = started.Ticker()
        assert [ticker.tick(), ticker.tick()] == [1, 2]
