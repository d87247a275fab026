"""`Listener` and `Client`: addresses, waiting, interrupts, processes, and what is left behind."""

from __future__ import annotations

import gc
import os
import random
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import listener_targets as targets
import pytest
from connecting import connected
from interrupting import alarm
from listener_targets import KEY

import ipcframe
from ipcframe.conformance.conditions import Worker, eventually, open_descriptors, stopwatch
from ipcframe.conformance.interrupts import Striker
from ipcframe.connection import Client, Listener
from ipcframe.errors import ClosedError, EndOfStream, TimedOut

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="abstract addresses are Linux's")
METHODS = ["fork", "spawn", "forkserver"]


# --- addresses ---


@LINUX
def test_without_an_address_it_has_an_abstract_one_of_its_own() -> None:
    with Listener() as first, Listener() as second:
        assert first.address.startswith(b"\0ipcframe-listener-%d-" % os.getpid())
        assert first.address != second.address


def test_an_internet_address_gets_a_port_and_the_client_that_was_accepted_last_is_known() -> None:
    with Listener(family="AF_INET") as listener:
        host, port = listener.address
        assert host == "127.0.0.1"
        before: Any = listener.last_accepted
        assert before is None
        with Client((host, port)), listener.accept():
            assert listener.last_accepted[0] == "127.0.0.1"
            assert listener.last_accepted[1] not in (0, port)


@pytest.mark.parametrize("make", [Listener, Client])
def test_families_that_are_not_here_are_refused(make: Any) -> None:
    with pytest.raises(ValueError, match="Family AF_PIPE is not recognized"):
        make(r"\\.\pipe\name")
    with pytest.raises(ValueError, match="Family AF_NONE is not recognized"):
        make("name", "AF_NONE")
    with pytest.raises(TypeError, match="an authkey is bytes"):
        make("/nowhere/name", authkey="no bytes")


def test_where_nobody_listens_the_systems_error_is_raised(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Client(str(tmp_path / "nobody"))
    with Listener(family="AF_INET") as listener:
        address = listener.address
    with pytest.raises(ConnectionRefusedError):
        Client(address)


def test_the_file_of_a_path_goes_with_the_listener(tmp_path: Path) -> None:
    path = tmp_path / "name"
    listener = Listener(str(path))
    assert path.is_socket()
    listener.close()
    assert not path.exists()
    forgotten = Listener(os.fsencode(path), "AF_UNIX")
    assert path.is_socket()
    del forgotten
    gc.collect()
    assert not path.exists()


def test_the_file_of_a_path_goes_at_the_exit_of_the_process(tmp_path: Path) -> None:
    path = tmp_path / "name"
    program = f"import listener_targets as t; t.listen_until_the_end({str(path)!r}); print('bound')"
    ran = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert ran.stdout == "bound\n"
    assert not path.exists()


def test_the_file_of_a_listener_that_came_later_stays(tmp_path: Path) -> None:
    path = tmp_path / "name"
    first = Listener(str(path))
    path.unlink()
    with Listener(str(path)):
        first.close()
        assert path.is_socket()


def test_a_path_that_is_relative_is_removed_from_any_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with Listener("name") as listener:
        assert listener.address == "name"
        monkeypatch.chdir("/")
    assert not (tmp_path / "name").exists()


def test_a_path_that_is_taken_is_an_error_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "name"
    path.write_text("mine")
    with pytest.raises(OSError, match="in use"):
        Listener(str(path))
    gc.collect()
    assert path.read_text() == "mine"


# --- users ---


@LINUX
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_clients_of_another_user_are_sent_away_and_nobody_else_is_delayed() -> None:
    ours, theirs = ipcframe.Pipe()
    with Listener(authkey=KEY) as listener:
        accepting = Worker(lambda: listener.accept(timeout=10))
        process = ipcframe.get_context("fork").Process(
            target=targets.connect_as_nobody, args=(listener.address, theirs)
        )
        process.start()
        assert "closed the connection during the handshake" in ours.recv(timeout=10)
        process.join()
        with Client(listener.address, authkey=KEY), accepting.result():
            pass


@LINUX
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_a_listener_of_another_user_is_not_trusted() -> None:
    ours, theirs = ipcframe.Pipe()
    process = ipcframe.get_context("fork").Process(target=targets.listen_as_nobody, args=(theirs,))
    process.start()
    with pytest.raises(ipcframe.AuthenticationError, match="belongs to the user 65534"):
        Client(ours.recv(timeout=10), authkey=KEY)
    ours.send(None)
    process.join()


# --- waiting ---


def test_accept_keeps_its_timeout() -> None:
    with Listener(authkey=KEY) as listener:
        for timeout in (0, 0.02):
            with pytest.raises(TimedOut, match="no client came"):
                listener.accept(timeout=timeout)


def test_closing_ends_accept_in_every_thread() -> None:
    listener = Listener(authkey=KEY)
    waits = [Worker(listener.accept) for _ in range(3)]
    for one in waits:
        one.eventually_asleep()
    listener.close()
    listener.close()
    assert [type(one.end(within=3)) for one in waits] == [ClosedError] * 3
    with pytest.raises(OSError, match="closed"):
        listener.accept()


def test_each_client_goes_to_one_of_several_threads() -> None:
    with Listener(backlog=20, authkey=KEY) as listener:

        def accept_all() -> list[Any]:
            got = []
            try:
                while True:
                    with listener.accept() as there:
                        got.append(there.recv())
                        there.send("done")
            except ClosedError:
                return got

        def connect(first: int) -> None:
            for number in range(first, first + 25):
                with Client(listener.address, authkey=KEY) as here:
                    here.send(number)
                    assert here.recv() == "done"

        servers = [Worker(accept_all) for _ in range(3)]
        for client in [Worker(lambda first=first: connect(first)) for first in (0, 25, 50)]:  # type: ignore[misc]
            client.result()
    assert sorted(number for server in servers for number in server.result()) == list(range(75))


def test_who_leaves_accept_wakes_a_thread_that_still_waits() -> None:
    with Listener(backlog=20, authkey=KEY) as listener:
        waits = [Worker(lambda: listener.accept(timeout=20)) for _ in range(2)]
        for one in waits:
            one.eventually_asleep()
        with stopwatch() as seconds:
            clients = [Worker(lambda: Client(listener.address, authkey=KEY)) for _ in waits]
            ends = [one.result() for one in (*clients, *waits)]
            assert seconds() < 3, "one thread slept until it looked by itself"
        for end in ends:
            end.close()


def test_a_client_waits_for_room_in_the_backlog() -> None:
    with Listener(backlog=0) as listener, Client(listener.address) as first:
        with pytest.raises(TimedOut, match="took no connection"):
            Client(listener.address, timeout=0.02)
        waiting = Worker(lambda: Client(listener.address))
        listener.accept().close()
        with waiting.result(), listener.accept(), pytest.raises(EndOfStream):
            first.recv()


def test_who_waits_for_room_in_the_backlog_is_let_in_in_the_order_of_coming() -> None:
    with Listener(backlog=0) as listener, Client(listener.address):
        waiting: list[Worker] = []
        for number in range(4):
            waiting.append(Worker(lambda number=number: Client(listener.address).send(number)))  # type: ignore[misc]
            waiting[-1].eventually_asleep()
        listener.accept().close()
        assert [listener.accept(timeout=20).recv() for _ in waiting] == [0, 1, 2, 3]
        for one in waiting:
            one.result()


def test_a_handler_runs_while_a_client_waits_for_room_in_the_backlog() -> None:
    with Listener(backlog=0) as listener, Client(listener.address) as first:
        ran: list[int] = []
        with alarm(lambda: ran.append(1)), pytest.raises(TimedOut, match="took no connection"):
            Client(listener.address, timeout=0.3)
        assert ran == [1]

        def make_room() -> None:
            listener.accept(timeout=20).close()

        with (
            alarm(make_room),
            Client(listener.address, timeout=20) as here,
            listener.accept(timeout=20) as there,
        ):
            here.send("let in")
            assert there.recv(timeout=20) == "let in"
        with pytest.raises(EndOfStream):
            first.recv(timeout=20)


# --- interrupts ---


@pytest.mark.parametrize("authkey", [None, KEY])
def test_no_client_is_lost_to_a_handler_that_raises(authkey: bytes | None) -> None:
    clients = 60

    def connect() -> None:
        for number in range(clients):
            with Client(listener.address, authkey=authkey) as here:
                here.send(number)
                assert here.recv() == number

    got: list[int] = []
    with Listener(authkey=authkey) as listener:
        connecting = Worker(connect)
        with Striker(random.Random(7)).armed() as striker:
            while len(got) < clients:
                accepted: list[Any] = []
                striker.strike(lambda: accepted.append(listener.accept(timeout=10)))  # noqa: B023
                for there in accepted:
                    got.append(there.recv())
                    there.send(got[-1])
                    there.close()
        connecting.result()
        assert not listener._clients
    assert got == list(range(clients))


def test_a_handler_may_connect_to_the_listener_that_it_interrupts() -> None:
    clients: list[Any] = []
    with Listener() as listener:
        with alarm(lambda: clients.append(Client(listener.address))), listener.accept(timeout=10) as there:
            clients[0].send("from the handler")
            assert there.recv() == "from the handler"
        clients[0].close()


def test_a_handler_may_accept_at_the_listener_that_it_interrupts() -> None:
    accepted: list[Any] = []
    with Listener(authkey=KEY) as listener:

        def accept() -> None:
            accepted.append(listener.accept(timeout=10))

        def connect() -> list[Any]:
            return [Client(listener.address, authkey=KEY) for _ in range(2)]

        with alarm(accept):
            connecting = Worker(connect)
            accepted.append(listener.accept(timeout=10))
            eventually(lambda: len(accepted) == 2)
        for end in (*accepted, *connecting.result()):
            end.close()


# --- processes ---


@pytest.mark.parametrize("method", METHODS)
def test_an_accepted_connection_travels_to_a_child(method: str) -> None:
    with connected(authkey=KEY) as (here, there):
        process = ipcframe.get_context(method).Process(target=targets.answer, args=(there,))
        process.start()
        there.close()
        here.send("to the child")
        assert here.recv(timeout=20) == (process.pid, "to the child")
        here.send(None)
        process.join()
        assert process.exitcode == 0


def test_a_forked_child_closes_its_copy_and_the_listener_stays(tmp_path: Path) -> None:
    path = tmp_path / "name"
    with Listener(str(path), authkey=KEY) as listener:
        accepting = Worker(listener.accept)
        accepting.eventually_asleep()
        with socket.socket(socket.AF_UNIX) as under_way:
            under_way.connect(str(path))
            eventually(lambda: listener._clients)
            process = ipcframe.get_context("fork").Process(target=targets.close_the_copy, args=(listener,))
            process.start()
            process.join()
            assert process.exitcode == 0
            with Client(listener.address, authkey=KEY), accepting.result():
                assert path.is_socket()


def test_a_forked_child_may_accept_at_the_listener_too() -> None:
    with Listener() as listener:
        process = ipcframe.get_context("fork").Process(target=targets.accept_one, args=(listener,))
        process.start()
        with Client(listener.address) as here:
            assert here.recv(timeout=20) == process.pid
        process.join()


def test_a_forked_child_does_not_hold_on_to_clients_of_its_parent() -> None:
    with Listener(authkey=KEY) as listener, socket.socket(socket.AF_UNIX) as silent:
        silent.connect(listener.address)
        with pytest.raises(TimedOut):
            listener.accept(timeout=0)
        ours, theirs = ipcframe.Pipe()
        process = ipcframe.get_context("fork").Process(target=targets.answer, args=(theirs,))
        process.start()
        theirs.close()
        listener.close()
        while silent.recv(1000):
            pass  # its challenge, and then the end
        ours.send(None)
        process.join()


# --- what is left ---


def test_nothing_is_left_open() -> None:
    def use() -> None:
        with connected(authkey=KEY) as (here, there):
            here.send("x")
            there.recv()
        listener = Listener(authkey=KEY)
        with socket.socket(socket.AF_UNIX) as silent:
            silent.connect(listener.address)
            with pytest.raises(TimedOut):
                listener.accept(timeout=0)
            del listener

    use()  # what is kept for the next time is there after that
    before = open_descriptors()
    use()
    assert open_descriptors() <= before
    assert threading.active_count() == 1 or all(t.daemon for t in threading.enumerate()[1:])
