from collections.abc import Callable
from functools import partial

import pytest

from ipcframe import Context, get_context
from ipcframe.abc import Launched, ProcessHandle
from ipcframe.capabilities import StartCapabilities
from ipcframe.conformance import StartMethodSuite, start
from ipcframe.conformance.case import Case, Children, Pair
from ipcframe.conformance.conditions import DEATH_BOUND, eventually
from ipcframe_fork.plugin import ForkMethod


class TestFork(StartMethodSuite):
    start_method = "fork"
    may_be_not_runnable = frozenset({"test_a_start_that_fails_leaves_nothing_behind"})  # nothing is pickled


class TestSpawn(StartMethodSuite):
    start_method = "spawn"
    may_be_not_runnable = frozenset()


class TestForkServer(StartMethodSuite):
    start_method = "forkserver"
    may_be_not_runnable = frozenset()


@pytest.mark.parametrize(
    ("method", "declared"),
    [
        ("fork", StartCapabilities(inherits_memory=True, forked=True, imports_main=False, preloads=False)),
        ("spawn", StartCapabilities(inherits_memory=False, forked=False, imports_main=True, preloads=False)),
        (
            "forkserver",
            StartCapabilities(inherits_memory=False, forked=True, imports_main=True, preloads=True),
        ),
    ],
)
def test_what_a_start_method_declares_is_this(method: str, declared: StartCapabilities) -> None:
    assert get_context(method).start_method.capabilities == declared


class ForgetfulMethod(ForkMethod):
    """Broken on purpose: a child is not told by what it sees the end of its parent."""

    def launch(self, launched: Launched) -> ProcessHandle:
        return super().launch(Forgetting(launched))


class Forgetting:
    def __init__(self, launched: Launched) -> None:
        self._name = launched._name
        self._launched = launched

    def _bootstrap(self, parent_sentinel: int | None = None) -> int:
        return self._launched._bootstrap()


class TestSaboteur(Case):
    start_method = "fork"

    def test_daemons_that_outlive_a_killed_parent_are_found_out(
        self,
        children: Children,
        context: Context,
        pipe: Callable[..., Pair],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(context, "start_method", ForgetfulMethod())
        monkeypatch.setattr(start, "eventually", partial(eventually, within=DEATH_BOUND))
        case = start.Starts.test_daemonic_children_end_when_their_parent_is_killed_and_no_others
        with pytest.raises(AssertionError) as rejected:
            case(self, children, pipe)  # type: ignore[arg-type]
        assert "promise: Daemonic children end with their parent, killed or not" in str(
            rejected.value.__notes__
        )
