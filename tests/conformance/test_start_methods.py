import pytest

from ipcframe import get_context
from ipcframe.capabilities import StartCapabilities
from ipcframe.conformance import StartMethodSuite


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
