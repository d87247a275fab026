"""A program whose spawned child unpickles a connection and a context, and says what that has loaded."""

import sys

from pipe_targets import answer_heavy_modules, heavy_modules

import ipcframe

if __name__ == "__main__":
    ctx = ipcframe.get_context("spawn", backend="pipe")
    ours, theirs = ctx.Pipe()
    child = ctx.Process(target=answer_heavy_modules, args=(theirs,), kwargs={})
    child.start()
    sys.stdout.write(f"{ours.recv(timeout=30)} {bool(heavy_modules())}")
    child.join()
