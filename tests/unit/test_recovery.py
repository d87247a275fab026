"""Recovery: an observer hears of an owner that died, in the process that took over."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

import pytest

import ipcframe
from ipcframe import _plugins, context
from ipcframe.conformance import targets
from ipcframe.errors import OwnerDiedWarning
from ipcframe.hookspecs import hookimpl


class Mourner:
    def __init__(self) -> None:
        self.heard: list[tuple[object, int]] = []

    @hookimpl
    def ipcframe_owner_died(self, obj: object, pid: int) -> None:
        self.heard.append((obj, pid))


@pytest.fixture(autouse=True)
def fresh_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    empty: dict[str, Any] = {"known": {}, "_listed": {}, "_in_code": [], "_loaded": {}}
    for name, value in empty.items():
        monkeypatch.setattr(_plugins, name, value)
    for name in ("_contexts", "_start_methods", "_reasons"):
        monkeypatch.setattr(context, name, {})


def acquire_and_die(lock: Any) -> None:
    lock.acquire()
    os.kill(os.getpid(), signal.SIGKILL)
    targets.wait_for_ever()


MAKE: dict[str, Callable[[ipcframe.Context], Any]] = {
    "Lock": lambda ctx: ctx.Lock(name="the lock"),
    "RLock": lambda ctx: ctx.RLock(name="the lock"),
    "Condition": lambda ctx: ctx.Condition(name="the lock"),
}


@pytest.mark.parametrize("kind", MAKE)
def test_an_observer_hears_once_of_an_owner_that_died(kind: str) -> None:
    mourner = Mourner()
    ipcframe.register(mourner, name="mourner")
    ctx = ipcframe.get_context("fork", backend="pipe")
    lock = MAKE[kind](ctx)
    child = ctx.Process(target=acquire_and_die, args=(lock,))
    child.start()
    child.join()
    with pytest.warns(OwnerDiedWarning, match=f"process {child.pid} died"):
        assert lock.acquire(timeout=5)
    assert [pid for _, pid in mourner.heard] == [child.pid]
    lock.release()
    assert lock.acquire(block=False)
    assert len(mourner.heard) == 1


def test_an_observer_that_raises_does_not_keep_the_lock(capsys: pytest.CaptureFixture[str]) -> None:
    class Failing:
        @hookimpl
        def ipcframe_owner_died(self, pid: int) -> None:
            raise RuntimeError(f"cannot bear the death of {pid}")

    ipcframe.register(Failing(), name="failing")
    ctx = ipcframe.get_context("fork", backend="pipe")
    lock = ctx.Lock()
    child = ctx.Process(target=acquire_and_die, args=(lock,))
    child.start()
    child.join()
    with pytest.warns(OwnerDiedWarning):
        assert lock.acquire(timeout=5)
    assert f"cannot bear the death of {child.pid}" in capsys.readouterr().err
    lock.release()
    assert lock.acquire(block=False)
