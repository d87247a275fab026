"""Timeouts become deadlines once, at the public method, on the monotonic clock.

Inside, every wait takes a `Deadline`: a loop that waits several times then cannot wait longer in all.
"""

from __future__ import annotations

import math
from time import monotonic

__all__ = ["NEVER", "NOW", "Deadline", "deadline_after"]


class Deadline:
    """A point on the monotonic clock (seconds), or never."""

    __slots__ = ("at",)

    def __init__(self, at: float) -> None:
        self.at = at

    def remaining(self) -> float:
        """Seconds until the deadline: 0.0 when it has passed, `math.inf` when it never comes."""
        left = self.at - monotonic()
        return left if left > 0.0 else 0.0

    @property
    def expired(self) -> bool:
        """Whether the deadline has passed."""
        return self.at <= monotonic()

    def __repr__(self) -> str:
        return f"<Deadline in {self.remaining():.3f} s>"


NEVER = Deadline(math.inf)
"""Wait for ever."""
NOW = Deadline(-math.inf)
"""Do not wait."""


def deadline_after(timeout: float | None) -> Deadline:
    """The deadline `timeout` seconds from now: None is never, and what is not positive is now.

    Raises ValueError for NaN and TypeError for what is no number.
    """
    if timeout is None:
        return NEVER
    # Through its methods: float() would take strings too.
    convert = getattr(type(timeout), "__float__", None) or getattr(type(timeout), "__index__", None)
    if convert is None:
        raise TypeError(f"a timeout is a number of seconds or None, not {timeout!r}")
    seconds: float = convert(timeout)
    if seconds != seconds:  # noqa: PLR0124 - the definition of NaN
        raise ValueError("a timeout of NaN seconds never comes and never passes")
    return NOW if seconds <= 0.0 else Deadline(monotonic() + seconds)
