"""What the doctor says of a program comes true: it breaks by those start methods alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

METHODS = ["fork", "spawn", "forkserver"]
PROGRAM = """\
import multiprocessing as mp, sys, threading
X = 1
def work(*args, **more): pass
def reads(): assert X == 2
class Held:
    def __init__(self): self.lock = threading.Lock()
    def method(self): pass
class Writer(mp.Process):
    def __init__(self):
        super().__init__()
        self.file = open(__file__)
    def run(self): pass
class Silent(Held):
    def __getstate__(self): return {}
def check(process):
    process.start()
    process.join()
    sys.exit(process.exitcode)
"""
GUARDED = {
    "a lambda": "check(mp.Process(target=lambda: 1))",
    "a nested function": "nested()",
    "a local class": "local()",
    "an open file": "check(mp.Process(target=work, args=(open(__file__),)))",
    "a generator": "check(mp.Process(target=work, args=((x for x in 'ab'),)))",
    "a lock of threads": "check(mp.Process(target=work, kwargs={'lock': threading.Lock()}))",
    "a module": "check(mp.Process(target=work, args=(sys,)))",
    "a bound method": "check(mp.Process(target=Held().method))",
    "a bound method of what pickles itself": "check(mp.Process(target=Silent().method))",
    "a process with an open file": "check(Writer())",
    "a global": "sets()",
    "a function under the guard": "def under(): pass\n    check(mp.Process(target=under))",
    "a lambda in a pool": "with mp.Pool(1) as pool: pool.map(lambda x: x, [1])",
    "nothing wrong": "check(mp.Process(target=work, args=(mp.Lock(), Silent())))",
}
FUNCTIONS = {
    "nested()": "def nested():\n    def inner(): pass\n    check(mp.Process(target=inner))\n",
    "local()": "def local():\n    class Local: pass\n    check(mp.Process(target=work, args=(Local(),)))\n",
    "sets()": "def sets():\n    global X\n    X = 2\n    check(mp.Process(target=reads))\n",
}
PROGRAMS = {
    **{
        name: f"{PROGRAM}{FUNCTIONS.get(text, '')}if __name__ == '__main__':\n    {text}\n"
        for name, text in GUARDED.items()
    },
    "no guard": f"{PROGRAM}check(mp.Process(target=work))\n",
    "a start method at import": (
        f"{PROGRAM}mp.set_start_method(sys.argv[1])\n"
        "if __name__ == '__main__':\n    check(mp.Process(target=work))\n"
    ),
}


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.ci
@pytest.mark.parametrize("name", PROGRAMS)
def test_it_breaks_where_the_doctor_says_and_nowhere_else(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("program.py").write_text(PROGRAMS[name])
    verdicts = json.loads(run("-m", "ipcframe", "doctor", "--json", "program.py").stdout)
    assert len([one for one in verdicts if one["verdict"] == "bad"]) <= 1
    named = {method for one in verdicts for method in one.get("start_methods", ())}
    broken = set()
    for method in METHODS:
        done = run("-m", "ipcframe", "run", "--start-method", method, "program.py", method)
        if done.returncode:
            broken.add(method)
    assert named & set(METHODS) == broken
