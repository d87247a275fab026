"""Belt: messages in their order, between those who put them on it and those who take them off."""

from __future__ import annotations

from typing import Any

__all__ = ["Belt", "Item"]

_ANY: Any = object()


class Item:
    """A message on a belt, and the room that it takes."""

    __slots__ = ("next", "size", "value")

    def __init__(self, value: bytes, size: int) -> None:
        self.value = value
        self.size = size
        self.next: Item | None = None


class Belt:
    """A chain of items. Every method is one step, see `waiters`; none of them waits."""

    __slots__ = ("_last", "appended", "count", "first", "size")

    def __init__(self) -> None:
        self.first: Item | None = None
        self._last: Item | None = None
        self.count = 0
        self.size = 0
        """The room that all items take."""
        self.appended = 0
        """How many were ever put on."""

    def append(self, item: Item, most: float, room: float) -> bool:
        """Put one on, unless there are `most`; one that is alone may take more than the `room`."""
        if self.count >= most or (self.count and self.size + item.size > room):
            return False
        if self._last is None:
            self.first = item
        else:
            self._last.next = item
        self._last = item
        self.count += 1
        self.size += item.size
        self.appended += 1
        return True

    def lift(self) -> Item | None:
        """The first one, which takes no room from now on: whoever looks at it has it in hand."""
        item = self.first
        if item is not None:
            self.size -= item.size
            item.size = 0
        return item

    def take(self, value: bytes = _ANY) -> Item | None:
        """Take the first one off, or only if it is this very value."""
        item = self.first
        if item is None or (value is not _ANY and item.value is not value):
            return None
        self.first = item.next
        if item.next is None:
            self._last = None
        self.count -= 1
        self.size -= item.size
        return item

    def give_back(self, item: Item) -> None:
        """Put one that was taken off on again, before the others."""
        item.next = self.first
        self.first = item
        if item.next is None:
            self._last = item
        self.count += 1
        self.size += item.size
