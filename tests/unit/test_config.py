"""Which of several sources counts, and what is said about it."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
from pipe_targets import answer_effective

import ipcframe
from ipcframe import config
from ipcframe.errors import ConfigError
from ipcframe.settings import Duration, Size


@pytest.fixture(autouse=True)
def fresh_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    empty: dict[str, Any] = {
        "_configured": {},
        "_configured_file": None,
        "_configured_by": None,
        "_inherited": None,
        "_files": {},
    }
    for name, value in empty.items():
        monkeypatch.setattr(config, name, value)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("IPCFRAME_CONFIG", str(tmp_path / "app.toml"))
    return tmp_path / "app.toml"


def test_the_shipped_defaults_are_the_last_resort() -> None:
    assert config.effective()["backend"] == (("pipe",), "the shipped defaults, key backend")


def test_configure_beats_the_defaults_and_names_its_line() -> None:
    ipcframe.configure(backend="other")
    value, source = config.effective()["backend"]
    assert value == ("other",)
    assert "test_config.py:" in source


def test_the_file_beats_configure(file: Path) -> None:
    file.write_text('backend = ["filed", "pipe"]\n')
    ipcframe.configure(backend="other", strict=True)
    settings = config.effective()
    assert settings["backend"].value == ("filed", "pipe")
    assert settings["strict"].value is True, "they merge key by key"


def test_a_variable_beats_the_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text('backend = "filed"\n')
    monkeypatch.setenv("IPCFRAME_BACKEND", "first, second")
    assert config.effective()["backend"] == (("first", "second"), "the variable IPCFRAME_BACKEND")


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
    assert config.effective()["backend"].value == ("pipe",)


def test_a_file_is_read_once(file: Path) -> None:
    file.write_text('backend = "one"\n')
    config.effective()
    file.write_text('backend = "two"\n')
    assert config.effective()["backend"].value == ("one",)


def test_configure_from_a_second_module_names_the_first() -> None:
    ipcframe.configure(backend="pipe")
    library = compile("import ipcframe; ipcframe.configure(backend='x')", "library.py", "exec")
    with pytest.raises(ConfigError, match=r"library.py:1; it was already called at .*test_config.py:\d+"):
        exec(library, {})
    ipcframe.configure(backend="pipe", strict=True)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('bakend = "pipe"', "unknown key 'bakend'.*\n.*did you mean 'backend'"),
        ("backend = 3", "key backend: expected a name, or a list of names, not 3"),
        ("backend = []", "expected at least one name"),
        ('strict = "perhaps"', "key strict: expected true or false"),
        ("start_method = ['a']", "key start_method: expected a name"),
        ("backends = 3", r"\[backends.NAME\] must be a table"),
        ("backend = [", "is no valid TOML"),
        ("plugins = [1]", "key plugins: expected"),
    ],
)
def test_a_mistake_in_the_file_says_which_file_and_what_was_expected(
    file: Path, text: str, complaint: str
) -> None:
    file.write_text(text)
    with pytest.raises(ConfigError, match=complaint) as caught:
        config.effective()
    assert str(file) in str(caught.value)


def test_a_file_that_cannot_be_read_says_who_named_it(file: Path) -> None:
    with pytest.raises(ConfigError, match=r"named by the variable IPCFRAME_CONFIG.*No such file"):
        config.effective()


def test_a_wrong_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IPCFRAME_STRICT", "sometimes")
    with pytest.raises(ConfigError, match="the variable IPCFRAME_STRICT: expected true or false"):
        config.effective()


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_child_has_its_parents_configuration_with_the_sources(method: str) -> None:
    ipcframe.configure(strict=True)
    ctx = ipcframe.get_context(method, backend="pipe")
    ours, theirs = ctx.Pipe()
    child = ctx.Process(target=answer_effective, args=(theirs,))
    child.start()
    value, source = ours.recv(timeout=30)["strict"]
    child.join()
    assert value is True
    assert "test_config.py:" in source


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


@pytest.mark.parametrize(
    ("value", "size"), [(0, 0), (4096, 4096), ("4 KiB", 4096), ("1.5 kB", 1500), ("2GiB", 2**31), ("7", 7)]
)
def test_sizes_have_units(value: object, size: int) -> None:
    assert Size(value) == size


@pytest.mark.parametrize("value", [-1, "-1", "4 kib", "many", None, True, 1.5, "", "1e3", "4 KiB!"])
def test_what_is_no_size_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="expected a size"):
        Size(value)


@pytest.mark.parametrize(("value", "seconds"), [(0.25, 0.25), ("250 ms", 0.25), ("2 min", 120.0), ("3", 3.0)])
def test_durations_have_units(value: object, seconds: float) -> None:
    assert Duration(value) == pytest.approx(seconds)


@pytest.mark.parametrize("value", [-1, float("nan"), float("inf"), "soon", None, True])
def test_what_is_no_duration_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="expected a duration"):
        Duration(value)
