"""Hand frames to workers through one queue, and take the results through another.

    python docs/examples/two_queues.py

The program gives its queues names, and says nothing of backends. A file may put each queue on one of its own:

    IPCFRAME_CONFIG=docs/examples/two_queues.toml python docs/examples/two_queues.py
"""

import ipcframe
from ipcframe.abc import Queue

WORKERS = 2
FRAMES = 6
WIDTH = 64


def brightness(frames: Queue, results: Queue) -> None:
    """Answer each frame with its number and mean, until None comes."""
    while (frame := frames.get()) is not None:
        number, pixels = frame
        results.put((f"frame {number}", sum(pixels) / len(pixels)))


def main() -> None:
    """Start the workers, hand out the frames, print the results in order."""
    context = ipcframe.get_context()
    frames, results = context.Queue(name="frames"), context.Queue(name="results")
    workers = [context.Process(target=brightness, args=(frames, results)) for _ in range(WORKERS)]
    for worker in workers:
        worker.start()

    for number in range(FRAMES):
        frames.put((number, bytes([40 * number]) * WIDTH))
    for _ in workers:
        frames.put(None)
    for name, mean in sorted(results.get(timeout=30) for _ in range(FRAMES)):
        print(f"{name}: brightness {mean:g}")

    for worker in workers:
        worker.join()
    print("exit codes:", *(worker.exitcode for worker in workers))


if __name__ == "__main__":
    main()
