"""Process over a StartMethod, and what goes along into the child.

A Process is the standard library's `BaseProcess`: its behaviour is kept, and only how it is launched is
ours. The exception that ends it reaches the parent as `Process.exception`.
"""

from __future__ import annotations

import contextlib
import multiprocessing.process
import operator
import os
import pickle
import sys
from functools import partial
from multiprocessing import spawn
from multiprocessing.process import BaseProcess, active_children, current_process, parent_process

from . import _boot
from .toolkit.lifeline import close_sentinels, end_with_parent, forking
from .toolkit.memory import anonymous_file

TYPE_CHECKING = False  # every child imports this module, and typing, tempfile or traceback seldom
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, SupportsIndex

    from .context import Context
    from .toolkit.handoff import Passed

__all__ = [
    "BaseProcess",
    "Parcel",
    "Process",
    "active_children",
    "current_process",
    "parent_process",
    "process_class",
]

_LONGEST_TEXT = 64 * 1024
_standard: Any = multiprocessing.process


class Process(multiprocessing.process.BaseProcess):
    """A process of the default context; ``context.Process`` is the same class for another one.

    Everything is as in `multiprocessing.Process`; in addition the parent finds in `exception` what ended
    the child.
    """

    _start_method: str | None = None
    _report: _Report | None = None
    _popen: Any
    _closed: bool
    _home: Context | None = None
    _announced = False
    _sibling = False
    """Seen from a child that was forked later by the same parent."""
    _generated_for: Any = None

    @staticmethod
    def _context() -> Context:
        from .context import default_context

        return default_context()

    @staticmethod
    def _Popen(process_obj: Any) -> Any:  # noqa: N802 - the standard library's name
        return Process._context()._launch(process_obj)

    def start(self) -> None:
        """Start the child process; see `multiprocessing.Process.start`."""
        super().start()
        self._home = self._context()
        self._home.notify("process_started", process=self)

    def join(self, timeout: float | None = None) -> None:
        """Wait until the child has ended, at most `timeout` seconds."""
        super().join(timeout)
        self._settle()

    def is_alive(self) -> bool:
        """Whether the child runs."""
        alive = super().is_alive()
        self._settle()
        return alive

    @property
    def exitcode(self) -> int | None:
        """The exit code of the child, negative for a signal; None while it runs or was not started."""
        code = super().exitcode
        self._settle()
        return code

    @property
    def exception(self) -> BaseException | None:
        """The exception that ended the child, with the text of its traceback as its cause.

        None while the child runs, when it ended otherwise (by returning, `sys.exit`, a signal), and for a
        process that this one did not start. One that could not be carried over is a `RemoteError` with
        its text.
        """
        if self.exitcode is None or self._report is None:
            return None
        return self._report.exception()

    @property
    def sentinel(self) -> int:
        """A descriptor that is readable when the child has ended, in the process that has started it.

        ValueError elsewhere: a forked child gives up those of its siblings.
        """
        if self._sibling:
            raise ValueError("only the process that has started this one holds its sentinel")
        return super().sentinel

    def close(self) -> None:
        """Give up what the object holds; ValueError while the child runs."""
        if not self._closed and self._popen is not None:
            self.is_alive()  # it may have ended unnoticed
        super().close()
        if self._report is not None:
            self._report.close()

    def _settle(self) -> None:
        popen = self._popen
        if popen is None or popen.returncode is None:
            return
        if self._report is not None:
            self._report.settle()
        if not self._announced:
            self._announced = True
            home = self._home or self._context()  # start may have been interrupted
            home.notify("process_exited", process=self)

    def _bootstrap(self, parent_sentinel: int | None = None) -> int:
        if self.daemon and parent_sentinel is not None:
            end_with_parent(parent_sentinel)
        # In a forked child what its siblings are seen by is of no use, and would add descriptors.
        close_sentinels()
        for sibling in _standard._children:
            if isinstance(sibling, Process) and sibling is not self:
                sibling._sibling = True
                if sibling._report is not None:
                    sibling._report.close()
        report, run = self._report, self.run
        if report is not None:
            self.run = partial(report.record, run)  # type: ignore[method-assign]  # C: it adds no frame
        parent: Any = super()
        code: int = parent._bootstrap(parent_sentinel)
        return code

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        # A class that a program derives is pickled by its own name.
        cls._generated_for = None

    def __reduce_ex__(self, protocol: SupportsIndex) -> Any:
        if type(self)._generated_for is None:
            return super().__reduce_ex__(protocol)
        return _rebuild, type(self)._generated_for, self.__dict__


def process_class(
    label: str, packed: bytes, start_method: str | None, forked: bool, context: Context | None = None
) -> type[Process]:
    """The Process class of one context: a `Process` whose children come from there.

    `packed` is the pickle of what the context is restored from when it is needed: a child that only runs
    its target needs none, and does not unpack it.
    """
    name = f"{label}Process"
    contexts = [] if context is None else [context]

    def _context() -> Context:
        if not contexts:
            from .context import restore

            contexts.append(restore(*pickle.loads(packed)))  # noqa: S301 - it came from our own parent
        return contexts[0]

    def _popen(process_obj: Any) -> Any:
        return _context()._launch(process_obj)

    def _after_fork() -> None:
        if forked:
            _standard.BaseProcess._after_fork()

    members = {
        "__doc__": Process.__doc__,
        "__module__": __name__,
        "__qualname__": name,
        "_start_method": start_method,
        "_context": staticmethod(_context),
        "_Popen": staticmethod(_popen),
        "_after_fork": staticmethod(_after_fork),
    }
    cls: type[Process] = type(name, (Process,), members)
    cls._generated_for = (label, packed, start_method, forked)
    return cls


def _rebuild(*generated_for: Any) -> Process:
    cls = process_class(*generated_for)
    return cls.__new__(cls)


class Parcel:
    """A process on its way into the child, packed so that ipcframe is ready there before anything else.

    The standard library's launchers pickle the process's name first, then import the main module in the
    child, then unpickle the process. So what the child needs travels with the name.
    """

    def __init__(self, process: Any, boot: Callable[[], tuple[Any, ...]]) -> None:
        name = _Name(process._name)
        name.boot = boot
        self._name: str = name
        self._process = process

    def _bootstrap(self, parent_sentinel: int | None = None) -> int:
        code: int = self._process._bootstrap(parent_sentinel)
        return code

    def __reduce__(self) -> tuple[Any, ...]:
        return operator.itemgetter(0), ((self._process,),)


class _Name(str):
    boot: Callable[[], tuple[Any, ...]]

    def __reduce__(self) -> tuple[Any, ...]:
        # Unpickled from left to right: the module path first, or `unpack` might not be found.
        here = _standard.ORIGINAL_DIR or ""
        path = _Call(spawn.prepare, {"sys_path": [entry or here for entry in sys.path]})
        return operator.getitem, ((path, _Call(_boot.unpack, *self.boot(), str(self))), 1)


class _Call:
    """Pickles to what the call returns in the process that unpickles it."""

    def __init__(self, function: Callable[..., Any], *args: Any) -> None:
        self.call = function, args

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call


class _Report:
    """Where a child leaves the exception that ends it: an anonymous file, so that it never has to wait."""

    _fd: int | None = None

    def __init__(self, fd: int | None = None) -> None:
        self._fd = anonymous_file("ipcframe-report") if fd is None else fd
        self._record = b""
        self._loaded: BaseException | None = None

    def record(self, run: Callable[[], Any]) -> None:
        """Run the target in the child, and note what it raises."""
        process = os.getpid()
        try:
            run()
        except SystemExit:
            raise
        except BaseException as error:
            # The traceback on stderr stays as it is without us.
            trace = error.__traceback__
            error.__traceback__ = trace.tb_next if trace is not None else None
            with contextlib.suppress(Exception):
                if os.getpid() == process:  # and not a fork of it, made by hand
                    self._write(error)
            raise

    def _write(self, error: BaseException) -> None:
        import traceback

        text = "".join(traceback.format_exception(error))[-_LONGEST_TEXT:]
        summary = "".join(traceback.format_exception_only(error)).strip()[:_LONGEST_TEXT]
        try:
            pickled = pickle.dumps(error)
            pickle.loads(pickled)  # noqa: S301 - our own, to see whether it can be rebuilt
        except BaseException:  # noqa: BLE001 - whatever its class does on the way, exiting included
            pickled = b""
        if self._fd is not None:
            os.write(self._fd, pickle.dumps((text, summary, pickled)))

    def settle(self) -> None:
        """In the parent, after the child's end: take what it left, and give the descriptor up."""
        if self._fd is None:
            return
        with forking:  # one thread at a time, and no fork in between
            if self._fd is not None:
                size = os.fstat(self._fd).st_size
                self._record = os.pread(self._fd, size, 0) if size else b""
                self.close()

    def exception(self) -> BaseException | None:
        """What the child left, rebuilt once."""
        if self._record:
            self._loaded = _load(self._record)
            self._record = b""
        return self._loaded

    def close(self) -> None:
        """Give the descriptor up."""
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)

    def __del__(self) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        from .toolkit.handoff import pass_fd

        return _receive_report, (pass_fd(self._fd),)


def _receive_report(passed: Passed | None) -> _Report | None:
    if passed is None:
        return None
    fd = passed.detach()
    os.set_inheritable(fd, False)  # a spawned child has inherited it, and what that executes must not
    return _Report(fd)


def _load(record: bytes) -> BaseException:
    from .errors import RemoteError

    try:
        text, summary, pickled = pickle.loads(record)  # noqa: S301 - written by our own child
    except Exception:  # noqa: BLE001 - it was killed while it wrote
        return RemoteError("the process was ended by an exception, and could not report the whole of it")
    cause = RemoteError(f"the traceback in the process was:\n{text}")
    error: BaseException
    try:
        error = pickle.loads(pickled)  # noqa: S301 - as above
        if not isinstance(error, BaseException):
            raise TypeError("no exception")
    except BaseException:  # noqa: BLE001 - its class may not exist here, or do anything
        error = RemoteError(f"the process was ended by an exception that cannot be carried over: {summary}")
    error.__cause__ = cause
    return error
