"""A wrapper: what goes through the pipes of one name is compressed on its way.

    python compressing.py

Another program imports this module and says ``ipcframe.register(compressing, name="compressing")``;
once it is installed with an entry point in the group ``ipcframe.plugins``, the configuration's
``plugins = ["compressing"]`` is enough.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Generator, Sequence
from typing import Any

import ipcframe
from ipcframe.abc import Buffer, Connection
from ipcframe.deadline import Deadline
from ipcframe.errors import BrokenConnection, MessageTooLarge
from ipcframe.hookspecs import hookimpl
from ipcframe.toolkit.serialisation import PICKLE


class CompressedConnection(Connection):
    """One end, around the end that a backend made."""

    def __init__(self, inner: Connection) -> None:
        super().__init__(serializer=PICKLE, readable=inner.readable, writable=inner.writable)
        self.name = inner.name
        self._inner = inner
        self._opened: tuple[Buffer, Buffer] | None = None
        self._refused: str | None = None

    def _send(self, parts: Sequence[Buffer], deadline: Deadline) -> bool | None:
        packer = zlib.compressobj(level=1)
        return self._inner._send([*map(packer.compress, parts), packer.flush()], deadline)

    def _peek(self, deadline: Deadline, limit: int | None) -> Buffer | None:
        if self._refused is not None:
            raise BrokenConnection(self._refused)
        packed = self._inner._peek(deadline, None)
        if packed is None:
            return None
        opened = self._opened
        if opened is None or opened[0] is not packed:  # each message is opened once
            opened = self._opened = packed, self._open(packed, limit)
        return opened[1]

    def _open(self, packed: Buffer, limit: int | None) -> bytes:
        if limit is None:
            return zlib.decompress(packed)
        message = zlib.decompressobj().decompress(packed, limit + 1)
        if len(message) > limit:
            self._refused = f"{self!r} refused a message above the maxlength of {limit} bytes"
            raise MessageTooLarge(self._refused)
        return message

    def _take(self, message: Buffer) -> bool:
        opened = self._opened
        return opened is not None and opened[1] is message and self._inner._take(opened[0])

    def _give_back(self, message: Buffer) -> None:
        opened = self._opened
        same = opened is not None and opened[1] is message
        self._inner._give_back(opened[0] if opened is not None and same else zlib.compress(message))

    def _poll(self, deadline: Deadline) -> bool:
        return self._inner._poll(deadline)

    def _fileno(self) -> int:
        return self._inner._fileno()

    def _holds_message(self) -> bool:
        return self._inner._holds_message()

    def _close(self) -> None:
        self._inner.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return CompressedConnection, (self._inner,)


COMPRESSED = "pages"


@hookimpl(wrapper=True)
def ipcframe_make_connection_pair(
    name: str | None,
) -> Generator[None, tuple[Connection, Connection], Any]:
    """Let the backend make the two ends, and hand out ours around those of our name."""
    first, second = yield
    if name != COMPRESSED:
        return first, second
    return CompressedConnection(first), CompressedConnection(second)


def answer(connection: Connection) -> None:
    connection.send(len(connection.recv()))


def main() -> None:
    ipcframe.register(sys.modules[__name__], name="compressing")
    context = ipcframe.get_context("spawn")
    ours, theirs = context.Pipe(name=COMPRESSED)
    child = context.Process(target=answer, args=(theirs,))
    child.start()
    ours.send("a" * 1_000_000)
    print(type(ours).__name__, "carried", ours.recv(timeout=30), "characters")
    child.join()


if __name__ == "__main__":
    main()
