"""An application, which knows nothing of this backend: processes count words, and report to a connection."""

from __future__ import annotations

from collections import Counter
from typing import Any

from ipcframe import Context
from ipcframe.abc import Connection, Queue


def count_words(texts: Queue, report: Connection) -> None:
    """A worker: count the words of each text until there is None; report each count, and then end."""
    with report:
        for text in iter(texts.get, None):
            report.send(Counter(text.split()))


class WordCount:
    """The other side: it hands texts to the worker, and adds up what comes back."""

    def __init__(self, context: Context, waiting: int = 10) -> None:
        self.texts = context.Queue(waiting, name="texts")
        self.counts, self.report = context.Pipe(duplex=False, name="counts")

    @property
    def worker(self) -> tuple[Any, ...]:
        """What the worker runs, and on what."""
        return count_words, (self.texts, self.report)

    def total(self) -> Counter[str]:
        """All words, when the worker has ended."""
        found: Counter[str] = Counter()
        try:
            while True:
                found += self.counts.recv()
        except EOFError:
            return found


def main() -> None:
    """The program itself: its worker is a process."""
    import ipcframe

    context = ipcframe.get_context()
    words = WordCount(context)
    target, args = words.worker
    process = context.Process(target=target, args=args)
    process.start()
    words.report.close()
    for text in ("to be or", "not to be", None):
        words.texts.put(text)
    print(words.total())
    process.join()


if __name__ == "__main__":
    main()
