"""Objects to messages and back: pickle protocol 5, large buffers out of band.

A message is either a plain pickle, or, when the object brought buffers along (numpy arrays, PickleBuffer),
a zero byte, a table, the buffers, and the pickle. The two cannot be confused: no pickle begins with a zero
byte. So ``recv_bytes`` and ``send_bytes`` pass any message on, and ``recv`` takes a pickle of anybody's.

The tickets of handles (see `arrival`) are such buffers too, marked in the table. So both sides see which
tickets a message has, without a cost for messages that have none.

A C pickler that is kept costs a fifth of a new ForkingPickler for each message. A pickler that is entered a
second time (by another thread, a ``__reduce__`` that sends, a signal handler that puts) crashes the
interpreter, so it is taken out of its slot for the dump, and only put back after success. Who finds the slot
empty makes another.
"""

from __future__ import annotations

import copyreg
import io
import pickle
import struct
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.reduction import ForkingPickler
from typing import Any, NamedTuple

from ..abc import Buffer, Endpoint, Serializer
from .arrival import Message, Ticket, settle
from .sharer import Departure, withdraw, withdraw_within

__all__ = ["PICKLE", "PickleSerializer"]

_HEAD = struct.Struct("<4sI")
_MARK = b"\0oob"
_ALIGNMENT = 64
_IS_TICKET = 1 << 63
"""Added to the size of a buffer in the table."""


class _LiveTable(dict[type, Callable[[Any], Any]]):
    """A dispatch table that always shows what is registered now, with ForkingPickler or copyreg."""

    def __missing__(self, cls: type) -> Callable[[Any], Any]:
        reducer = ForkingPickler._extra_reducers.get(cls)  # type: ignore[attr-defined]
        if reducer is None:
            return copyreg.dispatch_table[cls]
        return reducer  # type: ignore[no-any-return]


class _Sink:
    """The file of a pickler: it collects what is written."""

    def __init__(self, write: Callable[[Any], Any]) -> None:
        self.write = write


class _Probe(pickle.Pickler):
    """Tries whether something can be pickled, but for endpoints: their descriptors would be in flight."""

    def persistent_id(self, obj: object) -> object:
        return True if isinstance(obj, Endpoint | Departure) else None


class _Tools(NamedTuple):
    dump: Callable[[object], None]
    clear_memo: Callable[[], None]
    parts: list[bytes]
    buffers: list[pickle.PickleBuffer]


def _new_tools(table: _LiveTable, in_band: bool) -> _Tools:
    parts: list[bytes] = []
    buffers: list[pickle.PickleBuffer] = []

    def note(buffer: pickle.PickleBuffer) -> bool:
        buffers.append(buffer)
        return True  # it is pickled all the same

    pickler = pickle.Pickler(_Sink(parts.append), 5, buffer_callback=note if in_band else buffers.append)
    pickler.dispatch_table = table
    return _Tools(pickler.dump, pickler.clear_memo, parts, buffers)


class PickleSerializer(Serializer):
    """Pickle, with the reducers given here and those registered with `multiprocessing` and copyreg."""

    in_band = False

    def __init__(self, reducers: Mapping[type, Callable[[Any], Any]] | None = None) -> None:
        self._reducers = dict(reducers or {})
        self._table = _LiveTable(self._reducers)
        self._tools: _Tools | None = None

    def dumps(self, obj: object) -> Sequence[Buffer]:
        """Serialise `obj`; see `Serializer.dumps`."""
        tools = self._tools
        self._tools = None
        if tools is None:
            tools = _new_tools(self._table, self.in_band)
        dump, clear_memo, written, buffers = tools
        try:
            dump(obj)
            parts: list[Buffer] = written[:]  # type: ignore[assignment]
            written.clear()
            clear_memo()
            if buffers:
                if not self.in_band:
                    parts = _with_buffers(parts, buffers)
                del buffers[:]  # no call from here on: its tickets are found here, or are the caller's
            self._tools = tools
            return parts
        except BaseException as error:
            if buffers:
                self.discard([buffer.raw() for buffer in buffers])
            if isinstance(error, Exception):
                self._say_where(error, obj)
            raise

    def discard(self, parts: Sequence[Buffer]) -> None:
        """The message will not be received; see `Serializer.discard`."""
        for part in parts:
            if isinstance(part, memoryview) and isinstance(part.obj, Ticket):
                withdraw(part.obj)
        if self.in_band:
            withdraw_within(b"".join(parts))

    def loads(self, message: Buffer) -> Any:
        """Rebuild the object of one message; see `Serializer.loads`."""
        buffers: Sequence[object] = ()
        tickets: Sequence[bytes] = ()
        if len(message) and message[0] == 0:
            message, buffers, tickets = _without_buffers(message)
        try:
            obj = pickle.loads(message, buffers=buffers)  # noqa: S301 - the one place, see SECURITY.md
        except Exception as error:
            list(settle(tickets))
            if isinstance(error, EOFError):  # it would be taken for the end of the stream
                raise pickle.UnpicklingError("the message ends before its pickle does") from error
            raise
        # Until here an interrupt leaves what was fetched for the next try, and from here on there is none.
        if tickets:
            for _ in settle(tickets):
                break
        return obj

    def _say_where(self, error: Exception, obj: object) -> None:
        from .unpicklable import path_to_unpicklable

        # An endpoint that could not be sent is found fit for pickling: then the error says why not.
        path = None if self._can_pickle(obj) else path_to_unpicklable(obj, self._can_pickle)
        if path:
            error.add_note(path)

    def _can_pickle(self, obj: object) -> bool:
        pickler = _Probe(io.BytesIO(), 5, buffer_callback=lambda _: None)
        pickler.dispatch_table = self._table
        try:
            pickler.dump(obj)
        except Exception:  # noqa: BLE001 - anything that a reducer may raise
            return False
        return True

    def __reduce__(self) -> str | tuple[Any, ...]:
        return "PICKLE" if self is PICKLE else (type(self), (self._reducers,))


PICKLE = PickleSerializer()
"""The serialiser of everything that asks for no other."""


def _with_buffers(pickled: list[Buffer], buffers: list[pickle.PickleBuffer]) -> list[Buffer]:
    raws = [buffer.raw() for buffer in buffers]
    sizes = (raw.nbytes | (_IS_TICKET if isinstance(raw.obj, Ticket) else 0) for raw in raws)
    table = struct.pack(f"<{len(raws)}Q", *sizes)
    parts: list[Buffer] = [_HEAD.pack(_MARK, len(raws)) + table]
    at = len(parts[0])
    for raw in raws:
        padding = -at % _ALIGNMENT
        parts += (bytes(padding), raw)
        at += padding + raw.nbytes
    return parts + pickled


def _without_buffers(message: Buffer) -> tuple[memoryview, list[object], list[bytes]]:
    """The pickle of the message, its buffers, and its tickets.

    The buffers lie on the message's memory and are writable; in the place of a ticket there is its arrival.
    """
    view = memoryview(bytearray(message) if isinstance(message, bytes) else message)
    try:
        mark, count = _HEAD.unpack_from(view)
        sizes = struct.unpack_from(f"<{count}Q", view, _HEAD.size)
    except struct.error:
        mark, count, sizes = b"", 0, ()
    at = _HEAD.size + 8 * count
    buffers: list[object] = []
    tickets = []
    expected = Message()
    for size in sizes:
        at += -at % _ALIGNMENT
        buffer = view[at : at + (size & ~_IS_TICKET)]
        at += size & ~_IS_TICKET
        if size & _IS_TICKET:
            tickets.append(bytes(buffer))
            buffers.append(expected.expect(tickets[-1]))
        else:
            buffers.append(buffer)
    if mark != _MARK or at > len(view):
        list(settle(tickets))
        raise pickle.UnpicklingError("the message begins with a table of buffers that does not fit it")
    return view[at:], buffers, tickets
