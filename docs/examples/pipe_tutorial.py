"""Send an object to another process, and print its answer.

    python pipe_tutorial.py

A pipe has two ends. The parent keeps one and gives the other to its child; any
object that can be pickled may be sent, in both directions.
"""

from multiprocessing import Pipe, Process
from multiprocessing.connection import Connection


def answer(connection: Connection) -> None:
    """Receive one list and send it back reversed."""
    items = connection.recv()
    connection.send(items[::-1])
    connection.close()


def main() -> None:
    """Talk to one child process and wait for its end."""
    parent_end, child_end = Pipe()
    child = Process(target=answer, args=(child_end,))
    child.start()
    child_end.close()  # the child has its own now

    parent_end.send([42, None, "hello"])
    print("answer:", parent_end.recv())

    child.join()
    print("exit code:", child.exitcode)


if __name__ == "__main__":
    main()
