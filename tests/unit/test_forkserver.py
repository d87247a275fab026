"""The fork server: whom it serves, what it survives, and what survives it."""

from __future__ import annotations

import array
import itertools
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import forkserver_targets as targets
import pytest
from orphan_targets import descendants

import ipcframe
from ipcframe.conformance.conditions import PATIENCE, eventually, open_descriptors
from ipcframe.conformance.targets import wait_for_end_of
from ipcframe.connection import wait
from ipcframe.toolkit.lifeline import Ends
from ipcframe_forkserver.launcher import fork_server
from ipcframe_forkserver.server import MOST_INHERITED, NUMBER, REQUEST

METHODS = ["fork", "spawn", "forkserver"]
CONTEXT = ipcframe.get_context("forkserver", backend="pipe")


def server_pid() -> int:
    fork_server.ensure_running()
    pid = fork_server._forkserver_pid
    assert pid is not None
    return pid


def serves(context: ipcframe.Context = CONTEXT) -> None:
    """Fail unless processes are started."""
    child = context.Process(target=sys.exit, args=(5,))
    child.start()
    child.join(PATIENCE)
    assert child.exitcode == 5
    child.close()


def send(request: bytes, *fds: int) -> None:
    fork_server.ensure_running()
    server = fork_server._server
    assert server is not None
    rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))
    server.control.sendmsg([request], [rights] if fds else [])


def test_the_server_has_no_name_and_listens_to_nobody() -> None:
    serves()
    links = [str(link.readlink()) for link in Path(f"/proc/{server_pid()}/fd").iterdir()]
    sockets = [link.removeprefix("socket:[")[:-1] for link in links if link.startswith("socket:")]
    assert sockets
    for line in Path("/proc/net/unix").read_text().splitlines()[1:]:
        _, _, _, flags, _, _, inode, *path = line.split()
        if inode in sockets:
            assert (path, int(flags, 16)) == ([], 0)


def test_what_is_no_whole_request_is_dropped() -> None:
    serves()
    pid = server_pid()
    before = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    nowhere = os.open(os.devnull, os.O_RDWR)
    for request in (b"x", b"too long", REQUEST.pack(3), REQUEST.pack(9)):
        for count in (0, 1, 4):
            send(request, *[nowhere] * count)
    os.close(nowhere)
    serves()
    assert server_pid() == pid
    eventually(lambda: len(list(Path(f"/proc/{pid}/fd").iterdir())) <= before)


def test_whoever_asks_and_sends_nothing_delays_nobody_and_gets_no_child() -> None:
    fork_server.ensure_running()
    ends = Ends()
    send(REQUEST.pack(3), ends.life, ends.parent_sentinel, 2)
    ends.close_childs()
    (pid,) = NUMBER.unpack(os.read(ends.sentinel, NUMBER.size))
    serves()
    assert not wait([ends.sentinel], 0)
    assert pid in descendants(os.getpid())
    ends._close(3)
    assert NUMBER.unpack(os.read(ends.sentinel, NUMBER.size)) == (0,)
    ends.close()


def test_a_killed_server_takes_nobody_along_and_is_replaced() -> None:
    ours, theirs = CONTEXT.Pipe()
    child = CONTEXT.Process(target=wait_for_end_of, args=(theirs,))
    child.start()
    theirs.close()
    before = server_pid()
    os.kill(before, signal.SIGKILL)
    serves()
    assert server_pid() != before
    assert not wait([child.sentinel], 0)
    assert child.is_alive()
    ours.close()
    assert wait([child.sentinel], PATIENCE)
    child.join()
    assert child.exitcode == 255, "who could have told has died"


def test_ctrl_c_is_not_meant_for_the_server() -> None:
    fork_server._stop()
    pid = server_pid()
    for _ in range(20):
        os.kill(pid, signal.SIGINT)  # from its first moment on
    serves()
    assert server_pid() == pid


def test_a_child_has_the_signals_that_its_parent_had() -> None:
    fork_server._stop()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD, signal.SIGUSR1})
    try:
        ours, theirs = CONTEXT.Pipe()
        child = CONTEXT.Process(target=targets.tell_signals, args=(theirs,))
        child.start()
        found = ours.recv(timeout=PATIENCE)
        child.join(PATIENCE)
        assert child.exitcode == 0, "its end was noticed all the same"
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        fork_server._stop()
    blocked = sorted(map(int, {*before, signal.SIGCHLD, signal.SIGUSR1}))
    assert found == (blocked, True, signal.SIG_DFL)


def test_whoever_is_forked_has_a_server_of_its_own() -> None:
    serves()
    pid = server_pid()
    ours, theirs = CONTEXT.Pipe()
    by_hand = os.fork()
    if by_hand == 0:
        targets.start_one(theirs)
        os._exit(0)
    forked = ipcframe.get_context("fork", backend="pipe").Process(target=targets.start_one, args=(theirs,))
    forked.start()
    found = {ours.recv(timeout=PATIENCE), ours.recv(timeout=PATIENCE)}
    os.waitpid(by_hand, 0)
    forked.join()
    assert {code for code, _ in found} == {7}
    assert len({pid, *(server for _, server in found)}) == 3
    serves()
    assert server_pid() == pid


def test_threads_that_start_the_server_at_the_same_time_start_one() -> None:
    fork_server._stop()
    before = set(descendants(os.getpid()))
    threads = [threading.Thread(target=fork_server.ensure_running) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(descendants(os.getpid())) - before) == 1
    serves()


def test_a_process_can_inherit_many_descriptors_and_no_more() -> None:
    def start(number: int) -> Any:
        # Each end has a descriptor, and so has what an exception is reported through.
        ends = [CONTEXT.Pipe(False) for _ in range(number)]
        child = CONTEXT.Process(
            target=print, args=tuple(receiver for receiver, _ in ends), kwargs={"file": None}
        )
        child.start()
        return child

    with pytest.raises(ValueError, match="too many"):
        start(MOST_INHERITED)
    serves()


@contextmanager
def few_descriptors(pid: int, more: int) -> Iterator[None]:
    """Allow a process only so many more than it has."""
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    free = (fd for fd in itertools.count() if not Path(f"/proc/{pid}/fd/{fd}").is_symlink())
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (next(itertools.islice(free, more, None)), before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


def test_a_server_without_descriptors_refuses_and_goes_on() -> None:
    serves()
    pid, before = server_pid(), open_descriptors()
    with few_descriptors(pid, 1), pytest.raises(OSError, match="Too many open files"):
        serves()
    assert open_descriptors() == before
    serves()
    assert server_pid() == pid


@pytest.mark.parametrize("method", METHODS)
def test_a_process_that_there_are_no_descriptors_for_leaves_none_open(method: str) -> None:
    ctx = ipcframe.get_context(method, backend="pipe")
    serves(ctx)
    process = ctx.Process(target=int)
    before = open_descriptors()
    for more in range(5):
        with few_descriptors(os.getpid(), more), pytest.raises(OSError, match="Too many open files"):
            process.start()
        assert open_descriptors() == before
    process.start()
    process.join()
    assert process.exitcode == 0


# In a process without other threads: one of those may be handed the signal that this one has blocked, and the
# handler then runs where it would never run by itself, in the standard library's hooks for forks, say.
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("what", [targets.start_interrupted, targets.join_interrupted])
def test_what_is_interrupted_loses_no_process_no_descriptor_and_no_exit_code(
    what: Callable[[str], None], method: str
) -> None:
    alone = ipcframe.get_context("fork", backend="pipe").Process(target=what, args=(method,))
    alone.start()
    alone.join()
    assert alone.exitcode == 0


def run_program(folder: Path, *modules: str, **texts: str) -> subprocess.CompletedProcess[str]:
    for name, text in texts.items():
        folder.joinpath(f"{name}.py").write_text(text)
    return subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", targets.__file__, *modules],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "MODULES": str(folder)},
        check=False,
    )


def test_what_fails_to_be_imported_is_named_and_hurts_nobody(tmp_path: Path) -> None:
    done = run_program(
        tmp_path,
        "missing",
        "broken",
        "leaving",
        "sound",
        broken="raise ValueError('out of order')",
        leaving="import sys; sys.exit()",
        sound="print('imported once')",
    )
    assert done.stdout == "imported once\nTrue\nTrue\n"
    assert "could not import broken" in done.stderr
    assert "ValueError: out of order" in done.stderr
    assert "could not import leaving" in done.stderr
    assert "missing" not in done.stderr, "as in multiprocessing"


def test_a_server_that_cannot_fork_says_why_and_goes_on(tmp_path: Path) -> None:
    failing = "import os\ndef fork(): raise OSError(11, 'no more')\nos.fork = fork\n"
    done = run_program(tmp_path, targets.CANNOT_FORK, cannot_fork=failing)
    said = "[Errno 11] the fork server could not fork: Resource temporarily unavailable\n"
    assert (done.stdout, done.stderr) == (said * 2, "")


def test_a_server_that_cannot_live_is_an_error_of_the_start(tmp_path: Path) -> None:
    done = run_program(tmp_path, "deadly", deadly="import os; os._exit(3)")
    assert done.stdout.count("fork servers have ended before they could fork") == 2


def test_what_a_program_sets_to_be_imported_counts() -> None:
    fork_server._stop()
    before = fork_server._preload_modules
    CONTEXT.start_method.preload(["xmlrpc.client"])
    try:
        ours, theirs = CONTEXT.Pipe()
        child = CONTEXT.Process(target=targets.tell_of_module, args=(theirs, "xmlrpc.client"))
        child.start()
        assert ours.recv(timeout=PATIENCE) is True
        child.join()
    finally:
        fork_server._preload_modules = before
        fork_server._stop()
