"""The suite of each saboteur; run by test_saboteurs.py in a process of its own, for nobody should pass."""

from __future__ import annotations

import saboteurs

from ipcframe.conformance import BackendSuite, targets
from ipcframe.conformance.case import Case, Children
from ipcframe.conformance.promises import promise

saboteurs.register()


class TestWatchdog(Case):
    start_method = "fork"
    seconds = 1.0

    @promise("start.join")
    def test_a_case_that_waits_for_a_child_that_waits(self, children: Children) -> None:
        children.start(targets.wait_for_ever).join()


CONTROL = "test_the_ends_of_a_duplex_pair_do_both"
for _one in saboteurs.saboteurs():
    # Without the cases that are not asked for: to collect them for every saboteur would take a minute.
    _wanted = {_one.rejected_by.partition("[")[0], CONTROL}
    _members: dict[str, object] = {
        name: None for name in dir(BackendSuite) if name.startswith("test_") and name not in _wanted
    }
    _members |= {"backend": _one.name, "seconds": 2.0 if _one.name == "hangs" else 30.0}
    globals()[f"Test{_one.__name__}"] = type(f"Test{_one.__name__}", (BackendSuite,), _members)
