"""Map a function over files with a pool of processes.

    python pool_map.py                  every .py file of the package json
    python pool_map.py --files src      another tree

Each worker reads whole files and returns a small record; the pool hands the records back in the
order of the paths. The sum does not depend on who did what. A file that cannot be read makes `map`
raise, in the parent, what the worker got.
"""

import argparse
import json
import zlib
from multiprocessing import Pool
from pathlib import Path
from typing import NamedTuple


class Record(NamedTuple):
    """What is told of a file: its lines, its bytes, and how many of them remain compressed."""

    lines: int
    size: int
    compressed: int


def read(path: Path) -> Record:
    """Read one file."""
    content = path.read_bytes()
    return Record(content.count(b"\n"), len(content), len(zlib.compress(content)))


def main() -> None:
    """Read the command line, map, and print the table."""
    parser = argparse.ArgumentParser(description="Tell of each file its lines, bytes and compressed bytes.")
    parser.add_argument("--files", metavar="DIR", type=Path, default=Path(json.__file__).parent)
    options = parser.parse_args()
    paths = sorted(options.files.rglob("*.py"))

    with Pool(3) as pool:
        records = pool.map(read, paths, chunksize=1)
        try:
            pool.map(read, [options.files / "no such file"])
        except FileNotFoundError as error:
            print("raised by a worker:", error.strerror)

    for path, record in zip(paths, records, strict=True):
        print(f"{path.name:<14} {record.lines:>6} lines, {100 * record.compressed // record.size:>3} %")
    print("lines in all:", sum(record.lines for record in records))
    print("the same as one process:", records == [read(path) for path in paths])


if __name__ == "__main__":
    main()
