"""Which configuration file a command reads: the one that is named, or else ``./ipcframe.toml``.

The command line alone looks into its working directory, for a file names plugins, and plugins are code. It
takes the file only if nobody but this user and root can have written it, and says so.
"""

from __future__ import annotations

import argparse
import errno
import os
import stat
import sys
from pathlib import Path

from .. import config
from ..settings import Sourced

__all__ = ["add_option", "settle"]

_NAME = "ipcframe.toml"
_SHOWN = f"./{_NAME}"


def add_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--config FILE``."""
    parser.add_argument(
        "--config",
        metavar="FILE",
        help=f"the configuration file; by default that of IPCFRAME_CONFIG, or else {_SHOWN}",
    )


def settle(named: str | None) -> None:
    """Have the configuration come from this file, or else from the variable's, or else from ours here.

    Raises `ConfigError` for a mistake in the last one.
    """
    if named:
        # In the variable, for what the program starts by other means than ours.
        os.environ["IPCFRAME_CONFIG"] = str(Path(named).absolute())
    elif not os.environ.get("IPCFRAME_CONFIG"):
        _look_here()


def _look_here() -> None:
    try:
        # What is opened is what is looked at; and opening a fifo does not wait.
        fd = os.open(_NAME, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    except OSError as error:
        _leave("it is a symbolic link" if error.errno == errno.ELOOP else f"{error.strerror}")
        return
    try:
        objection = _objection(os.fstat(fd), os.stat("."))  # noqa: PTH116 - it is no path but where we are
        if objection:
            _leave(objection)
            return
        with os.fdopen(fd, "rb", closefd=False) as file:
            data = file.read()
    finally:
        os.close(fd)
    print(f"ipcframe: the configuration is that of {_SHOWN}; --config names another", file=sys.stderr)
    config.take_file(Sourced(_SHOWN, "the command line, in its working directory"), data)


def _leave(objection: str) -> None:
    print(f"ipcframe: {_SHOWN} is not taken: {objection}", file=sys.stderr)
    print(f"  if you trust it: --config {_NAME}", file=sys.stderr)


def _objection(file: os.stat_result, folder: os.stat_result) -> str | None:
    """Why somebody else may have written the file, or put it there."""
    if not stat.S_ISREG(file.st_mode):
        return "it is no ordinary file"
    for status, what, typed in ((file, "it", _NAME), (folder, "its folder", ".")):
        if status.st_uid not in (os.geteuid(), 0):
            return f"{what} belongs to user {status.st_uid}, who is neither you nor root"
        # An access control list shows in the bits of the group.
        if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            return f"others may write {'to ' if what != 'it' else ''}{what} (chmod go-w {typed} forbids it)"
    return None
