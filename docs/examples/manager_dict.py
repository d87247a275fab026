"""Keep one dict and one list for several processes in a manager's process.

    python manager_dict.py

Everybody holds proxies. To read a number and write it back, one needs a lock around both. A value
that is changed in place (a list in the dict) is changed in a copy, so it is assigned again.
"""

from multiprocessing import Manager, Process
from typing import Any

TEXTS = ["the quick brown fox", "the lazy dog", "the fox and the dog"]


def count(text: str, counts: Any, places: Any, finished: Any, lock: Any) -> None:
    """Count the words of one text."""
    for place, word in enumerate(text.split()):
        with lock:
            counts[word] = counts.get(word, 0) + 1
            places[word] = [*places.get(word, []), place]
    finished.append(len(text))


def main() -> None:
    """Give each text to a process, and print what they have counted together."""
    with Manager() as manager:
        counts, places = manager.dict(), manager.dict()
        finished, lock = manager.list(), manager.Lock()
        workers = [Process(target=count, args=(text, counts, places, finished, lock)) for text in TEXTS]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        for word, times in sorted(counts.items()):
            print(f"{word:<6} {times} {sorted(places[word])}")
        print("characters:", sum(finished))


if __name__ == "__main__":
    main()
