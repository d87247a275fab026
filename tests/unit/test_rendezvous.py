"""`Listener` and `Client` of a context, of the installed `multiprocessing`, and managers over them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import manager_targets
import plugin_targets
import pytest
from listener_targets import KEY

import ipcframe
from ipcframe.conformance.conditions import Worker
from ipcframe.errors import BrokenConnection, MessageTooLarge, UnsupportedOperation
from ipcframe.managers import SyncManager

METHODS = ["fork", "spawn", "forkserver"]


@pytest.fixture
def ctx() -> ipcframe.Context:
    return ipcframe.get_context("fork", backend="unix")


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "socket")


def exchange(ctx: ipcframe.Context, listener: Any, obj: Any = "met", **how: Any) -> Any:
    client = Worker(lambda: ctx.Client(listener.address, **how))
    with listener.accept(timeout=20) as there, client.result() as here:
        here.send(obj)
        return there.recv(timeout=20)


# --- of a context ---


def test_a_context_listens_on_each_kind_of_address(ctx: ipcframe.Context, path: str) -> None:
    name = f"ipcframe-rendezvous-{os.getpid()}"
    kinds: list[tuple[Any, Any]] = [
        (path, path),
        (f"unix:{path}", path),
        (os.fsencode(path), path),
        (f"unix:@{name}", b"\0" + name.encode()),
        ("\0" + name, b"\0" + name.encode()),
    ]
    for written, meant in kinds:
        with ctx.Listener(written, authkey=KEY) as listener:
            assert listener.address == meant
            assert exchange(ctx, listener, authkey=KEY) == "met"
    with ctx.Listener(("localhost", 0), "AF_INET", 5, KEY) as listener:
        assert listener.address[0] == "127.0.0.1"
        assert exchange(ctx, listener, authkey=KEY) == "met"


def test_without_an_address_a_context_chooses_one_of_the_family(ctx: ipcframe.Context) -> None:
    with ctx.Listener() as first, ctx.Listener() as second:
        assert first.address != second.address
        assert first.address[:1] == b"\0"
    with ctx.Listener(family="AF_INET") as listener:
        assert listener.address[0] == "127.0.0.1"
        assert exchange(ctx, listener) == "met"


def test_a_family_that_the_address_does_not_show_can_be_said(ctx: ipcframe.Context) -> None:
    if not socket.has_ipv6:
        pytest.skip("there is no IPv6 here")
    try:
        listener = ctx.Listener(("::1", 0), family="AF_INET6", authkey=KEY)
    except OSError as error:
        pytest.skip(f"there is no IPv6 here: {error}")
    with listener:
        assert exchange(ctx, listener, family="AF_INET6", authkey=KEY) == "met"


def test_what_a_context_does_not_know_is_refused(ctx: ipcframe.Context, path: str) -> None:
    with pytest.raises(ValueError, match="no family 'AF_PIPE'"):
        ctx.Listener(path, "AF_PIPE")
    with pytest.raises(ValueError, match="is no address"):
        ctx.Listener(5)
    with pytest.raises(TypeError, match="an authkey is bytes"):
        ctx.Listener(path, authkey="text")  # type: ignore[arg-type]
    for make in (ctx.Listener, ctx.Client):
        with pytest.raises(TypeError, match="unexpected keyword argument 'colour'"):
            make(path, colour="blue")


def test_both_ends_have_the_name_that_they_were_made_with(ctx: ipcframe.Context) -> None:
    with (
        ctx.Listener(name="door") as listener,
        ctx.Client(listener.address, name="visitor") as here,
        listener.accept(timeout=20) as there,
    ):
        assert (listener.name, there.name, here.name) == ("door", "door", "visitor")
        assert "'door'" in repr(there)


def test_a_backend_without_a_rendezvous_says_so_and_another_can_be_named(ctx: ipcframe.Context) -> None:
    other = ipcframe.get_context("fork", backend="pipe")
    for operation in (other.Listener, lambda: other.Client("/nowhere")):
        with pytest.raises(UnsupportedOperation, match="the backend 'pipe' has no"):
            operation()
    with other.Listener(backend="unix") as listener, other.Client(listener.address, backend="unix"):
        pass


def test_the_limit_of_the_backend_holds_for_both_sides(
    tmp_path: Path, fresh_configuration: None, fresh_registry: None
) -> None:
    (tmp_path / "limits.toml").write_text('[backends.unix]\nmessage_limit = "1 KiB"\n')
    ipcframe.configure(file=tmp_path / "limits.toml")
    ctx = ipcframe.get_context("fork", backend="unix")
    with ctx.Listener() as listener, ctx.Client(listener.address) as here:
        with pytest.raises(MessageTooLarge):
            here.send_bytes(bytes(1025))
        here.send_bytes(bytes(1024))
        with listener.accept(timeout=20) as there:
            assert len(there.recv_bytes(timeout=20)) == 1024
    with ctx.Listener() as listener, ipcframe.connection.Client(listener.address) as stranger:
        stranger.send_bytes(bytes(1025))
        with listener.accept(timeout=20) as there, pytest.raises(BrokenConnection, match="its limit is 1024"):
            there.recv_bytes(timeout=20)


def test_observers_hear_of_listeners_and_connections_and_bring_their_reducers(fresh_registry: None) -> None:
    recorder = plugin_targets.Recorder()
    ipcframe.register(recorder, name="recorder")
    ipcframe.register(plugin_targets.celsius_reducer, name="celsius")
    ctx = ipcframe.get_context("fork", backend="unix")
    with ctx.Listener(authkey=KEY) as listener:
        assert exchange(ctx, listener, plugin_targets.Celsius(21.5), authkey=KEY) == 21.5
    assert [event for event, _ in recorder.events] == ["created listener", "created connection"]


# --- of multiprocessing, when installed ---


@pytest.mark.parametrize("backend", ["unix", "pipe"])
def test_installed_the_standard_names_understand_the_addresses(path: str, backend: str) -> None:
    program = f"""if True:
        import os, threading
        import ipcframe
        ipcframe.install(backend={backend!r})
        import multiprocessing.connection as connection

        for address in ({path!r}, "unix:{path}", f"unix:@installed-{{os.getpid()}}", ("localhost", 0)):
            with connection.Listener(address, authkey=b"key") as listener:
                def visit():
                    with connection.Client(listener.address, authkey=b"key") as there:
                        there.send(type(there).__module__)
                client = threading.Thread(target=visit)
                client.start()
                with listener.accept() as here:
                    print(here.recv(), type(listener).__module__)
                client.join()
        """
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ran.stderr == ""
    assert set(ran.stdout.splitlines()) == {"ipcframe.toolkit.sockets ipcframe.connection"}
    assert not Path(path).exists()


# --- managers ---


@pytest.fixture(params=METHODS)
def manager(request: pytest.FixtureRequest) -> Iterator[Any]:
    with ipcframe.get_context(request.param, backend="unix").Manager() as started:
        yield started


def test_a_manager_of_the_context_serves_it_and_its_children(manager: Any) -> None:
    made = manager_targets.make(manager)
    child = manager._ctx.Process(target=manager_targets.use, args=(made,))
    child.start()
    child.join()
    assert child.exitcode == 0
    manager_targets.check(made)


def test_a_managers_address_may_be_written_as_any_and_its_file_goes_with_it(
    ctx: ipcframe.Context, path: str
) -> None:
    name = f"ipcframe-manager-{os.getpid()}"
    for address in (f"unix:{path}", f"unix:@{name}"):
        with SyncManager(address=address, authkey=KEY, ctx=ctx) as manager:
            manager.list([1]).append(2)
            other = SyncManager(address=address, authkey=KEY, ctx=ctx)
            other.connect()
            assert other.list([3])[0] == 3
        assert not Path(path).exists()


def test_the_file_of_a_killed_manager_is_replaced_by_the_next(ctx: ipcframe.Context, path: str) -> None:
    first = SyncManager(address=path, authkey=KEY, ctx=ctx)
    first.start()
    process: Any = first._process
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert Path(path).is_socket()
    with SyncManager(address=path, authkey=KEY, ctx=ctx) as second:
        assert second.list([1, 2])[1] == 2
    assert not Path(path).exists()
