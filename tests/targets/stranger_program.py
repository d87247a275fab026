"""A manager and its clients in a program that knows multiprocessing, and nothing of ipcframe."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Callable
from multiprocessing.managers import BaseManager
from queue import Queue
from typing import Any

KEY = b"a key of tests"
queues: dict[str, Queue[Any]] = {}


def get_queue(name: str = "") -> Queue[Any]:
    """A queue of the server's process."""
    return queues.setdefault(name, Queue())


class Ticker:
    """Something to be managed."""

    def __init__(self) -> None:
        self.count = 0

    def tick(self) -> int:
        """Count."""
        self.count += 1
        return self.count


class Stranger(BaseManager):
    """A manager of the standard library's."""


Stranger.register("get_queue", callable=get_queue)
Stranger.register("Ticker", Ticker)


def serve_as_stranger() -> None:
    """Serve at an address that is printed, until the end."""
    server = Stranger(address=("127.0.0.1", 0), authkey=KEY).get_server()
    print(server.address[1], flush=True)  # type: ignore[index]
    server.serve_forever()


def ask_as_stranger(address: Any) -> None:
    """Connect to a server, take from its queue, put the answer back, and try what another key does."""
    multiprocessing.current_process().authkey = KEY
    manager: Any = Stranger(address=address)
    manager.connect()
    queue, ticker = manager.get_queue(), manager.Ticker()
    queue.put([queue.get() * 2, ticker.tick(), ticker.tick(), manager.get_queue()])
    try:
        Stranger(address=address, authkey=b"a guess").connect()
    except multiprocessing.AuthenticationError:
        print("refused")


PROGRAMS: dict[str, Callable[..., None]] = {
    "serve": serve_as_stranger,
    "ask": lambda port: ask_as_stranger(("127.0.0.1", int(port))),
    "ask abstract": lambda name: ask_as_stranger(bytes.fromhex(name)),
}

if __name__ == "__main__":
    PROGRAMS[sys.argv[1]](*sys.argv[2:])
