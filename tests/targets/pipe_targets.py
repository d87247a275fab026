"""What children of the tests run."""

from __future__ import annotations

import os
import sys
from typing import Any

import ipcframe

HEAVY = ("pluggy", "importlib.metadata", "dataclasses")


def heavy_modules() -> list[str]:
    return [name for name in HEAVY if name in sys.modules]


def answer_heavy_modules(conn: Any) -> None:
    conn.send(heavy_modules())


def raise_value_error(text: str) -> None:
    raise ValueError(text)


def answer_context(conn: Any, ctx: Any) -> None:
    conn.send((type(ctx).__name__, ctx.backend.name, ctx is ipcframe.get_context(ctx.get_start_method())))


def make_pipe_in_child(done: Any) -> None:
    ctx = ipcframe.get_context()
    pair = ctx.Pipe(name="made in the child")
    done.send((os.getpid(), [end.name for end in pair]))


def make_pipe_by_context(done: Any, ctx: Any) -> None:
    ctx.Pipe(name="made in the child")
    done.send(os.getpid())


def answer_effective(conn: Any) -> None:
    from ipcframe import config

    conn.send({key: tuple(value) for key, value in config.effective().items()})


def answer_pipe_of_backend(conn: Any, name: str) -> None:
    conn.send(type(ipcframe.get_context(backend=name).Pipe()[0]).__name__)


def answer_multiprocessing(conn: Any) -> None:
    import multiprocessing
    import multiprocessing.connection

    conn.send(
        [
            type(multiprocessing.Pipe()[0]).__module__,
            multiprocessing.Process.__module__,
            type(multiprocessing.get_context()).__module__,
            multiprocessing.connection.wait.__module__,
            multiprocessing.get_start_method(),
        ]
    )


def start_grandchild(conn: Any) -> None:
    import multiprocessing

    ours, theirs = multiprocessing.Pipe()
    child = multiprocessing.Process(target=answer_multiprocessing, args=(theirs,))
    child.start()
    conn.send(ours.recv())
    child.join()
