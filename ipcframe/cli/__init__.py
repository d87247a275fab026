"""The command line: a module for each command; plugins may add commands.

Commands come through the hook `ipcframe_cli_commands`, the core's own included.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..errors import IpcframeError

if TYPE_CHECKING:
    import pluggy

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status: 2 for what the user can mend."""
    from . import screen

    words = sys.argv[1:] if argv is None else list(argv)
    parser = argparse.ArgumentParser(
        prog="ipcframe", description="multiprocessing with the transport as a plugin", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"ipcframe {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    try:
        arguments = _parsed(parser, commands, words)
        outcome: int | Callable[[], int] = arguments.run(arguments)
    except IpcframeError as error:
        print(screen.wrapped(str(error), "ipcframe: error: "), file=sys.stderr)
        return 2
    except BrokenPipeError:
        return 1  # whoever read our output has gone
    # A program is run out here: what it raises is not ours to report.
    return outcome if isinstance(outcome, int) else outcome()


def _parsed(
    parser: argparse.ArgumentParser,
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    words: list[str],
) -> argparse.Namespace:
    """The parsed words; the core's own commands need no configuration for that."""
    from .. import _plugins
    from . import backends, config, doctor, named_file, new_backend, run, screen

    manager = _plugins.new_manager()
    # The last registered is asked first, and stands first in the help.
    core = (new_backend, doctor, config, backends, run)
    for module in core:
        manager.register(module, module.__name__)
    manager.hook.ipcframe_cli_commands(commands=commands)
    asking = commands.choices["doctor"]
    named_file.add_option(asking)
    asking.set_defaults(asks_plugins=True)
    command = next((word for word in words if not word.startswith("-")), None)
    problems: list[IpcframeError] = []
    if command not in commands.choices:
        if command is not None:
            named_file.settle(None)
        problems = list(_register(manager))
        if problems and command is not None:
            raise problems[0]
        others = manager.subset_hook_caller("ipcframe_cli_commands", remove_plugins=core)
        others(commands=commands)
    arguments = parser.parse_args(words)
    if getattr(arguments, "asks_plugins", False):
        named_file.settle(arguments.config)
        problems = list(_register(manager))
    for problem in problems:
        print(screen.wrapped(str(problem), "ipcframe: left out: "), file=sys.stderr)
    arguments.hook = manager.hook
    return arguments


def _register(manager: pluggy.PluginManager) -> Iterator[IpcframeError]:
    """Have the plugins of the configuration answer too; yields the errors of those that do not work."""
    from .. import _plugins, config

    try:
        names: Any = config.effective()["plugins"]
    except IpcframeError as error:
        yield error
        return
    for name in names.value:
        try:
            offer = _plugins.find("plugin", names._replace(value=name))
            manager.register(_plugins.load(offer), f"{_plugins.KINDS['plugin'].group}:{offer.name}")
        except IpcframeError as error:
            yield error
