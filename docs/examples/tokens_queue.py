"""Count the tokens of Python files with worker processes that take their paths from a queue.

    python tokens_queue.py                            every .py file of the standard library
    python tokens_queue.py --workers 4 --limit 200    four workers, the first 200 files
    python tokens_queue.py --files src                another tree

All workers take paths from one queue and put (path, tokens) into another; None ends a worker.
Each says on the standard error stream what it has counted, under a lock, so that no line is torn
by another. What is printed at the end does not depend on who did what: the largest files, and
the sum. A file that cannot be tokenized counts 0 tokens. The exit status is 1 if a worker dies.
"""

import argparse
import os
import queue
import sys
import sysconfig
import tokenize
from multiprocessing import Lock, Process, Queue
from pathlib import Path
from typing import Any

LARGEST = 5


def count_tokens(path: str) -> int:
    """Count one file's tokens: 0 if it cannot be tokenized, otherwise at least 2."""
    try:
        with Path(path).open("rb") as file:
            return sum(1 for _ in tokenize.tokenize(file.readline))
    except (SyntaxError, tokenize.TokenError, UnicodeDecodeError, OSError):
        return 0


def work(
    name: str, paths: "Queue[str | None]", counts: "Queue[tuple[str, int]]", printing: Any, quiet: bool
) -> None:
    """Count the files whose paths come, until None comes."""
    while (path := paths.get()) is not None:
        tokens = count_tokens(path)
        counts.put((path, tokens))
        if not quiet:
            with printing:
                for part in (name, ": ", str(tokens), " tokens in ", path, "\n"):
                    sys.stderr.write(part)
                sys.stderr.flush()


def collect(counts: "Queue[tuple[str, int]]", expected: int, workers: list[Process]) -> dict[str, int]:
    """Take all counts; end the program if a worker dies before that."""
    found: dict[str, int] = {}
    while len(found) < expected:
        try:
            path, tokens = counts.get(timeout=1)
            found[path] = tokens
        except queue.Empty:
            for worker in workers:
                if worker.exitcode:
                    sys.exit(f"tokens_queue.py: {worker.name} died with exit code {worker.exitcode}")
    return found


def count_in_workers(files: list[str], number: int, *, quiet: bool) -> dict[str, int]:
    """Count all files' tokens in several processes."""
    paths: Queue[str | None] = Queue()
    counts: Queue[tuple[str, int]] = Queue()
    printing = Lock()
    workers = []
    for index in range(number):
        name = f"worker {index + 1}"
        workers.append(Process(target=work, args=(name, paths, counts, printing, quiet), name=name))
    try:
        for worker in workers:
            worker.start()
        for path in [*files, *[None] * number]:
            paths.put(path)
        found = collect(counts, len(files), workers)
        for worker in workers:
            worker.join()
    finally:
        for worker in workers:
            if worker.pid is not None:
                worker.terminate()  # does nothing to one that has been joined
                worker.join()
    return found


def find_files(directory: Path) -> list[str]:
    """List the .py files below a directory, sorted, without site-packages."""
    found = (f.relative_to(directory) for f in directory.rglob("*.py") if f.is_file())
    return sorted(str(directory / f) for f in found if "site-packages" not in f.parts)


def main() -> None:
    """Read the command line, count, and print the summary."""
    parser = argparse.ArgumentParser(description="Count the tokens of Python files.")
    parser.add_argument("--workers", type=int, metavar="N", default=os.cpu_count() or 1)
    parser.add_argument("--files", metavar="DIR", default=sysconfig.get_path("stdlib"))
    parser.add_argument("--limit", type=int, metavar="N", default=sys.maxsize)
    parser.add_argument("--quiet", action="store_true", help="no line for each file on stderr")
    options = parser.parse_args()
    if min(options.workers, options.limit) < 1:
        parser.error("--workers and --limit must be at least 1")
    if not (files := find_files(Path(options.files))[: options.limit]):
        parser.error(f"no .py files in {options.files}")

    counts = count_in_workers(files, min(options.workers, len(files)), quiet=options.quiet)
    for path in sorted(counts, key=lambda path: (-counts[path], path))[:LARGEST]:
        print(f"{counts[path]:>8} {path}")
    print(f"files:  {len(counts)} ({list(counts.values()).count(0)} skipped)")
    print(f"tokens: {sum(counts.values())}")


if __name__ == "__main__":
    main()
