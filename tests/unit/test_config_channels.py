"""``[channels.NAME]``: which backend an object is on that was made with a name."""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import configured_targets
import pytest
from configured_targets import answer_where_objects_are

import ipcframe
from ipcframe import config, errors

pytestmark = pytest.mark.usefixtures("fresh_configuration", "fresh_registry")
Make = Callable[[ipcframe.Context, str], Any]

FACTORIES: dict[str, Make] = {
    "connection": lambda ctx, name: ctx.Pipe(name=name),
    "channel": lambda ctx, name: ctx.Channel(name=name),
    "queue": lambda ctx, name: ctx.Queue(name=name),
    "joinable_queue": lambda ctx, name: ctx.JoinableQueue(name=name),
    "simple_queue": lambda ctx, name: ctx.SimpleQueue(name=name),
    "lock": lambda ctx, name: ctx.Lock(name=name),
    "rlock": lambda ctx, name: ctx.RLock(name=name),
    "semaphore": lambda ctx, name: ctx.Semaphore(name=name),
    "bounded_semaphore": lambda ctx, name: ctx.BoundedSemaphore(name=name),
    "condition": lambda ctx, name: ctx.Condition(name=name),
    "event": lambda ctx, name: ctx.Event(name=name),
    "barrier": lambda ctx, name: ctx.Barrier(1, name=name),
    "value": lambda ctx, name: ctx.Value("i", name=name),
    "array": lambda ctx, name: ctx.Array("i", 1, name=name),
}


@pytest.fixture
def configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., ipcframe.Context]:
    """``configured(text)``: a context with this file, two backends, and a witness of what is made."""
    for plugin in ("twin", "nowhere", "witness"):
        ipcframe.register(getattr(configured_targets, plugin), name=plugin)
    monkeypatch.setattr(configured_targets, "made", [])

    def configure(text: str, method: str = "fork", **options: Any) -> ipcframe.Context:
        (tmp_path / "app.toml").write_text(text)
        monkeypatch.setenv("IPCFRAME_CONFIG", str(tmp_path / "app.toml"))
        return ipcframe.get_context(method, **options)

    return configure


def where(make: Callable[[], Any]) -> str:
    """The backend that something was made on."""
    configured_targets.made.clear()
    make()
    ((_, backend, _),) = configured_targets.made
    return backend


@pytest.mark.parametrize("kind", FACTORIES)
def test_every_factory_looks_at_the_channels(kind: str, configured: Callable[..., ipcframe.Context]) -> None:
    ctx = configured('[channels.frames]\nbackend = "twin"\n')
    assert where(lambda: FACTORIES[kind](ctx, "frames")) == "twin"
    assert where(lambda: FACTORIES[kind](ctx, "other")) == "unix"


@pytest.mark.parametrize(
    "name", ["frames.left", "of camera 1", "", 'a "quote"', "é", "backend", "channels.frames", "a\nb"]
)
def test_a_name_may_have_dots_and_spaces(name: str, configured: Callable[..., ipcframe.Context]) -> None:
    quoted = name.replace('"', '\\"').replace("\n", "\\n")
    ctx = configured(f'[channels.frames]\nbackend = "pipe"\n[channels."{quoted}"]\nbackend = "twin"\n')
    assert where(lambda: ctx.Lock(name=name)) == "twin"
    assert where(lambda: ctx.Lock(name="frames")) == "pipe"
    assert where(lambda: ctx.Lock(name="left")) == "unix"


@pytest.mark.parametrize(("argument", "channel", "policy"), [*product([False, True], repeat=3)])
def test_an_object_is_on_what_has_the_last_word(
    argument: bool, channel: bool, policy: bool, configured: Callable[..., ipcframe.Context]
) -> None:
    if policy:
        ipcframe.register(configured_targets.twin_policy, name="twin-policy")
    # The policy says "twin" and the context "pipe"; the table says "pipe" and then the argument "twin".
    ctx = configured('[channels."policy or table"]\nbackend = "pipe"\n' if channel else "", backend="pipe")
    asked = {"backend": "twin"} if argument else {}
    backend = where(lambda: ctx.Lock(name="policy or table", **asked))
    assert backend == ("twin" if argument or (policy and not channel) else "pipe")


def test_a_table_counts_more_than_the_argument_of_the_context(
    configured: Callable[..., ipcframe.Context],
) -> None:
    ctx = configured('[channels.frames]\nbackend = "twin"\n', backend="pipe")
    assert where(lambda: ctx.Event(name="frames")) == "twin"
    assert where(ctx.Event) == "pipe"


def test_a_list_falls_through_with_a_warning_that_names_the_key(
    configured: Callable[..., ipcframe.Context],
) -> None:
    with pytest.warns(
        errors.FallbackWarning, match=r"line 2, key channels.frames.backend.*install a mir"
    ) as all_:
        ctx = configured('[channels.frames]\nbackend = ["nowhere", "twin"]\n')
    assert all_[0].filename == __file__
    assert where(lambda: ctx.Queue(name="frames")) == "twin"


def test_strict_forbids_to_fall_through(configured: Callable[..., ipcframe.Context]) -> None:
    with pytest.raises(errors.BackendUnavailable, match=r"channels.frames.backend.*\n.*forbids"):
        configured('strict = true\n[channels.frames]\nbackend = ["nowhere", "twin"]\n')


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        ('[channels.frames]\nbackend = "twn"', "line 2, key channels.frames.backend.*\n.*mean 'twin'"),
        ('[backends.twn]\nroom = "1 MiB"', "line 2, key backends.twn.room.*\n.*mean 'twin'"),
    ],
)
def test_a_table_for_a_backend_that_is_not_there_is_an_error(
    table: str, complaint: str, configured: Callable[..., ipcframe.Context]
) -> None:
    with pytest.raises(errors.BackendNotFound, match=complaint):
        configured(table)


def test_two_files_that_differ_in_a_channel_make_two_contexts(
    configured: Callable[..., ipcframe.Context], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = configured("")
    monkeypatch.setattr(config, "_files", {})
    with_table = configured('[channels.frames]\nbackend = "twin"\n')
    assert with_table is not plain
    assert where(lambda: plain.Lock(name="frames")) == "unix"
    assert where(lambda: with_table.get_context("spawn").Lock(name="frames")) == "twin"


def test_a_backends_settings_may_stand_under_its_qualified_name(
    configured: Callable[..., ipcframe.Context],
) -> None:
    bare, qualified = (
        '[backends.twin]\nroom = 1\npatience = "1 s"\n',
        '[backends."registered:twin"]\nroom = 2\n',
    )
    ctx = configured(f'{bare}{qualified}backend = "pipe"\n'.replace('backend = "pipe"\n', ""), backend="twin")
    found = {key: value.value for key, value in ctx.backend.configured.items()}
    assert (found["room"], found["patience"]) == (2, 1.0)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_child_has_the_channels_and_does_not_read_the_file_again(
    method: str, tmp_path: Path, configured: Callable[..., ipcframe.Context]
) -> None:
    ctx = configured('[channels.frames]\nbackend = "twin"\n[backends.twin]\nroom = "4 KiB"\n', method)
    (tmp_path / "app.toml").unlink()
    ours, theirs = ctx.Pipe()
    child = ctx.Process(target=answer_where_objects_are, args=(theirs, ctx))
    child.start()
    theirs.close()
    pid, made = ours.recv(timeout=30)
    child.join()
    assert pid != os.getpid()
    assert made == [("queue", "twin", "frames"), ("lock", "unix", "other")] * 2
