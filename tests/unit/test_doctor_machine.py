"""What the doctor finds out about a machine: from the files of a kernel, and from checks of plugins."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pluggy
import pytest

from ipcframe import _plugins, hookimpl
from ipcframe.cli import doctor, machine
from ipcframe.cli.facts import Machine, Space

MIB = 2**20


@pytest.fixture
def fake(tmp_path: Path) -> Machine:
    """A machine whose files lie in a folder."""
    made = Machine()
    made.groups, made.proc = tmp_path / "cgroup", tmp_path / "proc"
    return made


def write(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".", 1)).write_text(f"{text}\n")


def test_a_limit_of_version_2_holds_for_the_groups_inside(fake: Machine) -> None:
    write(fake.proc / "self", cgroup="0::/outer/inner")
    write(
        fake.groups / "outer",
        memory__max=str(64 * MIB),
        memory__current=str(48 * MIB),
        cpu__max="150000 100000",
    )
    write(fake.groups / "outer" / "inner", memory__max="max", memory__current="5", cpu__max="max 100000")
    assert fake.group_memory() == Space(64 * MIB, 16 * MIB)
    assert fake.cores()[2] == 1.5


def test_a_limit_of_version_1_is_found_by_its_controller(fake: Machine) -> None:
    write(fake.proc / "self", cgroup="4:memory:/x\n3:cpu,cpuacct:/x\n2:pids:/x")
    write(fake.groups / "memory" / "x", memory__limit_in_bytes=str(64 * MIB), memory__usage_in_bytes=str(MIB))
    write(fake.groups / "memory", memory__limit_in_bytes=str(2**63 - 4096), memory__usage_in_bytes="0")
    write(fake.groups / "cpu" / "x", cpu__cfs_quota_us="-1", cpu__cfs_period_us="100000")
    write(fake.groups / "cpu", cpu__cfs_quota_us="200000", cpu__cfs_period_us="100000")
    assert fake.group_memory() == Space(64 * MIB, 63 * MIB)
    assert fake.cores()[2] == 2


def test_in_a_container_the_groups_path_may_be_the_hosts(fake: Machine) -> None:
    write(fake.proc / "self", cgroup="0::/docker/0123")
    write(fake.groups, memory__max=str(64 * MIB), memory__current="0")
    assert fake.group_memory() == Space(64 * MIB, 64 * MIB)


def test_without_control_groups_there_is_no_limit(fake: Machine) -> None:
    assert fake.group_memory() is None
    assert fake.cores()[2] is None


def test_looking_leaves_nothing_behind() -> None:
    before = set(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for check in machine.checks():
        verdict, sentence, *_ = check()
        assert verdict in ("good", "note")
        assert sentence
    assert set(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
    assert not [path for path in Path("/dev/shm").glob("*") if f"ipcframe-{os.getpid()}-" in path.name]


def verdicts(*answers: Callable[[], Any]) -> list[tuple[str, ...]]:
    """What the doctor makes of checks of plugins."""
    manager = _plugins.new_manager()
    for number, answer in enumerate(answers):
        plugin: Any = type("Plugin", (), {"ipcframe_doctor_checks": staticmethod(hookimpl(answer))})
        manager.register(plugin, f"plugin {number}")
    return [
        (one.verdict, one.sentence, one.remedy)
        for one in doctor._of_machine(manager.hook.ipcframe_doctor_checks)
    ]


def good() -> tuple[str, ...]:
    return "good", "all is well"


def fails() -> tuple[str, ...]:
    raise OSError("no wind")


def fails_otherwise() -> tuple[str, ...]:
    raise TypeError("it is none")


def test_a_check_that_raises_does_not_stop_the_others() -> None:
    def ipcframe_doctor_checks() -> list[Any]:
        return [fails, fails_otherwise, good, lambda: ("bad", "a hole", "mend it")]

    assert verdicts(ipcframe_doctor_checks) == [
        ("note", "a check of plugin 0 failed: OSError: no wind", ""),
        (
            "note",
            "a check of plugin 0 failed: TypeError: it is none",
            "",
        ),
        ("good", "all is well", ""),
        ("bad", "a hole", "mend it"),
    ]


def test_a_plugin_that_raises_when_asked_does_not_stop_the_others() -> None:
    def raises() -> list[Any]:
        raise SystemExit("away")

    def answers() -> list[Any]:
        return [good]

    assert sorted(verdicts(raises, answers)) == [
        ("good", "all is well", ""),
        ("note", "plugin 0 has no checks: SystemExit: away", ""),
    ]


def test_the_hook_is_a_hook() -> None:
    manager = _plugins.new_manager()
    manager.register(doctor)
    assert isinstance(manager, pluggy.PluginManager)
    (checks,) = manager.hook.ipcframe_doctor_checks()
    assert all(callable(check) for check in checks)
