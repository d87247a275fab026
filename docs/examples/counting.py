"""An observer as an object: it counts the objects that a program makes.

    python counting.py

An object that cannot be imported observes the process that registered it, and forked children;
a child that must import it cannot be started. Register a module where children are to be observed.
"""

from collections import Counter

import ipcframe


class Counting:
    """Counts what is created, by kind."""

    def __init__(self) -> None:
        self.created: Counter[str] = Counter()

    @ipcframe.hookimpl
    def ipcframe_object_created(self, kind: str) -> None:
        """Count; of the hook's arguments this one is enough."""
        self.created[kind] += 1


def main() -> None:
    counting = Counting()
    ipcframe.register(counting, name="counting")
    context = ipcframe.get_context()
    context.Pipe()
    context.Channel()
    context.Queue()
    context.Lock()
    print(dict(counting.created))


if __name__ == "__main__":
    main()
