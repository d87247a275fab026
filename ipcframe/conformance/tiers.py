"""How much of the kit runs: the quick set, the full kit, or the campaign."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, TypeVar

import pytest

if TYPE_CHECKING:
    from .case import Case
    from .report import Tally

__all__ = [
    "BUDGETS",
    "CAMPAIGN",
    "FULL",
    "Left",
    "budget",
    "campaign",
    "full",
    "given",
    "in_campaign",
    "takes_longer",
]

FULL = "IPCFRAME_FULL"
"""The variable that lets the whole kit run, when it is 1, and not only its quick set."""
CAMPAIGN = "IPCFRAME_CAMPAIGN"
"""The variable that lets the cases of the campaign run too, when it is 1."""
BUDGETS = ("IPCFRAME_INTERRUPTS", "IPCFRAME_KILLS", "IPCFRAME_RECOVERIES", "IPCFRAME_SOAK", "IPCFRAME_STEPS")
"""The variables that say how often a case repeats something random."""
STARTING = frozenset({
    "connection.handoff", "channel.handoff", "queue.handoff", "sync.handoff", "sync.descriptors",
    "handle.in-flight", "handle.lost", "connection.death", "lock.dead-owner", "queue.delivered",
    "rendezvous.strangers",
})  # fmt: skip
"""The promises in which it matters how a child was started: where that is slow, the quick set has these."""
_Function = TypeVar("_Function", bound=Callable[..., Any])


class Left(NamedTuple):
    """What is left out of a smaller run: to which tier, for what it needs, and what runs all the same."""

    tier: str
    needs: str
    quick: dict[str, tuple[Any, ...]]
    """The values of parameters with which the case runs in every tier; with none it runs in its own only."""


def budget(variable: str, full: int) -> int:
    """How often a case repeats something random: the value of one of `BUDGETS`, or this number.

    Without the variable a quick run repeats it a tenth as often, and at least once.
    """
    assert variable in BUDGETS
    if variable in os.environ:
        return int(os.environ[variable])
    return full if _runs("full kit") else -(-full // 10)


def full(needs: str, **quick: Iterable[Any]) -> Callable[[_Function], _Function]:
    """Leave a case to the full kit, but for these values of its parameters; IPCFRAME_FULL=1 lets it run.

    No mark of pytest, which every project that uses the kit would have to register. It stands above the
    case's promise: what is left out is neither proven nor a case that cannot run.
    """
    return _left(Left("full kit", needs, {name: tuple(values) for name, values in quick.items()}))


def campaign(needs: str) -> Callable[[_Function], _Function]:
    """Leave a case to the campaign, for what it needs; IPCFRAME_CAMPAIGN=1 lets it run. See `full`."""
    return _left(Left("campaign", needs, {}))


def leave_unless_about_starting(tally: Tally, promised: str) -> None:
    """Leave a case whose children start slowly to the full kit, but if that is what it is about."""
    if not _runs("full kit") and promised not in STARTING:
        _leave(tally, Left("full kit", "children that start slowly", {}))


def given() -> list[str]:
    """The variables that are set and change what runs, as one types them."""
    return [f"{one}={os.environ[one]}" for one in (FULL, CAMPAIGN, *BUDGETS) if one in os.environ]


def in_campaign() -> bool:
    """Whether this run is one of a campaign, which has all the time."""
    return os.environ.get(CAMPAIGN) == "1"


def takes_longer() -> bool:
    """Whether a case may take as long as it takes: in a campaign, or when a budget is given."""
    return in_campaign() or any(variable in os.environ for variable in BUDGETS)


def _runs(tier: str) -> bool:
    return in_campaign() or (tier == "full kit" and os.environ.get(FULL) == "1")


def _leave(tally: Tally, left: Left) -> NoReturn:
    tally.left[left.tier][left.needs] += 1
    pytest.skip(f"left to the {left.tier}: set {FULL if left.tier == 'full kit' else CAMPAIGN}=1")


def _left(left: Left) -> Callable[[_Function], _Function]:
    def leave(function: _Function) -> _Function:
        @functools.wraps(function)
        def case(self: Case, *args: Any, **kwargs: Any) -> None:
            __tracebackhide__ = True
            quick = left.quick and all(kwargs[name] in values for name, values in left.quick.items())
            if not quick and not _runs(left.tier):
                _leave(self._tally, left)
            function(self, *args, **kwargs)

        assert hasattr(function, "promised"), "a case has a promise first"
        case.left = left  # type: ignore[attr-defined]
        return case  # type: ignore[return-value]

    return leave
