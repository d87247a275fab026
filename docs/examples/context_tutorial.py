"""Give work to a child process through a context, and survive what may happen to it.

    python context_tutorial.py
    IPCFRAME_BACKEND=pipe python context_tutorial.py

The first child answers. The second fails, and its parent finds out why. The third is
killed, and nobody waits for it.
"""

import ipcframe


def work(connection: ipcframe.Connection) -> None:
    """Answer numbers with their inverse, until the other end is closed."""
    while True:
        try:
            number = connection.recv()
        except EOFError:
            return
        connection.send(1 / number)


def main() -> None:
    """Start three children, one after the other."""
    context = ipcframe.get_context("spawn")

    ours, theirs = context.Pipe(name="numbers")
    child = context.Process(target=work, args=(theirs,))
    child.start()
    theirs.close()  # the child has its own
    ours.send(8)
    print("answer:", ours.recv(timeout=30))
    try:
        ours.recv(timeout=0.1)
    except TimeoutError:
        print("no second answer")
    ours.close()
    child.join()
    print("exit code:", child.exitcode)

    ours, theirs = context.Pipe(name="numbers")
    child = context.Process(target=work, args=(theirs,))
    child.start()
    theirs.close()
    ours.send(0)
    try:
        ours.recv(timeout=30)
    except EOFError:
        child.join()
        print("the child failed:", repr(child.exception))

    ours, theirs = context.Pipe(name="numbers")
    child = context.Process(target=work, args=(theirs,))
    child.start()
    theirs.close()
    child.kill()
    try:
        ours.recv()
    except EOFError:
        child.join()
        print("the child was killed by signal", -(child.exitcode or 0))


if __name__ == "__main__":
    main()
