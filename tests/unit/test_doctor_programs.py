"""What the doctor finds in programs by reading them, and what it does not take for a mistake."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from textwrap import dedent

import pytest

from ipcframe.cli.program import Finding, examine
from ipcframe.cli.program.source import Unreadable, read

EXAMPLES = sorted((Path(__file__).parents[2] / "docs" / "examples").glob("*.py"))
IMPORTS = """\
import functools, multiprocessing as mp, queue, sys, threading
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import Process as P, Pool
import ipcframe
def work(*args): pass
class Held:
    def __init__(self):
        self.lock = threading.Lock()
    def method(self): pass
    def __call__(self): pass
def main():
"""


def found(text: str, *, imported: bool = True) -> list[Finding]:
    return examine(ast.parse(dedent(text)), imported=imported)


def inside(statement: str) -> list[Finding]:
    """What is found in a function of a program."""
    lines = "".join(f"    {line}\n" for line in statement.splitlines())
    return found(IMPORTS + lines)


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("P(target=lambda: 1)", "the target of Process is a lambda"),
        ("P(None, lambda: 1)", "the target of Process is a lambda"),
        ("def f(): pass\nmp.Process(target=f)", r"the function f, defined inside main \(line 12\)"),
        (
            "class L: pass\nP(target=work, args=(1, [L()]))",
            "in the args of Process: an object of the class L",
        ),
        ("class L:\n    def go(self): pass\nP(target=L().go)", "the method go of an object of the class L"),
        ("P(target=work, args=(open('x'),))", "in the args of Process: an open file"),
        ("with open('x') as file:\n    P(target=work, args=[file])", "an open file"),
        ("P(target=work, kwargs={'lock': threading.Lock()})", "in the kwargs of Process: a lock of threads"),
        ("P(target=work, args=(x for x in 'ab'))", "a generator"),
        ("P(target=work, args=(queue.Queue(), 1))", "a queue of threads"),
        ("P(target=work, args=(sys.stdout,))", "an open file"),
        ("P(target=work, args=(sys,))", "the module sys"),
        ("P(target=functools.partial(work, lambda: 1))", "a lambda"),
        ("P(target=Held().method)", "the method method of an object of Held"),
        ("P(target=Held())", "an object of Held"),
        ("held = Held()\nP(target=work, args=(held,))", "an object of Held"),
        ("ctx = mp.get_context('spawn')\nctx.Process(target=lambda: 1)", "a lambda"),
        ("ctx = ipcframe.get_context()\nctx.Process(target=lambda: 1)", "a lambda"),
        ("ipcframe.Process(target=lambda: 1)", "a lambda"),
        ("Pool(2, lambda: 1)", "the initializer of Pool is a lambda"),
        ("Pool(2).map(lambda x: x, [1])", "the function of pool.map is a lambda"),
        (
            "with mp.Pool() as pool:\n    pool.apply_async(work, args=(lambda: 1,))",
            "pool.apply_async: a lambda",
        ),
        ("pool = mp.Pool()\nfor x in pool.imap_unordered(lambda x: x, []): pass", "pool.imap_unordered is"),
        ("with ProcessPoolExecutor() as ex:\n    ex.submit(lambda: 1)", "the function of executor.submit"),
        ("ex = ProcessPoolExecutor(initializer=lambda: 1)", "the initializer of ProcessPoolExecutor"),
        ("q = mp.Queue()\nq.put(lambda: 1)", "the object of queue.put is a lambda"),
        ("ps = [P(target=lambda: 1) for _ in 'ab']", "a lambda"),
        ("f = lambda: 1\nP(target=f)", "a lambda"),
        ("def f(ctx, g): ctx.Process(target=g)\nf(mp, lambda: 1)", "the target of Process is a lambda"),
    ],
)
def test_what_cannot_be_pickled_is_found(statement: str, words: str) -> None:
    (finding,) = inside(statement)
    assert re.search(words, finding.what)
    assert finding.remedy
    assert finding.line >= 12


@pytest.mark.parametrize(
    "statement",
    [
        "threading.Thread(target=lambda: 1)",
        "P(target=work, args=(1, 'a', mp.Queue(), mp.Lock(), int, work, P))",
        "P(target=work, args=(open('x').read(),))",
        "P(target=work, args=tuple(x for x in 'ab'))",
        "P(target=str.upper, args=('a',))",
        "Pool(2).map(work, (x for x in 'ab'))",
        "Pool(2).apply_async(work, callback=lambda x: x)",
        "from multiprocessing.pool import ThreadPool\nThreadPool(2).map(lambda x: x, [1])",
        "from multiprocessing.dummy import Pool\nPool(2).map(lambda x: x, [1])",
        "from concurrent.futures import ThreadPoolExecutor as T\nT().submit(lambda: 1)",
        "pool = unknown()\npool.map(lambda x: x, [])",
        "target = work if unknown() else (lambda: 1)\nP(target=target)",
        "def f(): pass\nthreading.Thread(target=f).start()",
        "def f(g): P(target=g)\nf(lambda: 1)\nf(work)",
        "def f(g): P(target=g)\nf(*[lambda: 1])",
        "q = queue.Queue()\nq.put(lambda: 1)",
    ],
)
def test_what_can_be_pickled_or_is_not_known_is_passed_over(statement: str) -> None:
    assert inside(statement) == []


def test_the_arguments_of_a_process_are_inherited_by_a_fork_and_those_of_a_pool_are_not() -> None:
    assert [one.needs for one in inside("P(target=lambda: 1)\nPool().map(lambda x: x, [])")] == [
        "pickling",
        "always",
    ]


def test_the_start_method_that_the_program_names_is_told() -> None:
    assert inside("ctx = mp.get_context('fork')\nctx.Process(target=lambda: 1)")[0].method == "fork"
    assert inside("ctx = mp.get_context('fork')\nProcessPoolExecutor(2, ctx, lambda: 1)")[0].method == "fork"
    assert inside("mp.set_start_method('fork')\nP(target=lambda: 1)")[0].method == "fork"
    assert inside("mp.set_start_method(sys.argv[1])\nP(target=lambda: 1)")[0].method is None


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("P(target=work).start()", 4),
        ("def go(p):\n    p.start()\ngo(P(target=work))", 6),
        ("p = P(target=work)\np.start()", 5),
        ("ps = [P(target=work)]\nfor p in ps:\n    p.start()", 6),
        ("pool = mp.Pool()", 4),
        ("with mp.Manager() as m:\n    pass", 4),
        ("def go():\n    mp.Pool()\ndef main():\n    go()\nmain()", 8),
        ("class App:\n    def run(self):\n        mp.Pool()\nApp().run()", 7),
        ("class W(P):\n    def run(self): pass\nW().start()", 6),
        ("with ProcessPoolExecutor() as ex:\n    ex.submit(work)", 5),
        ("try:\n    mp.Pool()\nfinally:\n    pass", 5),
        ("if __name__ != '__main__':\n    mp.Pool()", 5),
        ("mp.set_start_method('spawn')", 4),
    ],
)
def test_what_an_import_starts_is_found(text: str, line: int) -> None:
    (finding,) = found(
        "import multiprocessing as mp; from multiprocessing import Process as P\n"
        f"from concurrent.futures import ProcessPoolExecutor\ndef work(): pass\n{text}\n"
    )
    assert (finding.line, finding.needs) == (line, "import")


@pytest.mark.parametrize(
    "text",
    [
        "if __name__ == '__main__':\n    mp.Pool()",
        "if '__main__' == __name__ and True:\n    mp.Pool()",
        "if __name__ != '__main__':\n    pass\nelse:\n    mp.Pool()",
        "if not __name__ == '__main__':\n    pass\nelse:\n    mp.Pool()",
        "def main():\n    mp.Pool()\nif __name__ == '__main__':\n    main()",
        "def main():\n    if __name__ == '__main__':\n        mp.Pool()\nmain()",
        "if mp.parent_process() is None:\n    mp.Pool()",
        "if mp.current_process().name == 'MainProcess':\n    mp.Pool()",
        "mp.set_start_method('spawn', force=True)",
        "try:\n    mp.set_start_method('spawn')\nexcept RuntimeError:\n    pass",
        "q = mp.Queue(); lock = mp.Lock()",
        "p = mp.Process(target=print)",
        "import threading\nt = threading.Thread(target=print)\nt.start()",
        "f = lambda: mp.Pool()",
    ],
)
def test_what_an_import_does_not_start_is_passed_over(text: str) -> None:
    assert found(f"import multiprocessing as mp\n{text}\n") == []


LATE = """
import multiprocessing as mp
X = 1
def child(): {reads}
def main():
    {sets}
    mp.Process(target=child).start()
if __name__ == "__main__":
    {under}
    main()
"""


@pytest.mark.parametrize(
    ("reads", "sets", "under", "count"),
    [
        ("print(X)", "global X; X = 2", "pass", 1),
        ("print(X)", "global X; X += 2", "pass", 1),
        ("print(X)", "pass", "X = 2", 1),
        ("print(Y)", "pass", "Y = 2", 1),
        ("print(os.sep)", "pass", "import os", 1),
        ("[X for _ in 'ab']", "pass", "X = 2", 1),
        ("print(X)", "X = 2", "pass", 0),
        ("print(X)", "pass", "X = 1", 0),
        ("X = 3; print(X)", "pass", "X = 2", 0),
        ("print((lambda X: X)(1))", "pass", "X = 2", 0),
        ("global X; X = 3; print(X)", "global X; X = 2", "pass", 0),
        ("print(X)", "pass", "print(X)", 0),
    ],
)
def test_a_global_that_is_set_after_the_import_is_found(
    reads: str, sets: str, under: str, count: int
) -> None:
    findings = found(LATE.format(reads=reads, sets=sets, under=under))
    assert len(findings) == count
    for finding in findings:
        assert finding.line == 4
        assert finding.what.startswith("child reads the global")


def test_what_a_pools_initializer_sets_is_there() -> None:
    assert not found(
        """
        import multiprocessing as mp
        lock = None
        def take(given):
            global lock
            lock = given
        def work(x):
            with lock: return x
        def main():
            with mp.Pool(initializer=take, initargs=(mp.Lock(),)) as pool:
                take(mp.Lock())
                pool.map(work, [])
        if __name__ == "__main__":
            main()
        """
    )


def test_a_class_of_processes_goes_along_with_its_attributes() -> None:
    text = """
        import multiprocessing as mp
        class W(mp.Process):
            def __init__(self):
                super().__init__({more})
                self.file = {value}
            def run(self):
                self.log = open("x")
        def main(): W().start()
        """
    assert not found(text.format(more="", value="None"))
    (finding,) = found(text.format(more="", value="open('x')"))
    assert "its attribute file is an open file (line 6)" in finding.why
    (finding,) = found(text.format(more="target=lambda: 1", value="1"))
    assert "the target of Process is a lambda" in finding.what


def test_an_object_that_says_how_it_is_pickled_is_believed() -> None:
    text = IMPORTS.replace("def main():\n", "    def __getstate__(self): return {}\ndef main():\n")
    assert not found(text + "    P(target=Held().method)\n")


def test_children_do_not_find_what_a_main_module_of_a_package_defines() -> None:
    text = "import multiprocessing as mp\ndef work(): pass\nmp.Process(target=work).start()\n"
    assert [one.needs for one in found(text)] == ["import"]
    (finding,) = found(text, imported=False)
    assert (finding.line, finding.needs) == (3, "pickling")


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_nothing_is_found_in_our_examples(path: Path) -> None:
    assert examine(read(str(path), module=False).tree) == []


def test_a_program_that_makes_names_of_themselves_is_read_to_the_end() -> None:
    assert not found(
        """
        import multiprocessing as mp
        a = b = None
        a = b
        b = a
        def f(): return f()
        class C(C): pass
        class D(E): pass
        class E(D): pass
        def main():
            x = x.y(x)
            mp.Process(target=a, args=(f(), C(), D(), x)).start()
            with main() as main: pass
        """
    )


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"x = = 1\n", "program.py, line 1: invalid syntax\n  x = = 1\n      ^"),
        (b"def f():\n    return (\n", "program.py, line 2: '(' was never closed"),
        (b"\xff\xfe", "program.py: invalid or missing encoding"),
        (b"x = '\0'", "program.py"),
    ],
)
def test_what_is_no_python_is_an_error_that_says_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("program.py").write_bytes(content)
    with pytest.raises(Unreadable, match=re.escape(words)):
        read("program.py", module=False)


@pytest.mark.parametrize("name", ["no_such", "json.no_such", "json", "sys", "", "json..tool"])
def test_a_module_that_is_not_there_or_has_no_text_is_an_error(name: str) -> None:
    with pytest.raises(Unreadable, match=r"no module is called|has no text"):
        read(name, module=True)


def test_a_module_is_found_without_importing_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pack" / "inner").mkdir(parents=True)
    for path in ("pack/__init__.py", "pack/inner/__init__.py"):
        Path(path).write_text("raise SystemExit")
    Path("pack/inner/__main__.py").write_text("x = 1")
    source = read("pack.inner", module=True)
    assert (source.shown, source.imported) == ("pack/inner/__main__.py", False)
