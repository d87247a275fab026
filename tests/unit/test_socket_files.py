"""The addresses of Unix sockets, and the files of those that are paths: who gets one, and what is left."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import stat
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import listener_targets as targets
import pytest
from interrupting import interrupted
from listener_targets import KEY, NOBODY

import ipcframe
from ipcframe.conformance.conditions import Worker, eventually, open_descriptors
from ipcframe.connection import Client, Listener
from ipcframe.errors import AddressInUse, AddressTooLong, EndOfStream
from ipcframe.toolkit import socketfile
from ipcframe.toolkit.addresses import family_of, read_address

FORK = ipcframe.get_context("fork", backend="pipe")
ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "socket")


@pytest.fixture
def open_path() -> Iterator[str]:
    """A path in a folder that every user reaches."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        yield f"{folder}/socket"


def stale(path: str) -> str:
    """Leave there what a killed listener leaves."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(path)
    return path


def meets(address: Any, listener: Listener) -> None:
    accepting = Worker(lambda: listener.accept(timeout=20))
    with Client(address, authkey=KEY) as here, accepting.result() as there:
        here.send("met")
        assert there.recv() == "met"


def run(target: Callable[..., None], *args: Any) -> None:
    process = FORK.Process(target=target, args=args)
    process.start()
    process.join()


# --- how addresses are written ---


def test_a_path_and_an_abstract_name_can_be_written_with_the_family_before_them(path: str) -> None:
    name = f"ipcframe-test-{os.getpid()}"
    for written, meant in ((f"unix:{path}", path), (f"unix:@{name}", b"\0" + name.encode())):
        with Listener(written, authkey=KEY) as listener:
            assert listener.address == meant
            for address in (written, meant):
                meets(address, listener)


def test_a_relative_path_and_bytes_are_paths_too(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(path).parent)
    for written in ("unix:socket", "socket", os.fsencode(path)):
        with Listener(written, "AF_UNIX", authkey=KEY) as listener:
            meets(path, listener)


@pytest.mark.parametrize("address", ["unix:", "unix:@", "a\0b", b"a\0b"])
@pytest.mark.parametrize("make", [Listener, Client])
def test_what_is_no_address_is_refused(make: Any, address: str | bytes) -> None:
    with pytest.raises(ValueError, match=r"is no (address|path)"):
        make(address, "AF_UNIX")


def test_families_are_told_by_the_address() -> None:
    assert [family_of(one) for one in (("host", 1), "/path", b"/path", "\0name")] == ["AF_INET"] + [
        "AF_UNIX"
    ] * 3
    with pytest.raises(ValueError, match="is no address"):
        family_of(5)


@pytest.mark.parametrize("make", [Listener, Client])
def test_an_address_that_is_too_long_is_an_error_with_the_limit_and_the_remedy(
    make: Any, tmp_path: Path
) -> None:
    path = str(tmp_path).ljust(108, "x")
    with pytest.raises(AddressTooLong, match=r"has 108 bytes.*it may have 107") as caught:
        make(path)
    assert 'abstract address, which needs no folder (such as "unix:@name")' in str(caught.value)
    with pytest.raises(AddressTooLong, match=r"has 109 bytes, and the system takes 108"):
        make("\0" + "x" * 108)


def test_the_longest_addresses_are_usable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for address in ("x" * 107, "\0" + "x" * 107):
        assert read_address(address) == address
        with Listener(address, authkey=KEY) as listener:
            meets(address, listener)


# --- permissions ---


@pytest.mark.parametrize("umask", [0o000, 0o077, 0o777])
def test_the_file_is_its_owners_only_whatever_the_umask(path: str, umask: int) -> None:
    before = os.umask(umask)
    try:
        with Listener(path, authkey=KEY) as listener:
            assert stat.S_IMODE(os.lstat(path).st_mode) == 0o600
            meets(path, listener)
    finally:
        os.umask(before)


def test_the_file_is_for_all_where_others_are_admitted(path: str) -> None:
    with Listener(path, users=[NOBODY]):
        assert stat.S_IMODE(os.lstat(path).st_mode) == 0o666


# --- who gets a path ---


def test_the_file_that_a_killed_listener_has_left_is_replaced(path: str) -> None:
    run(targets.listen_until_killed, path)
    left = os.lstat(path)
    with pytest.raises(ConnectionRefusedError):
        Client(path)
    with Listener(path, authkey=KEY) as listener:
        assert os.lstat(path).st_ctime_ns > left.st_ctime_ns
        meets(path, listener)
    assert not list(Path(path).parent.iterdir())


def test_a_living_listener_is_never_replaced_and_does_not_notice(path: str) -> None:
    with Listener(path, backlog=5) as listener:
        for _ in range(20):
            with pytest.raises(AddressInUse, match="a listener lives there"):
                Listener(path)
        with pytest.raises(TimeoutError):
            listener.accept(timeout=0)
    with Listener("unix:@ipcframe-taken"), pytest.raises(AddressInUse, match="is bound there"):
        Listener("unix:@ipcframe-taken")


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET])
def test_a_socket_that_is_bound_and_does_not_listen_yet_lives(path: str, kind: int) -> None:
    with socket.socket(socket.AF_UNIX, kind) as sock:
        sock.bind(path)
        with pytest.raises(AddressInUse, match="a listener lives there"):
            Listener(path)
    with Listener(path):
        pass


@pytest.mark.parametrize("what", ["file", "folder", "fifo", "link to nothing", "link to a dead socket"])
def test_what_is_no_socket_is_never_removed(path: str, what: str) -> None:
    make: dict[str, Callable[[], object]] = {
        "file": Path(path).touch,
        "folder": Path(path).mkdir,
        "fifo": lambda: os.mkfifo(path),
        "link to nothing": lambda: Path(path).symlink_to("nothing"),
        "link to a dead socket": lambda: Path(path).symlink_to(stale(f"{path}-dead")),
    }
    make[what]()
    before = os.lstat(path)
    with pytest.raises(AddressInUse, match="what is there is no socket, and stays"):
        Listener(path)
    assert os.lstat(path) == before


def test_of_threads_that_start_at_once_where_a_dead_one_was_exactly_one_gets_the_path(path: str) -> None:
    start, done = threading.Barrier(4), threading.Barrier(4)
    rounds = 30
    got: list[list[Listener]] = [[] for _ in range(rounds)]

    def compete() -> None:
        for mine in got:
            start.wait(20)
            with contextlib.suppress(AddressInUse):
                mine.append(Listener(path, authkey=KEY))
            done.wait(20)

    threads = [Worker(compete) for _ in range(3)]
    for mine in got:
        stale(path)
        start.wait(20)
        done.wait(20)
        assert len(mine) == 1
        meets(path, mine[0])
        mine[0].close()
        assert not os.path.lexists(path)
    for one in threads:
        one.result()


def test_of_processes_that_start_at_once_where_a_dead_one_was_exactly_one_gets_the_path(path: str) -> None:
    pairs = [FORK.Pipe() for _ in range(4)]
    processes = [FORK.Process(target=targets.compete, args=(path, theirs)) for _, theirs in pairs]
    for process in processes:
        process.start()
    while processes:
        for ours, _ in pairs:
            ours.send("go")
        said = [ours.recv(timeout=20) for ours, _ in pairs]
        assert said.count("got it") == 1, said
        winner = said.index("got it")
        assert Path(path).is_socket()
        processes[winner].kill()
        processes[winner].join()
        del processes[winner], pairs[winner]
    with Listener(path, authkey=KEY) as listener:
        meets(path, listener)


def test_who_comes_while_a_listener_closes_gets_the_path_or_an_error_and_keeps_it(path: str) -> None:
    for _ in range(50):
        first = Listener(path)
        closing = Worker(first.close)
        got: list[Listener] = []

        def take() -> bool:
            try:
                got.append(Listener(path, authkey=KEY))  # noqa: B023
            except AddressInUse:
                return False
            return True

        eventually(take)
        closing.result()
        with got[0]:
            assert Path(path).is_socket()


def test_a_folder_that_somebody_keeps_locked_is_an_error_and_only_where_it_matters(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socketfile, "_LOCK_TIMEOUT", 0.01)
    folder = os.open(Path(path).parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        with Listener(path):
            pass
        with pytest.raises(AddressInUse, match="keeps its folder locked"):
            Listener(stale(path))
    finally:
        os.close(folder)
    with Listener(path):
        pass


def test_a_folder_that_is_missing_is_the_systems_error(path: str) -> None:
    with pytest.raises(FileNotFoundError):
        Listener(f"{path}/below")


@pytest.mark.parametrize("dead_one_is_there", [False, True])
def test_a_listener_that_is_interrupted_while_it_is_made_keeps_nobody_from_the_path(
    path: str, dead_one_is_there: bool
) -> None:
    with Listener(path, authkey=KEY):  # what is kept for the next time is there after that
        pass
    before = open_descriptors()
    step = 1
    struck = True
    while struck:
        if dead_one_is_there:
            stale(path)
        made: list[Listener] = []
        struck = interrupted(step, lambda: made.append(Listener(path, authkey=KEY)))  # noqa: B023
        for one in made:
            one.close()
        made.clear()
        with Listener(path):
            pass
        step += 1
    assert step > 10
    assert not open_descriptors() - before


# --- users ---


def as_nobody(address: Any) -> Any:
    """What a client of another user is told."""
    ours, theirs = FORK.Pipe()
    process = FORK.Process(target=targets.connect_as_nobody, args=(address, theirs))
    process.start()

    def told() -> Any:
        said = ours.recv(timeout=20)
        process.join()
        return said

    return Worker(told)


@ROOT
def test_another_user_cannot_connect_to_a_file(open_path: str) -> None:
    with Listener(open_path, authkey=KEY) as listener:
        assert "Permission denied" in as_nobody(open_path).result()
        meets(open_path, listener)


@ROOT
def test_another_user_does_not_replace_what_it_may_not_ask(open_path: str) -> None:
    with Listener(open_path, authkey=KEY) as listener:
        ours, theirs = FORK.Pipe()
        process = FORK.Process(target=targets.compete_as_nobody, args=(open_path, theirs))
        process.start()
        ours.send("go")
        assert "the file of another user's socket is there" in ours.recv(timeout=20)
        ours.send(None)
        process.join()
        meets(open_path, listener)


@ROOT
def test_another_user_is_refused_and_told_also_where_the_file_would_let_it(open_path: str) -> None:
    with Listener(open_path, authkey=KEY) as listener:
        Path(open_path).chmod(0o666)
        accepting = Worker(lambda: listener.accept(timeout=20))
        said = as_nobody(open_path).result()
        assert "closed the connection during the handshake" in said
        assert f"it belongs to the user 0, and may not admit this one: users=[{NOBODY}]" in said
        with Client(open_path, authkey=KEY), accepting.result():
            pass


@ROOT
@pytest.mark.parametrize("users", [[NOBODY], "any"])
@pytest.mark.parametrize("address", ["file", "abstract"])
def test_another_user_is_served_where_it_is_admitted(open_path: str, users: Any, address: str) -> None:
    where = open_path if address == "file" else None
    with Listener(where, authkey=KEY, users=users) as listener:
        telling = as_nobody(listener.address)
        with listener.accept(timeout=20) as there:
            there.send("welcome")
        assert telling.result() == "welcome"


@ROOT
def test_a_listener_of_another_user_is_trusted_only_where_that_is_said(open_path: str) -> None:
    ours, theirs = FORK.Pipe()
    process = FORK.Process(target=targets.listen_as_nobody, args=(theirs, open_path))
    process.start()
    assert ours.recv(timeout=20) == open_path
    with pytest.raises(ipcframe.AuthenticationError, match=f"belongs to the user {NOBODY}"):
        Client(open_path, authkey=KEY)
    ours.send("another")
    with Client(open_path, authkey=KEY, users=[NOBODY]) as there, pytest.raises(EndOfStream):
        there.recv(timeout=20)
    ours.send(None)
    process.join()


@pytest.mark.parametrize(
    ("users", "error"), [("root", ValueError), (["root"], TypeError), (5, TypeError), ([b"x"], TypeError)]
)
@pytest.mark.parametrize("make", [Listener, Client])
def test_users_that_are_no_numbers_are_refused(make: Any, users: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        make("/nowhere/socket", users=users)


@pytest.mark.parametrize("make", [Listener, Client])
def test_users_are_refused_where_the_system_knows_none(make: Any) -> None:
    with pytest.raises(ValueError, match="on Unix sockets only"):
        make(("127.0.0.1", 0), users=[0])
