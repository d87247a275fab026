"""`Case`: what all cases stand on - fixtures, the seed, the watchdog, and what a failure says."""

from __future__ import annotations

import contextlib
import functools
import gc
import os
import random
import shlex
import signal
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from typing import Any, ClassVar

import pytest

import ipcframe
from ipcframe.abc import Channel, Connection, Endpoint
from ipcframe.errors import BackendUnavailable, StartMethodUnavailable, UnsupportedOperation

from . import targets
from .conditions import PATIENCE
from .in_process import every_object, none_can_be_handed_over
from .promises import PAGE, PROMISES
from .report import Tally
from .tiers import budget, campaign, full, given, leave_unless_about_starting, takes_longer
from .watchdog import Watchdog
from .workers import Parts

__all__ = ["Case", "Children", "Pair", "budget", "campaign", "full", "needs_processes"]

Pair = tuple[Connection, Connection]
_LONGER = 60
"""How much longer the watchdog waits in a campaign, or when a budget is given."""
_watchdog = Watchdog()
needs_processes = pytest.mark.usefixtures("processes")
"""The mark of a case that hands objects over, or forks, by itself; one with `Case.children` needs none."""


class Children:
    """Starts the processes of one case on one start method, and sees to it that none is left."""

    def __init__(self, context: ipcframe.Context) -> None:
        self.context = context
        self._started: list[ipcframe.Process] = []

    @property
    def cheap(self) -> bool:
        """Whether a child starts within a few milliseconds, so that a case may have many."""
        return self.context.start_method.capabilities.forked

    def start(
        self, job: Callable[..., Any], *args: Any, discard: tuple[Endpoint, ...] = (), **options: Any
    ) -> ipcframe.Process:
        """Start a child that runs ``job(*args)``; if it inherits memory, it closes `discard` first."""
        if not self.context.start_method.capabilities.inherits_memory:
            discard = ()
        process = self.context.Process(target=targets.run, args=(discard, job, *args), **options)
        process.start()
        self._started.append(process)
        return process

    def adopt(self, process: ipcframe.Process) -> ipcframe.Process:
        """Take responsibility for a process that the case has made itself."""
        self._started.append(process)
        return process

    def forget(self, process: ipcframe.Process) -> None:
        """Leave the rest to the case."""
        self._started.remove(process)

    def pids(self) -> list[int]:
        """The processes started and not yet given up."""
        return [process.pid for process in self._started if process.pid is not None]

    def kill(self, process: ipcframe.Process) -> None:
        """SIGKILL, without waiting."""
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)

    def finish(self, process: ipcframe.Process, exitcode: int = 0) -> None:
        """Wait for the end of the child, which must be this one."""
        process.join(PATIENCE)
        assert process.exitcode == exitcode, f"the child ended with {process.exception!r}"
        self._started.remove(process)
        process.close()

    def end(self) -> None:
        """Kill whatever is left."""
        for process in self._started:
            if process.pid is not None:
                process.kill()
                process.join(PATIENCE)
            process.close()
        self._started.clear()


class Case:
    """The base of all cases. `backend` and `start_method` choose what is judged."""

    backend: ClassVar[str | None] = None
    """The backend; None for the configured default."""
    start_method: ClassVar[str | None] = None
    """The one start method; None for every installed one that can run here."""
    seconds: ClassVar[float] = 60.0
    """How long a case may take before the watchdog ends it; sixty times as long in a campaign."""
    may_be_not_runnable: ClassVar[frozenset[str] | None] = None
    """The names of cases that may skip; another one that does fails. None allows all."""

    _tally: ClassVar[Tally]
    _request: pytest.FixtureRequest
    seed: int
    random: random.Random

    # --- fixtures ---

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Run the cases that start processes over the start methods."""
        if "method" in metafunc.fixturenames:
            metafunc.parametrize("method", [self.start_method] if self.start_method else _start_methods())

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def _counted(cls, request: pytest.FixtureRequest) -> Iterator[None]:
        cls._tally = tally = Tally(cls.__name__)
        parts = Parts(cls.__name__, request)
        # Many cases collect garbage, and pytest's own objects are none.
        gc.collect()
        gc.freeze()
        yield
        gc.unfreeze()
        whole = tally if parts.are_all else parts.gathered(tally)
        if whole is not None:
            whole.print(request.config)

    @pytest.fixture(autouse=True)
    def _watched(self, request: pytest.FixtureRequest) -> Iterator[None]:
        self._request = request
        self.seed = int(os.environ.get("IPCFRAME_SEED") or random.SystemRandom().randrange(2**32))
        self.random = random.Random(self.seed)
        self._children: Children | None = None
        _watchdog.watch(self.seconds * (_LONGER if takes_longer() else 1), self._pids)
        try:
            yield
        finally:
            _watchdog.rest()

    @pytest.fixture
    def context(self, request: pytest.FixtureRequest) -> ipcframe.Context:
        """The context that the case is about."""
        method = request.getfixturevalue("method") if "method" in request.fixturenames else self.start_method
        try:
            return ipcframe.get_context(method, backend=self.backend)
        except (BackendUnavailable, StartMethodUnavailable) as error:
            self._skipped(error.problem)
            pytest.skip(error.problem)

    @pytest.fixture
    def processes(self, context: ipcframe.Context) -> None:
        """What a case asks for that has other processes use objects; it is not there where none can."""
        if context.backend.capabilities.in_process:
            self._absent("in_process")
            with every_object(context) as objects:
                none_can_be_handed_over(objects)
            pytest.skip("declared absent: in_process")

    @pytest.fixture
    def children(self, processes: None, method: str, context: ipcframe.Context) -> Iterator[Children]:
        """What starts the case's processes; a case that asks for it runs on every start method."""
        self._children = Children(context)
        yield self._children
        self._children.end()

    @pytest.fixture
    def pipe(self, context: ipcframe.Context) -> Iterator[Callable[..., Pair]]:
        """``context.Pipe``, whose ends are closed when the case is over."""
        with contextlib.ExitStack() as stack:

            def make(duplex: bool = True) -> Pair:
                ends = context.Pipe(duplex)
                for end in ends:
                    stack.enter_context(end)
                return ends

            yield make

    @pytest.fixture
    def pair(self, pipe: Callable[..., Pair]) -> Pair:
        """Two ends that both send and receive."""
        return pipe()

    @pytest.fixture
    def one_way(self, pipe: Callable[..., Pair]) -> Pair:
        """An end that receives, and one that sends."""
        return pipe(False)

    @pytest.fixture
    def channel(self, context: ipcframe.Context) -> Iterator[Channel]:
        """A channel; its cases are not there where none is declared."""
        if not context.backend.capabilities.channel:
            self._absent("channel")
            with pytest.raises(UnsupportedOperation):
                context.Channel()
            pytest.skip("declared absent: channel")
        with context.Channel() as channel:
            yield channel

    # --- for the cases ---

    def declared_absent(self, context: ipcframe.Context, operation: str) -> bool:
        """Whether the backend declares that it does not do this; the case then shows the refusal."""
        if getattr(context.backend.capabilities, operation):
            return False
        self._absent(operation)
        return True

    def refuses(self, capability: str, *operations: Callable[[], object]) -> None:
        """Check that what is declared absent is refused, and not merely not mentioned."""
        for operation in operations:
            try:
                operation()
            except UnsupportedOperation:
                continue
            pytest.fail(f"the backend declares {capability}=False, and has it: declare {capability}=True")

    def leave_if_slow(self, promised: str) -> None:
        """Leave a case whose children start slowly to the full kit, but if starting is what it is about."""
        if self._children is not None and not self._children.cheap:
            leave_unless_about_starting(self._tally, promised)

    @contextlib.contextmanager
    def judged(self, promised: str) -> Iterator[None]:
        """Count the outcome of the case, and add to its failure what was promised and how to repeat it."""
        __tracebackhide__ = True
        absent = self._tally.absent.total()
        try:
            yield
        except pytest.skip.Exception as skipped:
            self._skipped(str(skipped))
            raise
        except BaseException as error:
            self._tally.failed += 1
            error.add_note(self._verdict(promised))
            raise
        if self._tally.absent.total() == absent:
            self._tally.proven += 1

    def _skipped(self, reason: str) -> None:
        name = self._request.function.__name__
        self._tally.not_runnable[f"{name}: {reason}"] += 1
        if self.may_be_not_runnable is not None and name not in self.may_be_not_runnable:
            pytest.fail(f"{name} is not on the list of cases that may be not runnable, and skips: {reason}")

    def _absent(self, operation: str) -> None:
        self._tally.absent[operation] += 1

    def _verdict(self, promised: str) -> str:
        callspec = getattr(self._request.node, "callspec", None)
        method = callspec.params.get("method") if callspec else None
        again = [
            f"IPCFRAME_SEED={self.seed}",
            *given(),
            "pytest",
            shlex.quote(self._request.node.nodeid),
        ]
        started = method or self.start_method or "any"
        return (
            f"promise: {PROMISES[promised]}\n"
            f"page: {PAGE}#{promised.replace('.', '-')}\n"
            f"backend: {self.backend or 'the default'}; start method: {started}; "
            f"seed: {self.seed}\n"
            f"again: {' '.join(again)}"
        )

    def _pids(self) -> list[int]:
        return [] if self._children is None else self._children.pids()


@functools.cache
def _start_methods() -> list[str]:
    """The installed start methods that can run here, by name."""
    found = []
    for name in sorted({point.name for point in entry_points(group="ipcframe.start_methods")}):
        with contextlib.suppress(StartMethodUnavailable):
            found.append(ipcframe.get_context(name).get_start_method())
    return found
