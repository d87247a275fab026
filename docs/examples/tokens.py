"""Count the tokens of Python files with several worker processes.

Without options it reads every .py file of Python's own standard library:

    python tokens.py                          one worker for each processor
    python tokens.py --workers 4 --limit 200  four workers, the first 200 files
    python tokens.py --files src --no-check   another tree, no second count

Each worker has a pipe to the parent, which sends it one path at a time. The
worker answers (path, tokens) and is given the next path; None ends it. A file
that cannot be tokenized (bad syntax, bad encoding) counts 0 tokens and is
reported as skipped.

Afterwards everything is counted again in one process, to check the result and
to show the speedup. The exit status is 1 if the counts differ or a worker dies.
"""

import argparse
import contextlib
import os
import sys
import sysconfig
import time
import tokenize
from collections.abc import Iterator, Sequence
from multiprocessing import Pipe, Process, get_start_method
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import NamedTuple, NoReturn


class Worker(NamedTuple):
    """A worker process and the parent's end of the pipe to it."""

    process: Process
    connection: Connection


def count_tokens(path: str) -> int:
    """Count one file's tokens: 0 if it cannot be tokenized, otherwise at least 2."""
    try:
        with Path(path).open("rb") as file:
            return sum(1 for _ in tokenize.tokenize(file.readline))
    except (SyntaxError, tokenize.TokenError, UnicodeDecodeError, OSError):
        return 0


def work(connection: Connection, inherited: Sequence[Connection]) -> None:
    """Answer paths with (path, tokens), until None comes or the parent is gone."""
    for other in inherited:
        other.close()
    with contextlib.suppress(EOFError, ConnectionError, KeyboardInterrupt):
        while (path := connection.recv()) is not None:
            connection.send((path, count_tokens(path)))


def start_worker(name: str, earlier: Sequence[Worker]) -> Worker:
    """Start a worker, leaving each process only its own ends of the pipes."""
    ours, theirs = Pipe()
    # A forked child has copies of all the parent's ends, and must close them: while
    # one is open anywhere, the worker at the other end cannot see the parent die.
    forked = get_start_method() == "fork"
    inherited = [ours, *(worker.connection for worker in earlier)] if forked else []
    process = Process(target=work, args=(theirs, inherited), name=name)
    process.start()
    theirs.close()  # from now on, the worker's death is an EOFError here
    return Worker(process, ours)


def give_next(worker: Worker, waiting: Iterator[str]) -> bool:
    """Send the next path, or None (and return False) if there are no more."""
    path = next(waiting, None)
    with contextlib.suppress(ConnectionError):  # a death is noticed when receiving
        worker.connection.send(path)
    return path is not None


def exchange(workers: list[Worker], paths: list[str], *, quiet: bool) -> dict[str, int]:
    """Keep each worker busy with one path at a time, and collect the answers."""
    counts: dict[str, int] = {}
    waiting = iter(paths)
    busy = [worker for worker in workers if give_next(worker, waiting)]
    while busy:
        ready = wait([worker.connection for worker in busy])
        for worker in [worker for worker in busy if worker.connection in ready]:
            try:
                path, tokens = worker.connection.recv()
            except (EOFError, OSError):
                exit_for_death(worker.process)
            counts[path] = tokens
            if not quiet:
                show_progress(len(counts), len(paths))
            if not give_next(worker, waiting):
                busy.remove(worker)
    return counts


def exit_for_death(process: Process) -> NoReturn:
    """Say which worker died, and how, and end the program with status 1."""
    process.join(timeout=5)
    sys.exit(f"tokens.py: {process.name} died with exit code {process.exitcode}")


def count_in_workers(paths: list[str], number: int, *, quiet: bool) -> dict[str, int]:
    """Count all files' tokens in several processes."""
    workers: list[Worker] = []
    try:
        for index in range(number):
            workers.append(start_worker(f"worker {index + 1}", workers))
        counts = exchange(workers, paths, quiet=quiet)
        for process, _ in workers:
            process.join()
            if process.exitcode != 0:
                exit_for_death(process)
    finally:
        for process, connection in workers:
            process.terminate()  # does nothing to one that has been joined
            process.join()
            connection.close()
    return counts


def show_progress(done: int, total: int) -> None:
    """Update one line on a terminal; otherwise print a line for each 10 %."""
    terminal = sys.stderr.isatty()
    steps = 100 if terminal else 10
    if done * steps // total > (done - 1) * steps // total:
        end = "\r" if terminal and done < total else "\n"
        print(f"{done} of {total} files", end=end, file=sys.stderr, flush=True)


def find_files(directory: Path) -> list[str]:
    """List the .py files below a directory, sorted, without site-packages."""
    found = (f.relative_to(directory) for f in directory.rglob("*.py") if f.is_file())
    return sorted(str(directory / f) for f in found if "site-packages" not in f.parts)


def main() -> None:
    """Read the command line, count, print the summary and check it."""
    parser = argparse.ArgumentParser(description="Count the tokens of Python files.")
    parser.add_argument("--workers", type=int, metavar="N", default=os.cpu_count() or 1)
    parser.add_argument("--files", metavar="DIR", default=sysconfig.get_path("stdlib"))
    parser.add_argument("--limit", type=int, metavar="N", default=sys.maxsize)
    parser.add_argument("--no-check", action="store_true", help="skip the second count")
    parser.add_argument("--quiet", action="store_true", help="no progress on stderr")
    options = parser.parse_args()
    if min(options.workers, options.limit) < 1:
        parser.error("--workers and --limit must be at least 1")
    if not (paths := find_files(Path(options.files))[: options.limit]):
        parser.error(f"no .py files in {options.files}")
    number = min(options.workers, len(paths))

    start = time.perf_counter()
    counts = count_in_workers(paths, number, quiet=options.quiet)
    seconds = time.perf_counter() - start
    skipped = sum(tokens == 0 for tokens in counts.values())
    print(f"files:   {len(counts)} ({skipped} skipped)")
    print(f"tokens:  {sum(counts.values())}")
    print(f"seconds: {seconds:.2f} ({number} workers, {get_start_method()})")
    if options.no_check:
        return
    if not options.quiet:
        print("checking in one process", file=sys.stderr)
    start = time.perf_counter()
    if {path: count_tokens(path) for path in paths} != counts:
        sys.exit("check: NOT the same as one process")
    one = time.perf_counter() - start
    print(f"check: the same as one process ({one:.2f} s, speedup {one / seconds:.2f})")


if __name__ == "__main__":
    main()
