"""Each row of the benchmark runs, and what arrives is right; nothing here looks at a clock."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parent
sys.path.insert(0, str(BENCH))

from pairing import Absolute, Paired, lower_bound, measure_row  # noqa: E402
from rows import TARGETS, all_rows  # noqa: E402
from scale import Scale  # noqa: E402

ROWS = all_rows(Scale.smoke())


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_row_yields_a_ratio(row: Paired | Absolute) -> None:
    result = measure_row(row, 1)
    assert result.ratio > 0
    assert result.reference >= 0
    assert result.ours >= 0
    assert (result.aa is not None) is isinstance(row, Paired)


@pytest.mark.parametrize("backend", TARGETS)
def test_a_backends_own_targets_are_those_of_its_rows(backend: str) -> None:
    rows = {row.name: row.target for row in all_rows(Scale(backend=backend))}
    assert TARGETS[backend].items() <= rows.items()


def test_the_semaphores_of_decision_23_are_compared() -> None:
    command = [sys.executable, str(BENCH / "semaphores.py"), "--smoke"]
    printed = subprocess.run(command, text=True, capture_output=True, check=True).stdout
    eventfds, derived = re.findall(r"1000: eventfd (\d+), derived (\d+)", printed)[0]
    assert int(eventfds) == 1000 > 20 * int(derived)


def test_the_program_writes_its_table_and_its_file(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    arguments = ("--smoke", "--rows", "64 bytes", "--rounds", "2", "--json", str(file))
    done = subprocess.run(
        [sys.executable, str(BENCH / "bench.py"), *arguments], text=True, capture_output=True, check=True
    )
    names = [result["name"] for result in json.loads(file.read_text())["results"]]
    assert names == [f"round trip, 64 bytes{where}" for where in ("", ", one core", ", a core each")]
    for name in ("verdict", *names):
        assert name in done.stdout


def test_the_lower_bound_is_the_order_statistic_that_the_binomial_allows() -> None:
    values = [float(value) for value in range(1, 16)]
    assert lower_bound(values) == 5.0  # fewer than 5 of 15 below the median: 5.9 %; fewer than 6: 15 %
    assert (
        sum(math.comb(15, k) for k in range(5)) / 2**15
        < 0.1
        < sum(math.comb(15, k) for k in range(6)) / 2**15
    )
    assert lower_bound([3.0, 1.0, 2.0]) == 1.0
    assert lower_bound([7.0]) == 7.0
