"""Where in an object the part is that cannot be pickled, in words for a note on the error."""

from __future__ import annotations

from collections.abc import Callable, Iterator

__all__ = ["path_to_unpicklable"]

_MOST_TRIES = 2000
_LONGEST_TEXT = 80


def path_to_unpicklable(obj: object, can_pickle: Callable[[object], bool]) -> str | None:
    """A sentence with the path from `obj` to the innermost part that cannot be pickled.

    It follows containers, instance attributes and slots; None when nothing is found within a bounded
    number of tries, or `obj` can be pickled by itself.
    """
    path = "message"
    tries = 0
    seen: set[int] = set()
    found = False
    while id(obj) not in seen:
        seen.add(id(obj))
        for step, part in _parts(obj):
            tries += 1
            if tries > _MOST_TRIES:
                break
            if not can_pickle(part):
                path, obj, found = path + step, part, True
                break
    if not found and can_pickle(obj):
        return None
    return f"cannot be pickled: {path}, which is {_short(obj)}"


def _parts(obj: object) -> Iterator[tuple[str, object]]:
    if isinstance(obj, dict):
        for key, value in list(obj.items()):
            yield f"[{_short(key)}]", value
            yield f" key {_short(key)}", key
    elif isinstance(obj, list | tuple):
        yield from ((f"[{index}]", part) for index, part in enumerate(obj))
    elif isinstance(obj, set | frozenset):
        yield from ((" element", part) for part in list(obj))
    elif not isinstance(obj, type):
        yield from ((f".{name}", value) for name, value in list(getattr(obj, "__dict__", {}).items()))
        for cls in type(obj).__mro__:
            slots = cls.__dict__.get("__slots__", ())
            for name in (slots,) if isinstance(slots, str) else slots:
                if hasattr(obj, name) and not name.startswith("__"):
                    yield f".{name}", getattr(obj, name)


def _short(obj: object) -> str:
    try:
        text = repr(obj)
    except Exception:  # noqa: BLE001 - a repr may raise anything
        text = f"an instance of {type(obj).__qualname__}"
    return text if len(text) <= _LONGEST_TEXT else f"{text[: _LONGEST_TEXT - 1]}…"
