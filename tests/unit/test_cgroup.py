"""What control groups leave this process, read from files that are made up."""

from __future__ import annotations

from pathlib import Path

import pytest

from ipcframe.toolkit import cgroup, memory

PHYSICAL = 1 << 34


@pytest.fixture
def member(tmp_path: Path) -> Path:
    return tmp_path / "membership"


def write(folder: Path, **files: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in files.items():
        (folder / name.replace("__", ".")).write_text(f"{value}\n")


def limits(tmp_path: Path) -> tuple[int, int] | None:
    return cgroup.memory(PHYSICAL, str(tmp_path), str(tmp_path / "membership"))


def test_the_tightest_group_up_to_the_root_counts(tmp_path: Path, member: Path) -> None:
    member.write_text("0::/outer/inner\n")
    write(tmp_path / "outer", memory__max=1000, memory__current=900)
    write(tmp_path / "outer" / "inner", memory__max="max", memory__current=10)
    assert limits(tmp_path) == (1000, 100)
    write(tmp_path / "outer" / "inner", memory__max=50, memory__current=60)
    assert limits(tmp_path) == (50, 0)


def test_the_first_version_is_read_too(tmp_path: Path, member: Path) -> None:
    member.write_text("5:cpu,cpuacct:/x\n4:memory:/x\n0::/\n")
    write(tmp_path / "memory" / "x", memory__limit_in_bytes=4096, memory__usage_in_bytes=96)
    write(tmp_path / "memory", memory__limit_in_bytes=(1 << 63) - 4096, memory__usage_in_bytes=5000)
    assert limits(tmp_path) == (4096, 4000)


def test_a_path_of_the_host_means_the_containers_own_root(tmp_path: Path, member: Path) -> None:
    member.write_text("4:memory:/docker/0123\n")
    write(tmp_path / "memory", memory__limit_in_bytes=4096, memory__usage_in_bytes=96)
    assert limits(tmp_path) == (4096, 4000)


def test_no_limit_is_none(tmp_path: Path, member: Path) -> None:
    assert limits(tmp_path) is None
    member.write_text("0::/gone\n")
    write(tmp_path, memory__max="max", memory__current=5)
    assert limits(tmp_path) is None


def test_a_limit_bounds_what_is_available(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 0 < memory.available() <= memory.physical_memory()
    monkeypatch.setattr(cgroup, "memory", lambda physical: (2000, 1234))
    assert memory.available() == 1234
