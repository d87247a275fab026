"""Which of several sources counts, and what is said about it."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest
from pipe_targets import answer_effective

import ipcframe
from ipcframe import config
from ipcframe.errors import ConfigError

pytestmark = pytest.mark.usefixtures("fresh_configuration")


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("IPCFRAME_CONFIG", str(tmp_path / "app.toml"))
    return tmp_path / "app.toml"


def test_the_shipped_defaults_are_the_last_resort() -> None:
    assert config.effective()["backend"] == (("unix", "pipe"), "the shipped defaults, key backend")


@pytest.mark.parametrize(("variable", "named", "configured"), [*product([False, True], repeat=3)])
def test_the_highest_that_says_something_counts_and_is_the_source(
    variable: bool, named: bool, configured: bool, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text('backend = "of the file"\nplugins = ["trace"]\n' if named else 'plugins = ["trace"]\n')
    if configured:
        ipcframe.configure(backend="of configure", strict=True)
    if variable:
        monkeypatch.setenv("IPCFRAME_BACKEND", "of the variable, second")
    settings = config.effective()
    names, source = settings["backend"]
    says, words = next(
        (says, words)
        for given, says, words in [
            (variable, ("of the variable", "second"), "the variable IPCFRAME_BACKEND"),
            (named, ("of the file",), f"the file {file}, line 1, key backend"),
            (configured, ("of configure",), "the argument backend of configure at "),
            (True, ("unix", "pipe"), "the shipped defaults, key backend"),
        ]
        if given
    )
    assert names == says
    assert source.startswith(words)
    assert ("test_config.py:" in source) is (says == ("of configure",))
    # They merge key by key: what one does not say leaves the others' as it is.
    assert settings["plugins"].value == ("trace",)
    assert settings["strict"].value is configured


def test_an_argument_beats_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IPCFRAME_BACKEND", "nonsense")
    assert ipcframe.get_context(backend="pipe").backend.name == "pipe"


def test_configure_may_name_the_file(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text('start_method = "spawn"\n')
    ipcframe.configure(file=tmp_path / "x.toml")
    assert ipcframe.get_context().get_start_method() == "spawn"


def test_no_file_is_searched_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ipcframe.toml").write_text('backend = "evil"\n')
    monkeypatch.chdir(tmp_path)
    assert config.effective()["backend"].value == ("unix", "pipe")


def test_a_file_is_read_once(file: Path) -> None:
    file.write_text('backend = "one"\n')
    config.effective()
    file.write_text('backend = "two"\n')
    assert config.effective()["backend"].value == ("one",)


def test_a_file_that_was_read_is_the_same_from_another_folder(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text('backend = "one"\n')
    monkeypatch.setenv("IPCFRAME_CONFIG", file.name)
    monkeypatch.chdir(tmp_path)
    config.effective()
    monkeypatch.chdir("/")
    assert config.effective()["backend"] == (("one",), f"the file {file.name}, line 1, key backend")


def test_an_import_reads_no_file(tmp_path: Path) -> None:
    program = (
        "import sys; opened = []\n"
        "sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == 'open' else None)\n"
        "import ipcframe, ipcframe.config, ipcframe.context\n"
        "assert not [name for name in opened if name.endswith('.toml')], opened\n"
    )
    variables = {**os.environ, "IPCFRAME_CONFIG": str(tmp_path / "missing.toml")}
    subprocess.run([sys.executable, "-c", program], env=variables, check=True, timeout=60)


def test_configure_from_a_second_module_names_the_first() -> None:
    ipcframe.configure(backend="pipe")
    library = compile("import ipcframe; ipcframe.configure(backend='x')", "library.py", "exec")
    with pytest.raises(ConfigError, match=r"library.py:1; it was already called at .*test_config.py:\d+"):
        exec(library, {})
    ipcframe.configure(backend="pipe", strict=True)


def test_a_wrong_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IPCFRAME_STRICT", "sometimes")
    with pytest.raises(ConfigError, match="the variable IPCFRAME_STRICT: expected true or false"):
        config.effective()


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_child_has_its_parents_configuration_with_the_sources(method: str, file: Path) -> None:
    file.write_text("\nplugins = []\n")
    ipcframe.configure(strict=True)
    ctx = ipcframe.get_context(method, backend="pipe")
    file.unlink()  # a child does not read it again
    ours, theirs = ctx.Pipe()
    child = ctx.Process(target=answer_effective, args=(theirs,))
    child.start()
    theirs.close()
    answered = ours.recv(timeout=30)
    child.join()
    value, source = answered["strict"]
    assert value is True
    assert "test_config.py:" in source
    assert answered["plugins"] == ((), f"the file {file}, line 2, key plugins")


def test_equal_requests_give_one_context_wherever_the_values_came_from(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    by_argument = ipcframe.get_context("fork", backend="pipe")
    monkeypatch.setenv("IPCFRAME_BACKEND", "pipe")
    assert ipcframe.get_context("fork") is by_argument


def test_a_context_pickles_to_itself() -> None:
    ctx = ipcframe.get_context("spawn", backend="pipe")
    assert pickle.loads(pickle.dumps(ctx)) is ctx


def test_the_class_of_a_context_pickles_by_its_name() -> None:
    cls = type(ipcframe.get_context("spawn", backend="pipe"))
    assert pickle.loads(pickle.dumps(cls)) is cls


def test_a_context_has_the_names_that_programs_look_at() -> None:
    import multiprocessing.context

    ctx = ipcframe.get_context("forkserver", backend="pipe")
    assert isinstance(ctx, multiprocessing.context.BaseContext)
    assert type(ctx).__name__ == "ForkServerContext"
    assert ctx.Process.__name__ == "ForkServerProcess"
    assert ctx.get_context("spawn").get_start_method() == "spawn"
    with pytest.raises(ValueError, match="cannot set start method"):
        ctx.set_start_method("fork")
