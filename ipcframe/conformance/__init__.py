"""The conformance kit: tests that any backend or start method must pass.

    from ipcframe.conformance import BackendSuite

    class TestMine(BackendSuite):
        backend = "mine"

is the whole test file of a third party's backend; `StartMethodSuite` with ``start_method = "mine"`` is
that of a start method. The cases need pytest (``pip install ipcframe[conformance]``).
"""

from __future__ import annotations

import sys
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .suite import BackendSuite, StartMethodSuite

__all__ = ["BackendSuite", "StartMethodSuite"]


def __getattr__(name: str) -> Any:
    # What children run is imported from this package too: pytest is none of their business.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import pytest

    modules = [module.name for module in iter_modules(__path__, f"{__name__}.")]
    # What a test has imported for its own use is as it is: its assertions say less.
    pytest.register_assert_rewrite(*(module for module in modules if module not in sys.modules))
    from . import suite

    for suite_name in __all__:
        globals()[suite_name] = getattr(suite, suite_name)
    return globals()[name]
