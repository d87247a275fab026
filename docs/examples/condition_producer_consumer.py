"""A producer and two consumers share a small buffer, and wait for each other with a Condition.

    python condition_producer_consumer.py

The buffer is an array of four numbers in shared memory. The producer waits while it is full, the
consumers while it is empty; whoever changes it notifies the others.
"""

from multiprocessing import Array, Condition, Process
from typing import Any

ITEMS = 1000
PLACES = 4
HEAD, COUNT, CLOSED, SUM = range(PLACES, PLACES + 4)  # behind the places


def produce(changed: Any, shared: Any) -> None:
    """Put the numbers into the buffer, one after the other, and close it."""
    for item in range(ITEMS):
        with changed:
            changed.wait_for(lambda: shared[COUNT] < PLACES)
            shared[(shared[HEAD] + shared[COUNT]) % PLACES] = item
            shared[COUNT] += 1
            changed.notify_all()
    with changed:
        shared[CLOSED] = 1
        changed.notify_all()


def consume(changed: Any, shared: Any) -> None:
    """Take numbers out, and add them up, until the buffer is closed and empty."""
    while True:
        with changed:
            changed.wait_for(lambda: shared[COUNT] or shared[CLOSED])
            if not shared[COUNT]:
                return
            shared[SUM] += shared[shared[HEAD]]
            shared[HEAD] = (shared[HEAD] + 1) % PLACES
            shared[COUNT] -= 1
            changed.notify_all()


def main() -> None:
    """Run the three, and check the sum."""
    changed = Condition()
    shared = Array("i", PLACES + 4, lock=False)  # guarded by the condition's lock
    processes = [Process(target=target, args=(changed, shared)) for target in (produce, consume, consume)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    print("sum of the items:", shared[SUM])
    print("as it should be:", sum(range(ITEMS)))


if __name__ == "__main__":
    main()
