"""StreamConnection: a complete `Connection` over two descriptors that carry bytes in order.

A backend gives it a readable and a writable descriptor (one socket may be both) and has a connection with
every promise of the contract. The rules that make it survive signals and threads are in `framing`.
"""

from __future__ import annotations

import contextlib
import os
import weakref
from collections.abc import Callable, Sequence
from typing import Any

from ..abc import Buffer, Connection, Notify, Serializer, silent
from ..deadline import NOW, Deadline
from ..errors import PeerGone, UnsupportedOperation
from . import forks
from .descriptor import Descriptor
from .framing import NATIVE, Framing
from .handoff import Passed, pass_fd, receive_fd
from .intake import Intake
from .memory import physical_memory
from .outlet import Outlet
from .serialisation import PICKLE
from .waiting import POLLIN, POLLOUT, Patience, wake_parked

__all__ = ["StreamConnection"]

# No other OSError: a signal handler may raise one after all was written, and it would be written twice.
_FULL_OR_GONE = (BlockingIOError, BrokenPipeError, ConnectionResetError)


class StreamConnection(Connection):
    """A connection that receives from `read_fd` and sends to `write_fd`, and owns both.

    They are the connection's from the call of this on, and become non-blocking. `message_limit` is in
    bytes; by default the machine's memory.
    """

    atomic_write = 0
    """Writes of at most so many bytes are all or nothing (PIPE_BUF on a pipe, 0 on a socket)."""
    framing: Framing = NATIVE
    """How messages are told apart; both ends must agree."""
    intake: type[Intake] = Intake
    outlet: type[Outlet] = Outlet
    """What takes messages out of the readable descriptor, and what puts them into the writable one."""

    def __init__(
        self,
        read_fd: int | None,
        write_fd: int | None,
        *,
        serializer: Serializer = PICKLE,
        message_limit: int | None = None,
        name: str | None = None,
        notify: Notify = silent,
    ) -> None:
        self._fds = list(dict.fromkeys(fd for fd in (read_fd, write_fd) if fd is not None))
        super().__init__(serializer=serializer, readable=read_fd is not None, writable=write_fd is not None)
        limit = physical_memory() if message_limit is None else message_limit
        self.name = name
        self.notify = notify
        self._message_limit = message_limit
        owner = weakref.ref(self)  # for errors; a strong one would keep an unused connection from closing
        found: dict[int | None, Descriptor] = {fd: self._descriptor(fd) for fd in self._fds}
        self._intake = self.intake(found.get(read_fd, -1), limit, owner, self.framing)
        self._outlet = self.outlet(found.get(write_fd, -1), limit, self.atomic_write, owner, self.framing)
        self._in_patience = Patience()
        self._out_patience = Patience()
        self._in_interests = ((self._intake.fd, POLLIN),)
        self._out_interests = ((self._outlet.fd, POLLOUT),)
        self._generation = forks.generation

    def _descriptor(self, fd: int) -> Descriptor:
        """A way to reach this descriptor of ours without blocking."""
        os.set_blocking(fd, False)
        return Descriptor(fd)

    def _describe(self) -> str:
        if len(self._fds) == 2:
            return f"duplex fds {self._fds[0]}, {self._fds[1]}"
        kind = "duplex" if self._readable and self._writable else "receiving" if self._readable else "sending"
        return f"{kind} fd {', '.join(map(str, self._fds))}"

    # --- sending ---

    def _send(self, parts: Sequence[Buffer], deadline: Deadline) -> bool | None:
        if self._generation is not forks.generation:
            self._forked()
        outlet = self._outlet
        frame = outlet.frame(parts)
        if isinstance(frame, bytes):
            # The first try does without what it takes to wait.
            try:
                if outlet.write_atomic(frame):
                    return True
            except _FULL_OR_GONE:
                pass  # it shows again below
            except OSError:
                self._check_open()
                raise
            return self._repeat(lambda: outlet.write_atomic(frame), deadline)
        try:
            if outlet.begin(frame) or self._repeat(lambda: self._begin(frame), deadline):
                done = not outlet.busy_with(frame)
                if done or self._repeat(lambda: self._push_out(frame), deadline):
                    return True
        except BaseException as error:
            outlet.abandon(frame)
            if isinstance(error, OSError):
                self._check_open()
            raise
        return None if outlet.abandon(frame) else False

    def _begin(self, frame: Sequence[Buffer]) -> bool:
        outlet = self._outlet
        if outlet.begin(frame):
            return True
        outlet.push()  # an earlier message comes first
        return False

    def _push_out(self, frame: Sequence[Buffer]) -> bool:
        outlet = self._outlet
        if outlet.busy_with(frame):
            outlet.push()
        return not outlet.busy_with(frame)

    def _repeat(self, move: Callable[[], bool | None], deadline: Deadline) -> bool:
        """Make the non-blocking move until it is done, waiting where nothing can be written."""
        while True:
            try:
                if move():
                    return True
            except BlockingIOError:
                self._check_open()
                # Also with progress: a peer that takes a byte now and then must not prolong the timeout.
                if deadline.expired:
                    return False
                self._out_patience.wait(self._out_interests, deadline)
                self._check_open()
            except (BrokenPipeError, ConnectionResetError) as error:
                self._outlet.drop()
                if isinstance(error, PeerGone):
                    raise
                raise PeerGone(
                    f"{self!r}: the other side is closed or has ended", "nobody can receive what is sent"
                ) from None
            except OSError:
                self._check_open()
                raise

    # --- receiving ---

    def _peek(self, deadline: Deadline, limit: int | None) -> Buffer | None:
        if self._generation is not forks.generation:
            self._forked()
        intake = self._intake
        patience = self._in_patience
        ready = intake.started or self._outlet.pending is not None
        if patience.expects_to_wait and not ready and deadline is not NOW:
            patience.wait(self._in_interests, deadline)
        while True:
            try:
                message = intake.next_message(limit)
                if message is not None:
                    return message
            except BlockingIOError:
                self._check_open()
                if deadline.expired:
                    return None
                self._wait_to_receive(deadline)
                self._check_open()
            except ConnectionResetError:
                intake.end()
            except OSError:
                self._check_open()
                raise

    def _take(self, message: Buffer) -> bool:
        return self._intake.take(message)

    def _give_back(self, message: Buffer) -> None:
        self._intake.give_back(message)

    def _holds_message(self) -> bool:
        return self._generation is forks.generation and self._intake.answers_at_once

    def _poll(self, deadline: Deadline) -> bool:
        if self._generation is not forks.generation:
            self._forked()
        if self._holds_message():
            return True
        while True:
            if self._in_patience.wait(self._in_interests, NOW):
                return True
            if deadline.expired:
                return False
            self._wait_to_receive(deadline)
            self._check_open()

    def _wait_to_receive(self, deadline: Deadline) -> bool:
        """Wait for something to receive; the rest of an interrupted message goes out meanwhile."""
        if self._outlet.pending is None:
            return self._in_patience.wait(self._in_interests, deadline)
        self._push_quietly()
        interests: tuple[tuple[int, int], ...] = ((self._intake.fd, POLLIN),)
        if self._outlet.pending is not None:
            both = POLLIN | POLLOUT
            same = self._outlet.fd == self._intake.fd
            interests = ((self._intake.fd, both),) if same else (*interests, (self._outlet.fd, POLLOUT))
        return self._in_patience.wait(interests, deadline)

    def _push_quietly(self) -> None:
        with contextlib.suppress(BlockingIOError):
            try:
                self._outlet.push()
            except (BrokenPipeError, ConnectionResetError):
                self._outlet.drop()

    # --- the rest ---

    def _fileno(self) -> int:
        return self._intake.fd if self._readable else self._outlet.fd

    def _close(self) -> None:
        if self._generation is not forks.generation:
            self._forked()
        if self._outlet.pending is not None:
            with contextlib.suppress(OSError):
                self._push_quietly()
        # Whoever is inside a move has finished it before the descriptor goes, and finds it gone after.
        with self._intake.lock, self._outlet.lock:
            fds = self._fds.copy()
            self._intake.close()
            self._outlet.close()
            self._close_fds()
        wake_parked(fds)

    def _close_fds(self) -> None:
        while self._fds:
            os.close(self._fds.pop())

    def __del__(self) -> None:
        if self._closed_by is None and hasattr(self, "_generation"):
            self._closed_by = "the garbage collector"
            self._close()
        elif hasattr(self, "_fds"):  # its construction failed, or `close` was interrupted
            self._close_fds()

    def _forked(self) -> None:
        with forks.renewal:  # one thread of the child renews, once
            if self._generation is not forks.generation:
                self._intake.restart()
                self._outlet.restart()
                self._generation = forks.generation

    def __reduce__(self) -> tuple[Any, ...]:
        self._check_open()
        if self._generation is forks.generation and (self._intake.started or self._outlet.pending):
            raise UnsupportedOperation(
                f"{self!r} cannot be handed over: it was interrupted in the middle of a message",
                "receive or send once more, then hand it over",
            )
        passed = [pass_fd(fd) for fd in self._fds]
        ways = (self._readable, self._writable)
        return _rebuild, (
            type(self),
            passed,
            ways,
            self._serializer,
            self._message_limit,
            self.name,
            self.notify,
        )


def _rebuild(
    kind: type[StreamConnection],
    passed: list[Passed],
    ways: tuple[bool, bool],
    serializer: Serializer,
    message_limit: int | None,
    name: str | None,
    notify: Notify,
) -> StreamConnection:
    fds = [receive_fd(one) for one in passed]
    return kind(
        fds[0] if ways[0] else None,
        fds[-1] if ways[1] else None,
        serializer=serializer,
        message_limit=message_limit,
        name=name,
        notify=notify,
    )
