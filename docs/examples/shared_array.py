"""Compute on one array in several processes, without sending it: numpy over a shared Array.

    python shared_array.py

The array lies in memory that all processes map. Each worker smooths the rows of its own part and
adds what it has summed up to a Value, under its lock. `numpy.frombuffer` copies nothing.
"""

from multiprocessing import Array, Process, Value
from typing import Any

import numpy as np

ROWS, COLUMNS, WORKERS = 600, 400, 3


def view(shared: Any) -> Any:
    """The array as numpy sees it."""
    return np.frombuffer(shared.get_obj(), np.float64).reshape(ROWS, COLUMNS)


def smooth(shared: Any, total: Any, first: int, last: int) -> None:
    """Replace each row of a part by its running mean, and count what is in it."""
    rows = view(shared)[first:last]
    rows[:] = np.cumsum(rows, axis=1) / np.arange(1, COLUMNS + 1)
    with total.get_lock():
        total.value += float(rows.sum())


def main() -> None:
    """Fill the array, have the workers change it in place, and compare."""
    shared, total = Array("d", ROWS * COLUMNS), Value("d", 0.0)
    array = view(shared)
    array[:] = np.arange(ROWS * COLUMNS).reshape(ROWS, COLUMNS) % 97
    expected = np.cumsum(array, axis=1) / np.arange(1, COLUMNS + 1)

    parts = [(ROWS * part // WORKERS, ROWS * (part + 1) // WORKERS) for part in range(WORKERS)]
    workers = [Process(target=smooth, args=(shared, total, *part)) for part in parts]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    print("changed in place:", np.array_equal(array, expected))
    print("the sum of the workers:", np.isclose(total.value, expected.sum()))


if __name__ == "__main__":
    main()
