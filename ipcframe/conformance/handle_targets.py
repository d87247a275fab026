"""What the children of the cases of handles run; importable in any process, without pytest."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import ipcframe
from ipcframe.abc import Connection
from ipcframe.errors import HandleLost

from .conditions import open_descriptors
from .targets import wait_for_ever

__all__ = ["USES", "give", "take"]

PATIENCE = 20.0


def give(carrier: Any, obj: object) -> None:
    """Send it through a connection, or put it into a queue."""
    (carrier.send if isinstance(carrier, Connection) else carrier.put)(obj)


def take(carrier: Any) -> Any:
    """The next object of a connection, or of a queue."""
    return (carrier.recv if isinstance(carrier, Connection) else carrier.get)(timeout=PATIENCE)


def _double(queue: Any) -> object:
    queue.put(queue.get(timeout=PATIENCE) * 2)
    return "doubled"


def _echo(end: Connection) -> object:
    end.send(end.recv(timeout=PATIENCE) * 2)
    end.close()
    return "doubled"


def _pass_on(channel: Any) -> object:
    channel.send(channel.receive(timeout=PATIENCE) * 2)
    return "doubled"


USES: dict[str, Callable[[Any], object]] = {
    "Pipe": _echo,
    "receiver": lambda end: end.recv(timeout=PATIENCE),
    "sender": lambda end: end.send("sent"),
    "Channel": _pass_on,
    "queue": _double,
    "held": lambda obj: obj.acquire(timeout=0),
    "Event": lambda event: event.set(),
    "Barrier": lambda barrier: barrier.wait(PATIENCE),
    "events": lambda events: [event.set() for event in events] and None,
    "count": lambda obj: len(open_descriptors()),
}
"""What is done with a handle that has arrived."""


def use_each(carrier: Any, back: Connection) -> None:
    """Take handles, use each of them, and tell what came of it, until None comes."""
    while (got := take(carrier)) is not None:
        use, obj = got
        answer = USES[use](obj)
        del got, obj
        back.send(answer)


def give_ends(context: ipcframe.Context, carrier: Any, known: tuple[Any, ...], back: Connection) -> None:
    """Give the end of a new pair, a text, and objects that were arguments; then live until killed."""
    kept, end = context.Pipe()
    with kept, end:
        give(carrier, ["an end", end])
        give(carrier, "a text")
        give(carrier, known)
        back.send("given")
        wait_for_ever()


def give_own(context: ipcframe.Context, carrier: Any, count: int) -> None:
    """Give ends of new pairs whose other ends have a message in them, and end when all were taken."""
    kept = []
    for number in range(count):
        kept_end, end = context.Pipe()
        kept_end.send(number)
        give(carrier, end)
        end.close()
        kept.append(kept_end)
    for one in kept:
        assert one.recv(timeout=PATIENCE) == "taken"


def give_and_take_for_ever(context: ipcframe.Context, carrier: Any, back: Connection) -> None:
    """Give handles to oneself and others, and take what comes, until killed."""
    back.send("ready")
    while True:
        kept, end = context.Pipe()
        kept.send(os.getpid())
        carrier.put(end)
        end.close()
        carrier.put(context.Event())
        for _ in range(2):
            try:
                take(carrier)
            except HandleLost:
                continue
        kept.close()
