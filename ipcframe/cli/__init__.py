"""The command line: ``ipcframe run``, ``backends`` and ``doctor``; plugins may add commands.

Commands come through the hook `ipcframe_cli_commands`, the core's own included.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from .. import __version__
from ..errors import IpcframeError

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status: 2 for what the user can mend."""
    parser = argparse.ArgumentParser(
        prog="ipcframe", description="multiprocessing with the transport as a plugin", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"ipcframe {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    try:
        _add_commands(commands)
        arguments = parser.parse_args(argv)
        outcome: int | Callable[[], int] = arguments.run(arguments)
    except IpcframeError as error:
        print(f"ipcframe: error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        return 1  # whoever read our output has gone
    # A program is run out here: what it raises is not ours to report.
    return outcome if isinstance(outcome, int) else outcome()


def _add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from .. import _plugins, config
    from . import backends, doctor, run

    manager = _plugins.new_manager()
    # The last registered is asked first: the core's commands stand first in the help.
    names = config.effective()["plugins"]
    for name in names.value:
        offer = _plugins.find("plugin", names._replace(value=name))
        manager.register(_plugins.load(offer), f"{_plugins.KINDS['plugin'].group}:{offer.name}")
    for module in (doctor, backends, run):
        manager.register(module, module.__name__)
    manager.hook.ipcframe_cli_commands(commands=commands)
    for parser in commands.choices.values():
        parser.set_defaults(hook=manager.hook)
