"""The command line: what it prints, and what it says of mistakes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import ipcframe

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


def run(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ipcframe", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, **options)  # type: ignore[call-overload, no-any-return]


def python(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, **options)  # type: ignore[call-overload, no-any-return]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`python -m ipcframe` in the checkout would import the checkout."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_version_has_one_source() -> None:
    assert run("--version").stdout == f"ipcframe {ipcframe.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("run", "--backend", "pip", "x.py"), "did you mean 'pipe'?"),
        (("run", "--start-method", "spwn", "x.py"), "did you mean 'spawn'?"),
        (("run", "--config", "none.toml", "x.py"), "cannot be read: No such file"),
    ],
)
def test_a_wrong_name_is_status_2_and_no_traceback(arguments: tuple[str, ...], words: str) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ("missing.py",),
        ("-m", "no_such_module"),
        ("-m", "package"),
        ("folder",),
        ("wrong.py",),
        ("raises.py", "one", "--two"),
        ("-m", "raises", "one", "-m"),
        ("exits.py",),
        ("text.py",),
        ("arguments.py", "-v", "--backend", "x", "-h"),
        ("-m", "package.good", "x"),
        ("withmain", "x"),
        ("withmain.zip", "x"),
    ],
)
def test_a_program_fails_and_speaks_as_it_does_with_python(
    elsewhere: Path, arguments: tuple[str, ...]
) -> None:
    show = "import sys, __main__ as m; print(sys.argv, sys.path[0], __name__, m.__file__, __spec__ and 1)"
    for name, text in {
        "package/__init__.py": "",
        "package/good.py": show,
        "folder/other.py": "",
        "withmain/__main__.py": show,
        "wrong.py": "x = = 1",
        "raises.py": "import sys\ndef f():\n    raise ValueError(sys.argv)\nf()",
        "exits.py": "raise SystemExit(7)",
        "text.py": "raise SystemExit('some text')",
        "arguments.py": show,
    }.items():
        (elsewhere / name).parent.mkdir(exist_ok=True)
        (elsewhere / name).write_text(text)
    python("-m", "zipapp", "withmain", "-o", "withmain.zip")
    expected, actual = python(*arguments), run("run", "--backend", "pipe", *arguments)
    assert actual.returncode == expected.returncode
    assert actual.stdout == expected.stdout
    assert without_frames_of_runpy(actual.stderr) == without_frames_of_runpy(expected.stderr)


def without_frames_of_runpy(text: str) -> str:
    return "".join(line for line in text.splitlines(True) if "<frozen runpy>" not in line)


def test_a_spawned_child_may_send_an_instance_of_a_class_of_the_program(elsewhere: Path) -> None:
    (elsewhere / "program.py").write_text(
        "import multiprocessing\n"
        "class Answer:\n    def __init__(self, n: int) -> None: self.n = n\n"
        "def work(conn): conn.send(Answer(42))\n"
        "if __name__ == '__main__':\n"
        "    ours, theirs = multiprocessing.Pipe()\n"
        "    child = multiprocessing.Process(target=work, args=(theirs,)); child.start()\n"
        "    print(ours.recv().n, Answer.__init__.__annotations__['n']); child.join()\n"
    )
    done = run("run", "--start-method", "spawn", "program.py")
    assert done.stdout == "42 <class 'int'>\n", done.stderr


@pytest.mark.parametrize("error", ["BrokenPipeError('x')", "__import__('ipcframe').EndOfStream('x')"])
def test_an_error_of_the_program_is_the_programs(elsewhere: Path, error: str) -> None:
    (elsewhere / "program.py").write_text(f"raise {error}")
    done, expected = run("run", "program.py"), python("program.py")
    assert (done.returncode, done.stderr) == (expected.returncode, expected.stderr)
    assert "Traceback" in done.stderr


def test_a_program_that_is_interrupted_dies_of_the_signal(elsewhere: Path) -> None:
    (elsewhere / "waits.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    assert run("run", "waits.py").returncode == python("waits.py").returncode == -2


def test_backends_lists_everything_with_its_distribution() -> None:
    done = run("backends", "--json")
    rows = {(row["kind"], row["name"]): row for row in json.loads(done.stdout)}
    assert set(rows) >= {
        ("backend", "pipe"),
        ("start_method", "fork"),
        ("start_method", "spawn"),
        ("start_method", "forkserver"),
    }
    assert rows["backend", "pipe"]["distribution"] == "ipcframe"
    assert rows["backend", "pipe"]["version"] == ipcframe.__version__
    assert rows["backend", "pipe"]["status"] == "available"
    assert rows["backend", "pipe"]["capabilities"]["channel"] is True


def test_backends_says_what_is_broken_and_lists_the_others(elsewhere: Path) -> None:
    folder = elsewhere / "hollow-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: hollow\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text("[ipcframe.backends]\nhollow = no_such_module_here\n")
    done = run("backends")
    assert done.returncode == 0
    assert "broken, hollow 1.0" in done.stdout
    assert "No module named 'no_such_module_here'" in " ".join(done.stdout.split())
    assert "pipe" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_run_v_says_which_names_are_ours() -> None:
    done = run("run", "-v", "--backend", "pipe", str(EXAMPLES / "pipe_tutorial.py"))
    assert done.returncode == 0
    whose = {
        line.split(":")[0].strip(): set(line.split(": ", 1)[1].split(", "))
        for line in done.stderr.splitlines()
        if line.startswith("  ")
    }
    assert set(whose) == {"ipcframe", "multiprocessing"}
    assert {"Pipe", "Process", "connection.Pipe", "connection.wait"} <= whose["ipcframe"]
    assert {"Queue", "queues.Queue", "SimpleQueue", "Lock", "Barrier"} <= whose["ipcframe"]
    assert {"Pool", "Manager", "Value", "Array", "managers.SyncManager"} <= whose["ipcframe"]
    assert {"cpu_count", "get_logger"} <= whose["multiprocessing"]
    assert not whose["ipcframe"] & whose["multiprocessing"]


def test_the_configuration_may_be_named_on_the_command_line(elsewhere: Path) -> None:
    (elsewhere / "my.toml").write_text('start_method = "spawn"\nplugins = ["trace"]\n')
    (elsewhere / "program.py").write_text(
        "import multiprocessing as m; print(m.get_start_method()); m.Pipe()"
    )
    done = run("run", "--config", "my.toml", "program.py")
    assert done.stdout == "spawn\n"
    assert "created connection" in done.stderr


def test_doctor_looks_at_the_machine_and_at_the_plugins() -> None:
    done = run("doctor")
    assert "memfd" in done.stdout
    assert "start method 'spawn': imports_main (ipcframe" in " ".join(done.stdout.split())
    lines = done.stdout.splitlines()
    assert {line[:6] for line in lines[:-1]} <= {"good  ", "note  ", "bad   ", "      "}
    assert done.returncode == int(any(line.startswith("bad") for line in lines))


def test_doctor_reads_a_program_and_does_not_run_it(elsewhere: Path) -> None:
    (elsewhere / "package").mkdir()
    (elsewhere / "package" / "__init__.py").write_text("raise SystemExit('it was run')\n")
    (elsewhere / "package" / "program.py").write_text(
        "import multiprocessing\nmultiprocessing.Pool(2)\nraise SystemExit('it was run')\n"
    )
    for arguments in (["package/program.py"], ["-m", "package.program"]):
        done = run("doctor", "--json", *arguments)
        (found,) = json.loads(done.stdout)
        assert (found["file"], found["line"]) == ("package/program.py", 2)
        assert "spawn" in found["start_methods"]
        assert "fork" not in found["start_methods"]
        assert (done.returncode, done.stderr) == (1, "")
