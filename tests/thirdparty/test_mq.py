"""A backend on a library made by others, posix_ipc: installed, chosen, proven and typed like any other."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from environments import ROOT, Environment, check_types

PROJECT = ROOT / "tests" / "thirdparty" / "ipcframe_mq"
pytestmark = pytest.mark.ci

WHAT_A_CHANNEL_IS = """
import os
def kind(channel):
    channel.send(b"four")
    try:
        says = os.pread(channel.fileno(), 100, 0)  # what a message queue holds, in words
    except OSError:
        says = b""
    assert channel.receive() == b"four"
    return "message queue" if says.startswith(b"QSIZE:4 ") else "another"
"""
CHOOSE = """
import ipcframe
context = ipcframe.get_context({arguments})
with context.Channel() as channel:
    print(kind(channel))
"""
UNMODIFIED = """
import multiprocessing
def answer(questions, answers):
    for question in iter(questions.get, None):
        answers.put(["answer", question])
if __name__ == "__main__":
    questions, answers = multiprocessing.Queue(), multiprocessing.SimpleQueue()
    children = [multiprocessing.Process(target=answer, args=(questions, answers)) for _ in range(2)]
    for child in children:
        child.start()
    for number in range(100):
        questions.put(number * "x")
    assert sorted(len(answers.get()[1]) for _ in range(100)) == list(range(100))
    for child in children:
        questions.put(None)
    for child in children:
        child.join()
        assert child.exitcode == 0
    print(type(multiprocessing.Pipe()[0]).__name__)
"""
TOO_MANY = """
import resource, ipcframe
resource.setrlimit(resource.RLIMIT_MSGQUEUE, (1000, resource.getrlimit(resource.RLIMIT_MSGQUEUE)[1]))
try:
    ipcframe.get_context(backend="mq").Queue()
except OSError as error:
    print(error)
"""
KILLED = """
import os, signal, ipcframe
channel = ipcframe.get_context(backend="mq").Channel()
print(os.readlink(f"/proc/self/fd/{channel.fileno()}"), flush=True)
child = os.fork()
if child:
    os.kill(child, signal.SIGKILL)
os.kill(os.getpid(), signal.SIGKILL)
"""
LOOK_AFTER = """
import posix_ipc, subprocess, sys
killed = subprocess.run([sys.executable, "-c", sys.argv[1]], stdout=subprocess.PIPE, text=True)
assert killed.returncode == -9, killed
name, _deleted = killed.stdout.split()
try:
    posix_ipc.MessageQueue(name)
except posix_ipc.ExistentialError:
    print("gone")
"""


@pytest.fixture
def environment(installed: Callable[[Path], Environment]) -> Environment:
    # Where posix_ipc cannot be had, this fails and says so: what did not run has not been shown.
    return installed(PROJECT)


@pytest.mark.parametrize(
    ("arguments", "variables", "expected"),
    [
        pytest.param("backend='mq'", {}, "message queue", id="by-the-argument"),
        pytest.param("backend='ipcframe-mq:mq'", {}, "message queue", id="by-its-qualified-name"),
        pytest.param("", {"IPCFRAME_BACKEND": "mq"}, "message queue", id="by-the-variable"),
        pytest.param("", {"IPCFRAME_CONFIG": "app.toml"}, "message queue", id="by-the-file"),
        pytest.param("", {}, "another", id="not-when-nobody-asks"),
    ],
)
def test_it_is_chosen(
    environment: Environment, arguments: str, variables: dict[str, str], expected: str
) -> None:
    settings = 'backend = "mq"\n[backends.mq]\nqueue_limit = "1 MiB"\n'
    (environment.elsewhere / "app.toml").write_text(settings)
    program = WHAT_A_CHANNEL_IS + CHOOSE.format(arguments=arguments)
    assert environment.run("python", "-c", program, **variables) == f"{expected}\n"


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_an_unmodified_program_runs_on_it(environment: Environment, method: str) -> None:
    program = environment.elsewhere / "program.py"
    program.write_text(UNMODIFIED)
    options = ("--backend", "mq", "--start-method", method)
    assert environment.run("ipcframe", "run", *options, str(program)) == "MqConnection\n"


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(("-p", "no:xdist", "-k", "not spawn and not forkserver"), id="fork"),
        pytest.param(("-p", "no:xdist", "-k", "spawn or forkserver"), id="spawn and forkserver"),
        pytest.param(("-n", "2"), id="everything with xdist"),
    ],
)
def test_it_passes_the_kit(environment: Environment, options: tuple[str, ...]) -> None:
    output = environment.pytest(*options)
    print(output)
    passed = re.search(r"^(\d+) passed", output, re.MULTILINE)
    assert passed
    assert int(passed[1]) > 100


def test_its_user_is_told_which_limit_is_reached(environment: Environment) -> None:
    said = environment.run("python", "-c", TOO_MANY)
    assert "limited to 1000 bytes (ulimit -q)" in said


def test_it_leaves_no_name_when_all_its_processes_are_killed(environment: Environment) -> None:
    assert environment.run("python", "-c", LOOK_AFTER, KILLED) == "gone\n"


def test_it_is_typed(environment: Environment, tmp_path: Path) -> None:
    check_types(environment, "ipcframe_mq", tmp_path / "cache")
