"""Plugins: found by metadata, loaded one by one, and each thing that can be wrong has its error."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import plugin_targets
import pytest
from pipe_targets import answer_pipe_of_backend, make_pipe_by_context, make_pipe_in_child
from plugin_targets import Celsius, Recorder

import ipcframe
from ipcframe import _plugins, context, errors


@pytest.fixture(autouse=True)
def fresh_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    empty: dict[str, Any] = {"known": {}, "_listed": {}, "_in_code": [], "_loaded": {}}
    for name, value in empty.items():
        monkeypatch.setattr(_plugins, name, value)
    for name in ("_contexts", "_start_methods", "_reasons"):
        monkeypatch.setattr(context, name, {})


def install_metadata(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, distribution: str, points: str) -> None:
    """Pretend that a distribution is installed, with these entry points."""
    folder = tmp_path / f"{distribution.replace('-', '_')}-1.0.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text(points)
    monkeypatch.syspath_prepend(str(tmp_path))


def test_first_party_plugins_are_listed_from_metadata() -> None:
    names = {kind: [offer.name for offer in _plugins.offers(kind)] for kind in _plugins.KINDS}
    assert names == {
        "backend": ["pipe", "unix"],
        "start_method": ["fork", "forkserver", "spawn"],
        "plugin": ["trace"],
    }


def test_listing_imports_no_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_metadata(tmp_path, monkeypatch, "bomb", "[ipcframe.backends]\nbomb = no_such_module_at_all\n")
    assert "bomb" in [offer.name for offer in _plugins.offers("backend")]
    assert "no_such_module_at_all" not in sys.modules


def test_an_unknown_backend_names_the_installed_ones_the_nearest_and_who_asked() -> None:
    with pytest.raises(errors.BackendNotFound) as caught:
        ipcframe.get_context(backend="pip")
    text = str(caught.value)
    assert "did you mean 'pipe'?" in text
    assert "the argument backend" in text
    assert isinstance(caught.value, ValueError)


def test_an_unknown_start_method_is_the_value_error_that_multiprocessing_raises() -> None:
    with pytest.raises(ValueError, match="did you mean 'spawn'"):
        ipcframe.get_context("spwn")


def test_an_unknown_backend_in_a_variable_names_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IPCFRAME_BACKEND", "warp")
    with pytest.raises(errors.BackendNotFound, match="the variable IPCFRAME_BACKEND"):
        ipcframe.get_context()


def test_a_name_that_two_distributions_offer_is_an_error_only_when_it_is_used_bare(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = "[ipcframe.backends]\nmarked = plugin_targets:marked\n"
    install_metadata(tmp_path / "a", monkeypatch, "first-one", points)
    install_metadata(tmp_path / "b", monkeypatch, "second-one", points)
    assert ipcframe.get_context(backend="pipe").backend.name == "pipe"
    with pytest.raises(errors.DuplicateBackend) as caught:
        ipcframe.get_context(backend="marked")
    assert "'first-one:marked' or 'second-one:marked'" in str(caught.value)
    assert ipcframe.get_context(backend="second-one:marked").backend.name == "marked"


def test_one_distribution_seen_twice_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    points = "[ipcframe.backends]\nmarked = plugin_targets:marked\n"
    install_metadata(tmp_path / "a", monkeypatch, "twice", points)
    install_metadata(tmp_path / "b", monkeypatch, "Twice", points)
    assert ipcframe.get_context(backend="marked").backend.name == "marked"


@pytest.mark.parametrize(
    ("module", "source", "complaint"),
    [
        ("stranger_raises", "raise RuntimeError('out of order')", "RuntimeError: out of order"),
        ("stranger_exits", "raise SystemExit(3)", "SystemExit: 3"),
        ("stranger_empty", "", "implements no hook"),
        (
            "stranger_misspelt",
            "from ipcframe.hookspecs import hookimpl\n@hookimpl\ndef ipcframe_bakend(name, settings): pass",
            "a hook that is none of ours.*ipcframe_bakend",
        ),
        (
            "stranger_argument",
            "from ipcframe.hookspecs import hookimpl\n@hookimpl\ndef ipcframe_backend(nmae): pass",
            "a hook that is none of ours.*nmae",
        ),
        (
            "stranger_type",
            "from ipcframe.hookspecs import hookimpl\n@hookimpl\ndef ipcframe_backend(name): return 42",
            "made an object of type int, which is no Backend",
        ),
        (
            "stranger_silent",
            "from ipcframe.hookspecs import hookimpl\n@hookimpl\ndef ipcframe_backend(name): return None",
            "does not answer to its own name",
        ),
        (
            "stranger_other",
            "from ipcframe.hookspecs import hookimpl\n@hookimpl\ndef ipcframe_object_created(kind): pass",
            "does not implement ipcframe_backend",
        ),
    ],
)
def test_a_broken_backend_says_what_is_wrong_and_the_others_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, source: str, complaint: str
) -> None:
    install_metadata(tmp_path, monkeypatch, "stranger", f"[ipcframe.backends]\nstrange = {module}\n")
    (tmp_path / f"{module}.py").write_text(source)
    with pytest.raises(errors.BackendBroken, match=f"(?s)'strange' of stranger 1.0.*{complaint}"):
        ipcframe.get_context(backend="strange")
    assert ipcframe.get_context(backend="pipe").Pipe()


def test_the_import_error_is_the_cause_of_a_broken_plugin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_metadata(tmp_path, monkeypatch, "hollow", "[ipcframe.backends]\nhollow = no_such_module_here\n")
    with pytest.raises(errors.BackendBroken) as caught:
        ipcframe.get_context(backend="hollow")
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)


def test_an_unavailable_backend_gives_its_own_reason() -> None:
    ipcframe.register(plugin_targets.nowhere, name="nowhere")
    with pytest.raises(errors.BackendUnavailable, match="install a miracle"):
        ipcframe.get_context(backend="nowhere")


def test_the_next_backend_of_a_list_is_taken_with_one_warning() -> None:
    ipcframe.register(plugin_targets.nowhere, name="nowhere")
    with pytest.warns(errors.FallbackWarning) as caught:
        ctx = ipcframe.get_context(backend=["nowhere", "pipe"])
    assert ctx.backend.name == "pipe"
    assert len(caught) == 1
    text = str(caught[0].message)
    assert "the argument backend" in text
    assert "install a miracle" in text
    assert "'pipe' is used" in text
    assert caught[0].filename == __file__


def test_strict_makes_falling_back_an_error() -> None:
    ipcframe.register(plugin_targets.nowhere, name="nowhere")
    with pytest.raises(errors.BackendUnavailable, match="strict = true"):
        ipcframe.get_context(backend=["nowhere", "pipe"], strict=True)


def test_only_unavailable_falls_through_and_not_found_does_not() -> None:
    with pytest.raises(errors.BackendNotFound):
        ipcframe.get_context(backend=["nonsense", "pipe"])


def test_a_backend_registered_in_code_is_chosen_by_name_and_by_qualified_name() -> None:
    ipcframe.register(plugin_targets.marked, name="marked")
    assert ipcframe.get_context(backend="marked").backend.name == "marked"
    assert ipcframe.get_context(backend="registered:marked").backend.name == "marked"


def test_registering_a_name_twice_names_the_first_line() -> None:
    ipcframe.register(plugin_targets.marked, name="marked")
    with pytest.raises(errors.DuplicateBackend, match=r"registered already, by .*test_plugins.py:\d+"):
        ipcframe.register(plugin_targets.marked, name="marked")


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_child_knows_what_its_parent_registered(method: str) -> None:
    ipcframe.register(plugin_targets.marked, name="marked")
    ctx = ipcframe.get_context(method, backend="pipe")
    ours, theirs = ctx.Pipe()
    child = ctx.Process(target=answer_pipe_of_backend, args=(theirs, "marked"))
    child.start()
    assert ours.recv(timeout=30) == "MarkedConnection"
    child.join()


def test_what_a_child_could_not_import_is_an_error_when_it_is_started() -> None:
    ipcframe.register(Recorder(), name="recorder")
    ctx = ipcframe.get_context("spawn", backend="pipe")
    child = ctx.Process(target=print)
    with pytest.raises(errors.PluginBroken, match=r"cannot be imported there.*test_plugins.py:\d+"):
        child.start()


def test_settings_of_a_backend_are_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ipcframe.register(plugin_targets.marked, name="marked")
    file = tmp_path / "my.toml"
    monkeypatch.setenv("IPCFRAME_CONFIG", str(file))
    file.write_text('backend = "marked"\n[backends.marked]\nroom = "4 KiB"\n')
    assert ipcframe.get_context().backend.configured["room"].value == 4096


@pytest.mark.parametrize(
    ("line", "complaint"), [("rom = 3", "no setting 'rom'"), ('room = "many"', "expected a size")]
)
def test_a_wrong_setting_of_a_backend_says_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, complaint: str
) -> None:
    ipcframe.register(plugin_targets.marked, name="marked")
    file = tmp_path / "my.toml"
    monkeypatch.setenv("IPCFRAME_CONFIG", str(file))
    file.write_text(f'backend = "marked"\n[backends.marked]\n{line}\n')
    with pytest.raises(errors.ConfigError, match=complaint) as caught:
        ipcframe.get_context()
    assert "my.toml, line 3, key backends.marked.ro" in str(caught.value)


# --- observers, wrappers, policies ---


def test_an_observer_hears_of_objects_and_processes() -> None:
    recorder = Recorder()
    ipcframe.register(recorder, name="recorder")
    ctx = ipcframe.get_context("fork", backend="pipe")
    ctx.Pipe()
    ctx.Channel()
    child = ctx.Process(target=int, name="the child")
    child.start()
    child.join()
    child.join()
    created = ["created connection", "created connection", "created channel"]
    assert [event for event, _ in recorder.events] == [*created, "started", "exited"]
    assert recorder.events[-2:] == [("started", "the child"), ("exited", 0)]


def test_an_observer_that_raises_is_reported_and_stops_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    recorder = Recorder()
    ipcframe.register(recorder, name="recorder")
    ipcframe.register(plugin_targets.failing_observer, name="failing")
    ipcframe.get_context("fork", backend="pipe").Pipe()
    assert len(recorder.events) == 2
    assert "cannot bear another connection" in capsys.readouterr().err


def test_an_installed_observer_acts_only_when_it_is_named(capfd: pytest.CaptureFixture[str]) -> None:
    ipcframe.get_context("fork", backend="pipe").Pipe()
    assert capfd.readouterr().err == ""
    ipcframe.get_context("fork", backend="pipe", plugins=["trace"]).Pipe(name="seen")
    assert "created connection" in capfd.readouterr().err


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("how", ["by its argument", "by the configuration"])
def test_notifications_fire_in_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, how: str
) -> None:
    trace = tmp_path / "trace"
    # A fork server keeps the variables that it was started with.
    monkeypatch.setenv("IPCFRAME_TRACE_FILE", str(trace))
    _restart_forkserver()
    try:
        if how == "by the configuration":
            monkeypatch.setenv("IPCFRAME_PLUGINS", "trace")
        ctx = ipcframe.get_context(method, backend="pipe", plugins=["trace"])
        ours, theirs = ctx.Pipe()
        target: Any = make_pipe_by_context if how == "by its argument" else make_pipe_in_child
        args = (theirs, ctx) if how == "by its argument" else (theirs,)
        child = ctx.Process(target=target, args=args)
        child.start()
        ours.recv(timeout=30)
        child.join()
    finally:
        _restart_forkserver()
    events = [line.split(" ", 2)[1:] for line in trace.read_text().splitlines()]
    assert [str(child.pid), "created connection"] in [[pid, event[:18]] for pid, event in events]
    assert any(pid == str(os.getpid()) and event.startswith("started") for pid, event in events)
    assert any(event.endswith("exited with 0") for _, event in events)


def _restart_forkserver() -> None:
    from ipcframe_forkserver.launcher import fork_server

    fork_server._stop()


def test_a_wrapper_may_change_what_is_made() -> None:
    ipcframe.register(plugin_targets.renaming_wrapper, name="renaming")
    pair = ipcframe.get_context("fork", backend="pipe").Pipe(name="x")
    assert [end.name for end in pair] == ["wrapped x", "wrapped x"]


def test_a_policy_may_choose_the_backend_of_an_object() -> None:
    ipcframe.register(plugin_targets.marked, name="marked")
    ipcframe.register(plugin_targets.marked_policy, name="policy")
    ctx = ipcframe.get_context("fork", backend="pipe")
    assert type(ctx.Pipe(False, name="special")[0]).__name__ == "MarkedConnection"
    assert type(ctx.Pipe(False, name="plain")[0]).__name__ == "PipeConnection"


def test_a_policy_is_told_how_large_messages_are_expected_to_be() -> None:
    ipcframe.register(plugin_targets.marked, name="marked")
    ipcframe.register(plugin_targets.size_policy, name="policy")
    ctx = ipcframe.get_context("fork", backend="pipe")
    assert type(ctx.Pipe(False, message_size=1001)[0]).__name__ == "MarkedConnection"
    assert type(ctx.Pipe(False, message_size=1000)[0]).__name__ == "PipeConnection"
    assert type(ctx.Pipe(False)[0]).__name__ == "PipeConnection"
    for make in (ctx.Queue, ctx.JoinableQueue, ctx.SimpleQueue, ctx.Channel):
        assert make(message_size=1001)
    with pytest.raises(ValueError, match="negative size"):
        ctx.Queue(message_size=-1)


def test_a_plugin_may_bring_reducers() -> None:
    ipcframe.register(plugin_targets.celsius_reducer, name="celsius")
    ours, theirs = ipcframe.get_context("fork", backend="pipe").Pipe()
    ours.send(Celsius(21.5))
    assert theirs.recv() == 21.5


def test_an_object_may_be_on_another_backend_than_its_context() -> None:
    ipcframe.register(plugin_targets.marked, name="marked")
    ctx = ipcframe.get_context("fork", backend="pipe")
    assert type(ctx.Pipe(False, backend="marked")[0]).__name__ == "MarkedConnection"
