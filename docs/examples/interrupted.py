"""Interrupt a receiver again and again, in the middle of large messages; every message arrives.

    python interrupted.py

A timer raises KeyboardInterrupt, as Ctrl-C does, all the while. An interrupted recv of the standard
library's Pipe leaves the rest of a message in the stream, and what comes after it is garbage.
"""

from __future__ import annotations

import signal
from typing import Any

import ipcframe

MESSAGES = 100


def send_all(connection: ipcframe.Connection) -> None:
    """Send numbered messages of a million bytes."""
    for number in range(MESSAGES):
        connection.send((number, bytes(1_000_000)))


def main() -> None:
    """Receive, and begin again after each interrupt."""
    armed = False

    def interrupt(*_: Any) -> None:
        if armed:
            raise KeyboardInterrupt

    context = ipcframe.get_context("fork")
    ours, theirs = context.Pipe()
    child = context.Process(target=send_all, args=(theirs,))
    child.start()
    theirs.close()

    signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    received: list[int] = []
    interrupts = 0
    while len(received) < MESSAGES:
        try:
            armed = True
            number, _ = ours.recv()
            armed = False
            received.append(number)
        except KeyboardInterrupt:
            armed = False
            interrupts += 1
    signal.setitimer(signal.ITIMER_REAL, 0)
    child.join()

    if interrupts == 0:
        print("nothing was interrupted; try again")
    elif received == list(range(MESSAGES)):
        print("interrupted, and every message arrived, once and in order")
    else:
        raise SystemExit("messages were lost")


if __name__ == "__main__":
    main()
