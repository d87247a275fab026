"""The public API as type checkers see it; checked by mypy --strict against the installed package."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, assert_type

import ipcframe
import ipcframe.connection
from ipcframe import abc, errors


def contexts() -> None:
    ctx = ipcframe.get_context("name", backend=["a", "b"], strict=True, plugins="x")
    assert_type(ctx, ipcframe.Context)
    assert_type(ctx.backend, abc.Backend)
    assert_type(ctx.start_method, abc.StartMethod)
    assert_type(ctx.get_start_method(), str)
    assert_type(ctx.get_context("other"), ipcframe.Context)
    assert_type(ctx.Channel(name="c"), ipcframe.Channel)
    assert_type(ctx.Pipe(False, name="x", backend="b"), tuple[ipcframe.Connection, ipcframe.Connection])
    assert_type(ctx.cpu_count(), int)


def connections() -> None:
    ours, theirs = ipcframe.Pipe()
    assert_type(ours, ipcframe.Connection)
    ours.send({"any": "object"}, timeout=1)
    assert_type(theirs.recv(timeout=0.5), Any)
    assert_type(theirs.recv_bytes(100), bytes)
    assert_type(theirs.recv_bytes_into(bytearray(5)), int)
    assert_type(theirs.poll(None), bool)
    assert_type(theirs.fileno(), int)
    assert_type(ours.closed, bool)
    with ours as same:
        assert_type(same, ipcframe.Connection)
    assert_type(ipcframe.connection.wait([theirs, 5], 0.1), list[Any])


def processes() -> None:
    process = ipcframe.Process(target=print, args=(1,), daemon=True)
    process.start()
    process.join(1.0)
    assert_type(process.exitcode, int | None)
    assert_type(process.exception, BaseException | None)
    assert_type(process.is_alive(), bool)

    class Worker(ipcframe.Process):
        def run(self) -> None: ...

    assert_type(Worker().name, str)


def faults() -> None:
    try:
        ipcframe.configure(backend="pipe", file="x.toml")
        ipcframe.install(start_method="spawn")
    except errors.ConfigError as error:
        assert_type(error.problem, str)
        assert_type(error.remedy, str)
    except (ipcframe.BackendNotFound, ipcframe.EndOfStream):
        pass


class Upper(abc.Serializer):
    def dumps(self, obj: object) -> Sequence[abc.Buffer]:
        return [str(obj).upper().encode()]

    def loads(self, message: abc.Buffer) -> Any:
        return bytes(message).decode()
