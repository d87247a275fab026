"""A program that configures and registers where it is imported, as its spawned children do again."""

import plugin_targets

import ipcframe

ipcframe.configure(backend="pipe")
ipcframe.register(plugin_targets.marked, name="marked")


def answer(conn: ipcframe.Connection) -> None:
    conn.send(type(ipcframe.get_context(backend="marked").Pipe(False)[0]).__name__)


if __name__ == "__main__":
    ctx = ipcframe.get_context("spawn")
    ours, theirs = ctx.Pipe()
    child = ctx.Process(target=answer, args=(theirs,))
    child.start()
    theirs.close()
    print(ours.recv(timeout=30))
    child.join()
