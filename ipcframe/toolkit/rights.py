"""Messages that bring a descriptor along, over Unix sockets: large ones in shared memory, and handles.

The kernel attaches descriptors to the first byte of a write (SCM_RIGHTS, unix(7)) and gives them to whoever
reads that byte; a plain read closes them silently. So what brings one has two parts. A header of 8 bytes is
written by itself, as that of any message is. It has a magic number of its own, and says that *notes* of 16
bytes follow, which are written with the descriptor. They are a kind and a size:

BLOCK    The message lies in the file in memory that comes along; the size is its length. See `blocks`.
HANDLE   The descriptor itself is what was sent, for `recv_handle`; the size is 0.
NOTHING  Comes without one, for the system refused to pass it on. The stream goes on with any message.

Who receives looks at the notes first (MSG_PEEK), which gives it a descriptor and leaves the message where it
is, and then reads them as bytes. So a process that has no descriptor left gets that error, and the message is
still there when it has one. All other messages are read as ever: nobody looks before such a header came.

The rules of `framing` hold, and two more:

R1  A descriptor is owned from within the call that received or opened it, by an object that closes it in C
    (`blocks`, B3). It lands in the step as that, so that whoever is interrupted, closed, dropped or forked
    leaves nothing to be repaired.
R2  The first part of the notes is a `Noted`, which owns what is sent with it until it is written. It is the
    first of the views of its write: what comes before it is written by itself.

A connection says nothing that lasts beyond a message, so an end can be handed over between any two.
"""

from __future__ import annotations

import errno
import mmap
import os
import select
import socket
import struct
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any

from ..abc import Buffer, Notify, Serializer, silent
from ..deadline import Deadline
from ..errors import OtherKindOfMessage
from . import forks, leases
from .blocks import LEAST, Blocks, Held
from .descriptor import Descriptor
from .framing import HEADER, NATIVE, RIGHTS
from .intake import Intake, Plain, Step
from .outlet import Outlet, Piece, piece_of
from .serialisation import PICKLE
from .sockets import Socket, SocketConnection, SocketDescriptor

__all__ = ["RightsConnection"]

_NOTHING, _BLOCK, _HANDLE = range(3)
_NOTES = struct.Struct("<QQ")
_NUMBER = struct.Struct("<Q")
_HEADER = HEADER.pack(RIGHTS | _NOTES.size)
_FD = struct.Struct("i")
_ROOM = socket.CMSG_LEN(_FD.size)  # not CMSG_SPACE, which has room for two
_LOOK = int(socket.MSG_PEEK | socket.MSG_DONTWAIT | socket.MSG_CMSG_CLOEXEC)
_NOW = (int(socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL),)
_NO_RIGHTS = ((),)
_TRUNCATED = int(socket.MSG_CTRUNC)


class Noted(bytes):
    """The first part of the notes; what is sent with it (R2)."""

    held: select.epoll
    """What owns the descriptor, and keeps it until the notes are written."""
    beside: Sequence[tuple[int, int, bytes]]
    """The descriptor, as sendmsg takes it."""
    otherwise: Callable[[], list[Buffer]]
    """What goes out if the system refuses to pass the descriptor on."""
    refused = False
    """Whether it did."""


def _frame(kind: int, size: int, held: select.epoll, otherwise: Callable[[], list[Buffer]]) -> list[Buffer]:
    noted = Noted(_NUMBER.pack(kind))
    noted.held = held
    noted.beside = ((socket.SOL_SOCKET, socket.SCM_RIGHTS, _FD.pack(held.fileno())),)
    noted.otherwise = otherwise
    return [_HEADER, noted, _NUMBER.pack(size)]


class _RightsDescriptor(SocketDescriptor):
    """A Unix socket that passes descriptors."""

    __slots__ = ("look",)

    def __init__(self, sock: Socket) -> None:
        super().__init__(sock)
        recvmsg, sendmsg = sock.recvmsg, sock.sendmsg

        def gather(views: tuple[Sequence[Buffer]]) -> Iterator[int]:
            (parts,) = views
            if type(parts[0]) is Noted:  # R2
                return map(sendmsg, views, (parts[0].beside,), _NOW)
            return map(sendmsg, (parts[:1],) if type(parts[1]) is Noted else views, _NO_RIGHTS, _NOW)

        def look() -> Iterator[Any]:
            seen: dict[int, Any] = {}
            received = map(seen.setdefault, (0,), map(recvmsg, (_NOTES.size,), (_ROOM,), (_LOOK,)))
            passed = map(itemgetter(2), chain.from_iterable(map(itemgetter(1), received)))
            held = map(Held.fromfd, chain.from_iterable(map(_FD.unpack, passed)))  # R1
            return chain(held, seen.values())

        self.gather = gather
        self.look: Callable[[], Iterator[Any]] = look
        """Gives what owns each descriptor that stands at the head, if any, and then what recvmsg gave."""


class _Look(Step):
    """The step after the header: see what comes along with the notes."""

    __slots__ = ()


class _Notes(Step):
    """The next step: read the notes."""

    __slots__ = ("held",)

    def __init__(self, held: select.epoll | None, got: tuple[bytes, ...] = ()) -> None:
        super().__init__(got, _NOTES.size)
        self.held = held  # what owns the descriptor that came along, if one did


class RightsIntake(Intake):
    """Takes messages with descriptors too."""

    def _reach(self, descriptor: Descriptor) -> None:
        super()._reach(descriptor)
        self._descriptor = descriptor

    def take_handle(self) -> int | None:
        """The descriptor that is the next message, now the caller's; None if somebody was faster.

        No signal handler comes between the taking and the return, nor between the making of the duplicate
        and the store of its number: what a `for` statement gets from C is not followed by any.
        """
        fresh = Plain()
        step = self._step
        if isinstance(step, Plain) or step.handle is None:
            return None
        for fd in map(os.dup, (step.handle.fileno(),)):
            if self._step is step:
                self._step = fresh
                return fd
            os.close(fd)
        return None

    def _short_reads(self, step: Step) -> Iterator[Any]:
        if isinstance(step, _Look) and isinstance(self._descriptor, _RightsDescriptor):
            return self._descriptor.look()
        return super()._short_reads(step)

    def _after_short(self, step: Step, limit: int | None) -> Step | Plain:
        if isinstance(step, _Look):
            *held, (seen, _, flags, _) = step.landed
            return self._after_look(step, held, seen, flags)
        if not isinstance(step, _Notes):
            return super()._after_short(step, limit)
        if not step.landed[0]:
            return Step(end=self._end_text(True))
        got = (*step.got, step.landed[0])
        notes = b"".join(got)
        if len(notes) < _NOTES.size:
            return _Notes(step.held, got)
        kind, size = _NOTES.unpack(notes)
        return self._after_notes(step, kind, size, limit)

    def _after_header(self, step: Plain | Step, got: tuple[bytes, ...], limit: int | None) -> Step:
        if b"".join(got) == _HEADER:
            return _Look()
        return super()._after_header(step, got, limit)

    def _after_look(self, step: Step, held: list[Any], seen: bytes, flags: int) -> Step:
        if not seen:
            return Step(end=self._end_text(True))
        if not flags & _TRUNCATED:
            return _Notes(held[0] if held else None)
        if held:
            return self._break(step, f"{self._owner()!r} received several descriptors with one message")
        if self._step is step:
            self._step = _Look()
            raise OSError(
                errno.EMFILE,
                f"{self._owner()!r}: this process has no descriptor left for one that was sent to it; "
                "close some and receive again",
            )
        return step

    def _after_notes(self, step: _Notes, kind: int, size: int, limit: int | None) -> Step | Plain:
        if kind == _NOTHING:
            return Plain()
        held = step.held
        if held is None or kind not in (_BLOCK, _HANDLE) or (kind == _BLOCK) != (size > 0):
            brought = "without a descriptor" if held is None else "with a descriptor"
            return self._break(
                step, f"{self._owner()!r} received notes {brought} that make no sense: {kind}, {size}"
            )
        if kind == _HANDLE:
            return Step(handle=held)
        too_large = self._too_large(step, size, limit)
        if too_large is not None:
            return too_large
        lease = held.fileno()
        fault = leases.fault(lease, size)
        if fault is not None:
            return self._break(step, f"{self._owner()!r} received, for a large message, a descriptor {fault}")
        return Step(message=leases.message(lease, size))


class RightsOutlet(Outlet):
    """Sends messages with descriptors too."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._blocks: Blocks | None = None
        super().__init__(*args, **kwargs)

    def frame_of_handle(self, fd: int) -> list[Buffer]:
        """A message that is the descriptor, which may be closed when this returns."""
        for held in map(Held.fromfd, map(os.dup, (fd,))):  # R1
            duplicate = held
        return _frame(_HANDLE, 0, duplicate, list)

    def _large(self, size: int, parts: Sequence[Buffer]) -> list[Buffer]:
        if size >= LEAST:
            blocks = self._blocks
            if blocks is None:
                self._blocks = blocks = Blocks()
            lease = blocks.lease(parts, size)
            if lease is not None:
                return _frame(_BLOCK, size, lease, lambda: [self._framing.header(size), _read(lease, size)])
        return super()._large(size, parts)

    def _instead(self, piece: Piece, error: OSError) -> bool:
        # No other error: a signal handler may raise one.
        noted = piece.views[0]
        if type(noted) is not Noted or error.errno != errno.ETOOMANYREFS:
            return False
        noted.refused = True
        following = piece_of(piece.message, [_NOTES.pack(_NOTHING, 0), *noted.otherwise()], True)
        if self.pending is piece and not piece:
            self.pending = following
        return True

    def close(self) -> None:
        """Write no more; called with the lock held."""
        super().close()
        if self._blocks is not None:
            self._blocks.clear()


def _read(lease: select.epoll, size: int) -> memoryview:
    return memoryview(mmap.mmap(lease.fileno(), size, prot=mmap.PROT_READ))


class RightsConnection(SocketConnection):
    """A connection over one Unix stream socket, the other end of which is one too.

    It passes descriptors, and large messages in shared memory. Linux only.
    """

    framing = NATIVE
    intake = RightsIntake
    outlet = RightsOutlet
    _intake: RightsIntake
    _outlet: RightsOutlet

    def __init__(
        self,
        read_fd: int | None,
        write_fd: int | None,
        *,
        serializer: Serializer = PICKLE,
        message_limit: int | None = None,
        name: str | None = None,
        notify: Notify = silent,
        sock: Socket | None = None,
    ) -> None:
        super().__init__(
            read_fd,
            write_fd,
            serializer=serializer,
            message_limit=message_limit,
            name=name,
            notify=notify,
            sock=sock,
        )
        # What comes along with a message is taken for a descriptor.
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 0)

    def _descriptor(self, fd: int) -> Descriptor:
        return _RightsDescriptor(self._socket)

    def _send_handle(self, fd: int, deadline: Deadline) -> bool | None:
        if self._generation is not forks.generation:
            self._forked()
        outlet = self._outlet
        frame = outlet.frame_of_handle(fd)
        try:
            sent = self._repeat(lambda: self._begin(frame), deadline)
            sent = sent and self._repeat(lambda: self._push_out(frame), deadline)
        except BaseException:
            outlet.abandon(frame)
            raise
        if not sent:
            return None if outlet.abandon(frame) else False
        if isinstance(noted := frame[1], Noted) and noted.refused:
            raise OSError(
                errno.ETOOMANYREFS,
                f"{self!r}: as many descriptors of this user are in flight as a process may have open; "
                "let them be received",
            )
        return True

    def _recv_handle(self, deadline: Deadline) -> int | None:
        while True:
            try:
                message = self._peek(deadline, None)
            except OtherKindOfMessage:
                fd = self._intake.take_handle()
                if fd is not None:
                    return fd
                continue
            if message is None:
                return None
            raise OtherKindOfMessage(
                f"{self!r}: the next message is no descriptor", "receive it with recv, or recv_bytes"
            )
