"""``ipcframe run``: an unmodified program, with our objects in `multiprocessing`.

The program is run as `python` would run it: in a new ``__main__``, with its own ``sys.argv`` and first
entry of ``sys.path``, and what it fails with looks as it would without us.
"""

from __future__ import annotations

import argparse
import builtins
import io
import os
import runpy
import sys
import types
from collections.abc import Callable
from functools import partial
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import Any

from ..hookspecs import hookimpl
from . import named_file

__all__ = ["ipcframe_cli_commands"]


@hookimpl
def ipcframe_cli_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``run``."""
    parser = commands.add_parser(
        "run",
        help="run a program with our objects in multiprocessing",
        usage="ipcframe run [-h] [--backend B] [--start-method S] [--config FILE] [-v] "
        "(script.py | -m module) [args ...]",
        allow_abbrev=False,
    )
    parser.add_argument("--backend", metavar="B", help="the backend, or several to be tried in order: B,B")
    parser.add_argument("--start-method", metavar="S", help="the default start method of the program")
    named_file.add_option(parser)
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="say which names of multiprocessing are ours"
    )
    parser.add_argument("-m", dest="module", action="store_true", help="the program is a module's name")
    parser.add_argument("program", metavar="script.py|module")
    parser.add_argument("args", nargs=argparse.REMAINDER)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> Callable[[], int]:
    """Prepare everything; what is returned runs the program, whose errors are its own."""
    from .. import dropin

    named_file.settle(arguments.config)
    backend = arguments.backend.split(",") if arguments.backend else None
    dropin.install(backend=backend, start_method=arguments.start_method)
    if arguments.verbose:
        _say_which_is_which(dropin.survey())
    return partial(_run_program, arguments)


def _run_program(arguments: argparse.Namespace) -> int:
    sys.argv = [arguments.program, *arguments.args]
    main = types.ModuleType("__main__")
    # Under its second name too: children send back instances of the main module's classes by that.
    sys.modules["__main__"] = sys.modules["__mp_main__"] = main
    vars(main).update(__builtins__=builtins, __annotations__={})
    _hide_our_frames()
    if arguments.module:
        _run_module(arguments.program)
    else:
        _run_script(arguments.program, main)
    return 0


def _say_which_is_which(names: list[tuple[str, str]]) -> None:
    from ..context import installed

    spec = installed[0]
    print(
        f"ipcframe: backend {spec.backend.name} ({spec.backend.distribution} {spec.backend.version}), "
        f"start method {spec.start_method.name}",
        file=sys.stderr,
    )
    for owner in ("ipcframe", "multiprocessing"):
        print(f"  {owner}: {', '.join(name for name, whose in names if whose == owner)}", file=sys.stderr)


def _run_module(name: str) -> None:
    # As `python -m`: the working directory is the first place to look for modules.
    _put_first(str(Path.cwd()))
    runner: Any = runpy
    runner._run_module_as_main(name)


def _put_first(folder: str) -> None:
    if not sys.flags.safe_path:
        sys.path[0] = folder


def _run_script(program: str, main: types.ModuleType) -> None:
    path = Path(program)
    if path.is_dir() or _is_archive(path):
        _put_first(str(path.absolute()))
        runner: Any = runpy
        runner._run_module_as_main("__main__", alter_argv=False)
        return
    try:
        with io.open_code(str(path.absolute())) as file:
            source = file.read()
    except OSError as error:
        reason = f"[Errno {error.errno}] {error.strerror}"
        print(f"{sys.executable}: can't open file {str(path.absolute())!r}: {reason}", file=sys.stderr)
        raise SystemExit(2) from None
    _put_first(str(path.resolve().parent))
    name = str(path.absolute())
    vars(main).update(__file__=name, __cached__=None, __loader__=SourceFileLoader("__main__", name))
    exec(compile(source, name, "exec", dont_inherit=True), vars(main))  # noqa: S102 - it is what we are for


def _is_archive(path: Path) -> bool:
    import zipfile

    return path.is_file() and path.suffix != ".py" and zipfile.is_zipfile(path)


def _hide_our_frames() -> None:
    """Leave out of an uncaught exception's traceback what is above the program's own first line."""
    inner = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: types.TracebackType | None) -> None:
        sys.excepthook = inner
        kept = trace
        while kept is not None and _is_ours(kept.tb_frame.f_code.co_filename):
            kept = kept.tb_next
        # A mistake in the grammar of the program has no frame of its own.
        shown = kept if kept is not None or isinstance(error, SyntaxError) else trace
        inner(kind, error.with_traceback(shown), shown)

    sys.excepthook = hook


_OURS = tuple(
    os.fspath(path) for path in (Path(__file__).parents[1], "<frozen runpy>", Path(runpy.__file__ or "runpy"))
)


def _is_ours(filename: str) -> bool:
    return filename.startswith(_OURS) or Path(filename).name in ("ipcframe", "runpy.py")
