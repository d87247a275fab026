"""Give work to several processes through a queue, and collect what they answer through another.

    python queue_tutorial.py

The parent puts numbers into one queue and takes their squares out of the other. Any worker
may get any number, so the answers come in any order; None tells a worker to stop.
"""

from multiprocessing import Process, Queue

WORKERS = 3
NUMBERS = range(1, 11)


def work(numbers: "Queue[int | None]", squares: "Queue[tuple[int, int]]") -> None:
    """Square numbers until None comes."""
    while (number := numbers.get()) is not None:
        squares.put((number, number**2))


def main() -> None:
    """Start the workers, hand out the numbers, print the squares in order."""
    numbers: Queue[int | None] = Queue()
    squares: Queue[tuple[int, int]] = Queue()
    workers = [Process(target=work, args=(numbers, squares)) for _ in range(WORKERS)]
    for worker in workers:
        worker.start()

    for number in NUMBERS:
        numbers.put(number)
    for _ in workers:
        numbers.put(None)
    answers = dict(squares.get() for _ in NUMBERS)

    for worker in workers:
        worker.join()
    print("squares:", *(answers[number] for number in NUMBERS))
    print("exit codes:", *(worker.exitcode for worker in workers))


if __name__ == "__main__":
    main()
