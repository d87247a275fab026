"""Add up a list in phases: every process waits for all the others before the next phase begins.

    python barrier_phases.py

Each of eight processes has one number. In a phase it adds the number that stands 1, then 2, then
4 places before its own; after the last phase each place holds the sum of all up to it. Nobody may
change a number before the others have read it, nor read the next before it is there: so all of
them meet at a barrier twice in each phase.
"""

from multiprocessing import Array, Barrier, Process
from typing import Any

NUMBERS = [3, 1, 4, 1, 5, 9, 2, 6]


def add_up(place: int, numbers: Any, barrier: Any) -> None:
    """Do one place's part of all phases."""
    distance = 1
    while distance < len(numbers):
        before = numbers[place - distance] if place >= distance else 0
        barrier.wait()  # all have read
        numbers[place] += before
        barrier.wait()  # all have written
        distance *= 2


def main() -> None:
    """Start a process for each number, and print the sums."""
    numbers = Array("i", NUMBERS, lock=False)  # each process writes its own place
    barrier = Barrier(len(NUMBERS))
    processes = [Process(target=add_up, args=(place, numbers, barrier)) for place in range(len(NUMBERS))]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    print("numbers:", *NUMBERS)
    print("sums:", *numbers)


if __name__ == "__main__":
    main()
