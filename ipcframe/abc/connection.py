"""Connection: messages between two ends, in order, whole, until one end is gone."""

from __future__ import annotations

import operator
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, NoReturn

from ..deadline import NEVER, Deadline, deadline_after
from ..errors import BufferTooShort, MessageTooLarge, PeerGone, TimedOut, UnsupportedOperation
from .endpoint import Endpoint

__all__ = ["Buffer", "Connection", "Serializer"]

Buffer = bytes | bytearray | memoryview
_PASSES = "use a backend that declares descriptors=True, or send an object that has the descriptor"


class Serializer(ABC):
    """Turns objects into messages and back."""

    @abstractmethod
    def dumps(self, obj: object) -> Sequence[Buffer]:
        """Serialise `obj` to parts whose concatenation is the message.

        Blocks: never.
        Threads: any number at once; nested calls (from ``__reduce__``, from signal handlers) work.
        Buffers: parts may alias the object's own memory until the message is sent.
        Raises: what pickling raises, with the path to the part that cannot be pickled in its notes.
        Interrupted: leaves nothing behind.
        Peer death: makes no difference.
        After fork: works in the child, whatever the parent's threads were doing.
        """

    @abstractmethod
    def loads(self, message: Buffer) -> Any:
        """Rebuild the object of one message.

        Blocks: for microseconds if there are handles in it, until their sender gives their descriptors; for
            10 s at most if it was stopped.
        Threads: any number at once.
        Buffers: the object may lie on the memory of `message`, and then keeps it alive.
        Raises: what unpickling raises; `HandleLost` for a handle whose sender has ended, or does not answer.
        Interrupted: may be called again with the same message.
        Peer death: `HandleLost`, at once, if there are handles in it whose descriptors the sender still had.
        After fork: works in the child.
        """

    def discard(self, parts: Sequence[Buffer]) -> None:  # noqa: B027 - most have nothing to give up
        """The message that `dumps` gave will certainly not be received: give up what is kept open for it.

        Blocks: never.
        Threads: any number at once.
        Buffers: the parts are not changed.
        Raises: nothing.
        Interrupted: the rest is given up when the process ends.
        Peer death: makes no difference.
        After fork: what the parent had sent stays the parent's.
        """


class Connection(Endpoint):
    """One end of a two-ended stream of messages; the API of `multiprocessing.connection.Connection`.

    Order is kept. A message arrives whole or not at all. Bytes and objects share one stream: `recv` of
    what `send_bytes` sent unpickles it, `recv_bytes` of what `send` sent gives a message that can be
    passed on with `send_bytes`.

    One process at a time uses an end for sending, and one for receiving. Within it, threads and signal
    handlers may share the end: each message goes to exactly one of them.
    """

    def __init__(self, *, serializer: Serializer, readable: bool = True, writable: bool = True) -> None:
        self._serializer = serializer
        self._readable = readable
        self._writable = writable

    @property
    def readable(self) -> bool:
        """Whether this end can receive."""
        return self._readable

    @property
    def writable(self) -> bool:
        """Whether this end can send."""
        return self._writable

    def send(self, obj: object, *, timeout: float | None = None) -> None:
        """Send an object; it has left the caller's hands when this returns.

        Waits while the transport is full. Raises what pickling raises, `PeerGone` (a BrokenPipeError),
        `TimedOut` (see there what becomes of a large message), `MessageTooLarge`, `ClosedError`.
        """
        self._check_writable()
        deadline = NEVER if timeout is None else deadline_after(timeout)
        parts = self._serializer.dumps(obj)
        try:
            sent = self._send(parts, deadline)
        except (PeerGone, MessageTooLarge):
            self._serializer.discard(parts)
            raise
        if not sent:
            if sent is False:
                self._serializer.discard(parts)
            self._raise_timed_out("send", timeout)

    def recv(self, *, timeout: float | None = None) -> Any:
        """Receive an object.

        Raises `EndOfStream` (an EOFError) after the last message when the other side is gone,
        `TimedOut`, `BrokenConnection`, `ClosedError`, and what unpickling raises: that message is
        taken then, and the next one arrives. After an exception that is no `Exception`
        (KeyboardInterrupt) the message is still there.
        """
        self._check_readable()
        deadline = NEVER if timeout is None else deadline_after(timeout)
        while True:
            message = self._peek(deadline, None)
            if message is None:
                self._raise_timed_out("recv", timeout)
            # It is taken first, so that nobody else rebuilds it: a handle in it can be received once. Signal
            # handlers run after calls of C functions, at the start of Python functions and on backward
            # jumps, so none comes between the taking and the store of its outcome, or before the return.
            taken = False
            try:
                taken = self._take(message)
                if taken:
                    return self._serializer.loads(message)
            except Exception:
                raise
            except BaseException:
                if taken:
                    self._give_back(message)
                raise

    def send_bytes(
        self,
        buf: Any,
        offset: int = 0,
        size: int | None = None,
        *,
        timeout: float | None = None,
    ) -> None:
        """Send `size` bytes of a bytes-like object from `offset` on, as one message.

        `offset` and `size` count bytes, whatever the item size of the buffer. Raises as `send` does,
        and ValueError when they do not lie within the buffer.
        """
        self._check_writable()
        deadline = NEVER if timeout is None else deadline_after(timeout)
        if type(buf) is not bytes or offset or size is not None:
            buf = _window(buf, offset, size)
        if not self._send((buf,), deadline):
            self._raise_timed_out("send_bytes", timeout)

    def recv_bytes(self, maxlength: int | None = None, *, timeout: float | None = None) -> bytes:
        """Receive one message as bytes.

        A message above `maxlength` bytes raises `MessageTooLarge` (an OSError) before anything is
        allocated for it, and nothing more can be received. Raises as `recv` does.
        """
        self._check_readable()
        if maxlength is not None and maxlength < 0:
            raise ValueError(f"negative maxlength: {maxlength}")
        deadline = NEVER if timeout is None else deadline_after(timeout)
        while True:
            message = self._peek(deadline, maxlength)
            if message is None:
                self._raise_timed_out("recv_bytes", timeout)
            copied = message if type(message) is bytes else bytes(message)
            if self._take(message):
                return copied

    def recv_bytes_into(self, buf: Any, offset: int = 0, *, timeout: float | None = None) -> int:
        """Receive one message into a writable buffer, `offset` bytes from its start; returns its size.

        A message that does not fit raises `BufferTooShort` with the whole message in its ``args[0]``.
        Raises as `recv` does, and ValueError when the offset lies outside of the buffer.
        """
        self._check_readable()
        target = memoryview(buf)
        if target.readonly:
            raise TypeError("recv_bytes_into needs a writable buffer")
        if offset < 0:
            raise ValueError(f"negative offset: {offset}")
        if offset > target.nbytes:
            raise ValueError(f"offset too large: {offset} in a buffer of {target.nbytes} bytes")
        room = (target if target.format == "B" and target.ndim == 1 else target.cast("B"))[offset:]
        deadline = NEVER if timeout is None else deadline_after(timeout)
        while True:
            message = self._peek(deadline, None)
            if message is None:
                self._raise_timed_out("recv_bytes_into", timeout)
            size = len(message)
            if size > len(room):
                whole = bytes(message)
                if self._take(message):
                    raise BufferTooShort(whole, len(room))
                continue
            room[:size] = message
            if self._take(message):
                return size

    def send_handle(self, fd: int, *, timeout: float | None = None) -> None:
        """Send an open file descriptor, as a message of its own; see `Capabilities.descriptors`.

        The system duplicates it: it stays the caller's, who may close it when this returns. It also arrives
        when its sender has ended. Raises as `send` does, and OSError for what is no descriptor, or when too
        many are in flight; `UnsupportedOperation` where the transport passes none.
        """
        self._check_writable()
        deadline = NEVER if timeout is None else deadline_after(timeout)
        if not self._send_handle(operator.index(fd), deadline):
            self._raise_timed_out("send_handle", timeout)

    def recv_handle(self, *, timeout: float | None = None) -> int:
        """Receive a descriptor that `send_handle` sent; it is the caller's to close, and closed on exec.

        Where the next message is another one, `OtherKindOfMessage` is raised and it stays; so do `recv` and
        the like where it is a descriptor. OSError (EMFILE) while this process has no descriptor left: it can
        be received later. Else raises as `recv_bytes` does.
        """
        self._check_readable()
        deadline = NEVER if timeout is None else deadline_after(timeout)
        fd = self._recv_handle(deadline)
        if fd is None:
            self._raise_timed_out("recv_handle", timeout)
        return fd

    def poll(self, timeout: float | None = 0.0) -> bool:
        """Whether `recv` would find something within `timeout` seconds: a message, or the end."""
        self._check_readable()
        return self._poll(deadline_after(timeout))

    def fileno(self) -> int:
        """A descriptor that select, poll and event loops can wait on; see `Capabilities.fileno`."""
        self._check_open()
        return self._fileno()

    @abstractmethod
    def _send(self, parts: Sequence[Buffer], deadline: Deadline) -> bool | None:
        """Send one message, the concatenation of `parts`; False when the deadline passed first.

        Then none of it was sent, nor ever will be. It returns None if a part was, whose rest goes out as
        after an interrupt.

        Blocks: while the transport is full, until the deadline; never after the other side is gone.
        Threads: any number at once; their messages do not mix. A signal handler may send on the same
            end while its own thread is inside: nothing mixes and nothing waits for ever.
        Buffers: `parts` belong to the caller and may change when this returns or raises.
        Raises: `PeerGone` when nobody can receive any more; `MessageTooLarge`; `ClosedError`.
        Interrupted: the message is delivered whole or not at all, and the next one arrives whole. The
            rest of a message that was under way goes out with the next operation on this end.
        Peer death: `PeerGone` within 0.1 s, also when parked.
        After fork: a message that another process was sending is that process's to finish.
        """

    @abstractmethod
    def _peek(self, deadline: Deadline, limit: int | None) -> Buffer | None:
        """The next message, whole, which stays at the head until `_take`; None when the deadline passed.

        Blocks: until a whole message is here, the stream has ended, or the deadline has passed.
        Threads: any number at once; several may see the same message, one of them takes it.
        Buffers: the message belongs to whoever takes it; nothing of it is used again.
        Raises: `EndOfStream`; `BrokenConnection`; `ClosedError`; `MessageTooLarge` above `limit` bytes,
            before allocation.
        Interrupted: nothing that arrived is lost; the next call goes on where this one stopped.
        Peer death: the messages sent before arrive, then `EndOfStream` within 0.1 s, also when parked.
        After fork: what the parent had received in part is the parent's to finish.
        """

    @abstractmethod
    def _take(self, message: Buffer) -> bool:
        """Take the message that `_peek` gave; False when somebody else has taken it.

        Blocks: never.
        Threads: of those who peeked at a message exactly one gets True.
        Buffers: after True the message is the caller's.
        Raises: nothing.
        Interrupted: cannot be: it calls no C function that signal handlers may follow.
        Peer death: makes no difference.
        After fork: the child's end and the parent's take different messages.
        """

    @abstractmethod
    def _give_back(self, message: Buffer) -> None:
        """Put back to the head a message that was taken and not used.

        Blocks: never.
        Threads: any number at once.
        Buffers: the message is the connection's again.
        Raises: nothing.
        Interrupted: the message is back.
        Peer death: makes no difference: it had arrived.
        After fork: it is back in the calling process.
        """

    @abstractmethod
    def _poll(self, deadline: Deadline) -> bool:
        """Whether something can be received, or the stream has ended, before the deadline.

        Blocks: until then.
        Threads: any number at once.
        Buffers: none.
        Raises: `ClosedError`.
        Interrupted: nothing is taken.
        Peer death: True, for the end of the stream is something to be received.
        After fork: as before.
        """

    @abstractmethod
    def _fileno(self) -> int:
        """The descriptor to wait on: for receiving, or for sending where this end only sends.

        Blocks: never.
        Threads: any number at once.
        Buffers: none; the descriptor stays the connection's.
        Raises: `UnsupportedOperation` where `Capabilities.fileno` is False.
        Interrupted: changes nothing.
        Peer death: the descriptor becomes readable.
        After fork: each process has its own.
        """

    def _send_handle(self, fd: int, deadline: Deadline) -> bool | None:
        """Send a descriptor as one message; what is returned is as in `_send`.

        Blocks: while the transport is full, until the deadline; never after the other side is gone.
        Threads: any number at once.
        Buffers: the descriptor stays the caller's.
        Raises: `UnsupportedOperation` where `Capabilities.descriptors` is False; OSError; else as `_send`.
        Interrupted: as `_send`; no descriptor is left open.
        Peer death: `PeerGone` within 0.1 s, also when parked.
        After fork: a message that another process was sending is that process's to finish.
        """
        raise UnsupportedOperation(f"{self!r} passes no descriptors", _PASSES)

    def _recv_handle(self, deadline: Deadline) -> int | None:
        """Receive a descriptor, which is the caller's; None when the deadline passed.

        Blocks: until a message is here, the stream has ended, or the deadline has passed.
        Threads: any number at once; one of them gets it.
        Buffers: none.
        Raises: `UnsupportedOperation` where `Capabilities.descriptors` is False; `OtherKindOfMessage`;
            OSError; else as `_peek`.
        Interrupted: it was returned, or the next call returns it.
        Peer death: what it sent before arrives, then `EndOfStream` within 0.1 s, also when parked.
        After fork: what the parent had received in part is the parent's to finish.
        """
        raise UnsupportedOperation(f"{self!r} passes no descriptors", _PASSES)

    def _holds_message(self) -> bool:
        """Whether something to receive is held in this process, where `fileno()` does not show it."""
        return False

    def _check_writable(self) -> None:
        if self._closed_by is not None:
            self._check_open()
        if not self._writable:
            raise UnsupportedOperation(f"{self!r} is read-only", "send on the other end of the pair")

    def _check_readable(self) -> None:
        if self._closed_by is not None:
            self._check_open()
        if not self._readable:
            raise UnsupportedOperation(f"{self!r} is write-only", "receive on the other end of the pair")

    def _raise_timed_out(self, operation: str, timeout: float | None) -> NoReturn:
        raise TimedOut(f"{operation} on {self!r} did not finish within {timeout} s")


def _window(buf: Any, offset: int, size: int | None) -> memoryview:
    view = memoryview(buf)
    if view.format != "B" or view.ndim != 1:
        view = view.cast("B")
    length = len(view)
    if offset < 0:
        raise ValueError(f"offset is negative: {offset}")
    if length < offset:
        raise ValueError(f"buffer length < offset: {length} < {offset}")
    if size is None:
        size = length - offset
    elif size < 0:
        raise ValueError(f"size is negative: {size}")
    elif offset + size > length:
        raise ValueError(f"buffer length < offset + size: {length} < {offset} + {size}")
    return view[offset : offset + size]
