"""Sizes and durations, and what is said of those that are none."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcframe.errors import ConfigError
from ipcframe.settings import Duration, Setting, Size, Sourced, validated


@pytest.mark.parametrize(
    ("value", "size"),
    [
        (0, 0), (4096, 4096), ("0", 0), ("7", 7), ("4 KiB", 4096), ("64 MiB", 64 * 2**20), ("2GiB", 2**31),
        ("1.5 kB", 1500), ("1.5 GB", 1_500_000_000), (" 1 TiB ", 2**40), ("0.3 KiB", 307), ("1.9 B", 1),
        (2**63 - 1, 2**63 - 1), ("9223372036854775807", 2**63 - 1), ("9007199254740993", 2**53 + 1),
    ],
)  # fmt: skip
def test_sizes_have_units(value: object, size: int) -> None:
    assert Size(value) == size


@pytest.mark.parametrize(
    "value",
    [
        -1, "-1", "-1 KiB", "many", None, True, False, 1.5, 64.0, math.nan, "", " ", "1e3", "4 KiB!", "KiB",
        ".5 KiB", "1_000", "1,5 kB", "4 KiB 1 B", "٤ KiB", [1], {}, b"1", 2**63, "8388608 TiB",
        "1" * 31, "1" * 5000,
    ],
)  # fmt: skip
def test_what_is_no_size_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r'expected a size such as 65536, "64 KiB" or "1.5 GB"'):
        Size(value)


@pytest.mark.parametrize("unit", ["mib", "MIB", "Mib", "M", "mb", "KB", "kib", "bytes", "ms"])
def test_a_wrong_unit_of_a_size_is_told_the_units(unit: str) -> None:
    with pytest.raises(
        ValueError, match=f"not '64 {unit}': the units are B, KiB, MiB, GiB, TiB, kB, MB, GB, TB$"
    ):
        Size(f"64 {unit}")


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (0, 0.0), (3, 3.0), (0.25, 0.25), ("3", 3.0), ("0.5", 0.5), ("250 ms", 0.25), ("10us", 1e-5),
        ("2 min", 120.0), ("1.5 h", 5400.0),
    ],
)  # fmt: skip
def test_durations_have_units(value: object, seconds: float) -> None:
    assert Duration(value) == pytest.approx(seconds)
    assert type(Duration(value)) is float


@pytest.mark.parametrize(
    "value",
    [
        -1, -0.1, "-1 s", math.nan, math.inf, -math.inf, "nan", "inf", "soon", None, True, "", "1e3", [1],
        1e300, 10**400, "9999999999", "1" * 31, "9" * 30 + " h",
    ],
)  # fmt: skip
def test_what_is_no_duration_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r'expected a duration such as 0.25, "250 ms" or "5 min"'):
        Duration(value)


@pytest.mark.parametrize("unit", ["MS", "sec", "m", "seconds", "minutes", "ns", "d", "KiB"])
def test_a_wrong_unit_of_a_duration_is_told_the_units(unit: str) -> None:
    with pytest.raises(ValueError, match=f"not '5 {unit}': the units are us, ms, s, min, h$"):
        Duration(f"5 {unit}")


@given(st.integers(0, 2**62), st.sampled_from(["", " B", "B"]))
def test_a_number_of_bytes_is_exact(number: int, unit: str) -> None:
    assert Size(f"{number}{unit}") == number == Size(number)


DECLARED = (
    Setting("queue_limit", Size, 1024, "bytes that a queue holds"),
    Setting("patience", Duration, None, "how long it waits"),
)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        (
            "queue_limits",
            1,
            ["no setting 'queue_limits' (line 3)", "did you mean 'queue_limit'? its settings: pat"],
        ),
        ("colour", 1, ["no setting 'colour' (line 3)", "\n  its settings: patience, queue_limit"]),
        (
            "queue_limit",
            "64 mib",
            ["'queue_limit' of the backend 'x' (line 3): expected a size", "bytes that a"],
        ),
        (
            "patience",
            -1,
            ["'patience' of the backend 'x' (line 3): expected a duration", "how long it waits"],
        ),
        ("patience", 10**400, ["'patience' of the backend 'x' (line 3): expected a duration"]),
    ],
)
def test_a_wrong_setting_is_told_with_its_source_and_what_was_expected(
    key: str, value: object, words: list[str]
) -> None:
    with pytest.raises(ConfigError) as caught:
        validated("the backend 'x'", DECLARED, {key: Sourced(value, "line 3")})
    for part in words:
        assert part in str(caught.value)


def test_a_type_that_raises_arithmetic_errors_is_told_too() -> None:
    def inverse(value: Any) -> float:
        return float(1 / value)

    with pytest.raises(ConfigError, match="division by zero"):
        validated("x", (Setting("share", inverse, 1.0, "a share"),), {"share": Sourced(0, "line 3")})
