"""Hand jobs to whichever worker is free, over a channel.

    python channel_tutorial.py

A channel carries packets from any process to any process that holds it; each packet is taken
whole, by exactly one of them. Packets are small (`packet_size`): this one carries numbers.
"""

import ipcframe

JOBS = 20


def work(jobs: ipcframe.Channel, results: ipcframe.Channel) -> None:
    """Square numbers, until told to stop."""
    while (job := jobs.receive()) != b"stop":
        results.send(b"%d" % (int(job) ** 2))


def main() -> None:
    """Start three workers on two channels."""
    context = ipcframe.get_context()
    jobs, results = context.Channel(name="jobs"), context.Channel(name="results")
    workers = [context.Process(target=work, args=(jobs, results)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for number in range(JOBS):
        jobs.send(b"%d" % number, timeout=30)
    total = sum(int(results.receive(timeout=30)) for _ in range(JOBS))
    for _ in workers:
        jobs.send(b"stop")
    for worker in workers:
        worker.join()
    print("sum of squares:", total)


if __name__ == "__main__":
    main()
