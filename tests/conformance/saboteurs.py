"""Backends that are broken on purpose, and for each the case of the kit that must find it out."""

from __future__ import annotations

import fcntl
import os
import select
import struct
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any, ClassVar

import ipcframe
from ipcframe.abc import Backend, Buffer, Channel, Connection
from ipcframe.capabilities import Capabilities
from ipcframe.deadline import Deadline
from ipcframe.errors import EndOfStream, PeerGone
from ipcframe.hookspecs import hookimpl
from ipcframe.settings import Sourced
from ipcframe.toolkit.framing import HEADER
from ipcframe.toolkit.handoff import pass_fd
from ipcframe.toolkit.packets import PacketChannel
from ipcframe.toolkit.stream import StreamConnection
from ipcframe.toolkit.waiting import Patience

PACKET = 4096


class Honest(StreamConnection):
    atomic_write = select.PIPE_BUF


class Saboteur(Backend):
    """A backend over os.pipe, as good as the endpoints that it makes."""

    name = "honest"
    capabilities = Capabilities(channel=True, fileno=True, packet_size=PACKET)
    connection: ClassVar[type[Honest]] = Honest
    packets: ClassVar[type[PacketChannel]] = PacketChannel
    rejected_by: ClassVar[str] = ""
    true: ClassVar[str] = "pipe"
    """The backend that passes that case."""
    fails_in_many_ways: ClassVar[bool] = False
    """What its case meets first is chance: the golden text begins with the promise."""

    @classmethod
    @hookimpl
    def ipcframe_backend(cls, name: str, settings: Mapping[str, Sourced]) -> Backend | None:
        return cls(settings) if name == cls.name else None

    def connection_pair(self, duplex: bool) -> tuple[Connection, Connection]:
        (a, b), (c, d) = os.pipe(), os.pipe() if duplex else (None, None)
        return self.connection(a, d), self.connection(c, b)

    def channel(self) -> Channel:
        return self.packets(*os.pipe2(os.O_DIRECT | os.O_CLOEXEC), packet_size=PACKET, capacity=256)


class TearingConnection(Honest):
    def _send(self, parts: Sequence[Buffer], deadline: Deadline) -> bool | None:
        whole = b"".join(parts)
        if len(whole) < 2**20:
            return super()._send(parts, deadline)
        half = len(whole) // 2
        return super()._send((whole[:half],), deadline) and super()._send((whole[half:],), deadline)


class Tears(Saboteur):
    """A large message arrives as two."""

    name = "tears"
    connection = TearingConnection
    rejected_by = "test_a_message_of_any_size_arrives_whole[1048576]"


class ForgetfulConnection(Honest):
    def _peek(self, deadline: Deadline, limit: int | None) -> Buffer | None:
        message = super()._peek(deadline, limit)
        poller = select.poll()
        poller.register(self._intake.fd, select.POLLIN)
        left = struct.unpack("i", fcntl.ioctl(self._intake.fd, termios.FIONREAD, b"0000"))[0]
        if left == 0 and any(event & select.POLLHUP for _, event in poller.poll(0)):
            raise EndOfStream("forgot the last message")
        return message


class DropsLast(Saboteur):
    """The last message before the end of the stream is lost."""

    name = "drops-last"
    connection = ForgetfulConnection
    rejected_by = "test_the_end_comes_after_all_messages_when_the_peer_closes[recv]"


class IndifferentConnection(Honest):
    def _peek(self, deadline: Deadline, limit: int | None) -> Buffer | None:
        try:
            return super()._peek(deadline, limit)
        except EndOfStream:
            time.sleep(min(deadline.remaining(), 5))
            return None


class SwallowsTheEnd(Saboteur):
    """Who waits for a peer that is gone waits for its timeout."""

    name = "swallows-the-end"
    connection = IndifferentConnection
    rejected_by = "test_the_end_comes_after_all_messages_when_the_peer_closes[recv_bytes]"


class DeafConnection(Honest):
    def _send(self, parts: Sequence[Buffer], deadline: Deadline) -> bool | None:
        try:
            return super()._send(parts, deadline)
        except PeerGone:
            return True


class SwallowsPeerGone(Saboteur):
    """Sending to nobody seems to work."""

    name = "swallows-peer-gone"
    connection = DeafConnection
    rejected_by = "test_sending_to_a_closed_end_raises[one way-send]"


class SlowConnection(Honest):
    def _peek(self, deadline: Deadline, limit: int | None) -> Buffer | None:
        if deadline.expired:
            select.select([self._intake.fd], [], [], 0.8)
        return super()._peek(deadline, limit)


class IgnoresZero(Saboteur):
    """A timeout of 0 waits all the same."""

    name = "ignores-zero"
    connection = SlowConnection
    rejected_by = "test_receiving_from_an_empty_stream_times_out[0-recv]"


class LeakingConnection(Honest):
    def _send(self, parts: Sequence[Buffer], deadline: Deadline) -> bool | None:
        os.dup(self._outlet.fd)
        return super()._send(parts, deadline)


class Leaks(Saboteur):
    """Each message costs a descriptor."""

    name = "leaks"
    connection = LeakingConnection
    rejected_by = "test_messages_leave_no_descriptor"


class RepeatingConnection(Honest):
    count = 0

    def _send(self, parts: Sequence[Buffer], deadline: Deadline) -> bool | None:
        self.count += 1
        return super()._send(parts, deadline) and (self.count % 5 != 0 or super()._send(parts, deadline))


class Doubles(Saboteur):
    """Every fifth message arrives twice."""

    name = "doubles"
    connection = RepeatingConnection
    rejected_by = "test_messages_wait_in_the_order_in_which_they_were_sent"


class ReorderingConnection(Honest):
    count = 0
    held: list[bytes] | None = None

    def _send(self, parts: Sequence[Buffer], deadline: Deadline) -> bool | None:
        self.count += 1
        if self.count % 3 == 0:
            self.held = [bytes(part) for part in parts]
            return True
        sent = super()._send(parts, deadline)
        held, self.held = self.held, None
        return sent and (held is None or super()._send(held, deadline))


class Reorders(Saboteur):
    """Every third message comes one later."""

    name = "reorders"
    connection = ReorderingConnection
    rejected_by = "test_messages_wait_in_the_order_in_which_they_were_sent"


class ImmortalConnection(Honest):
    def _check_open(self) -> None:
        pass

    def _close(self) -> None:
        pass


class UsableAfterClose(Saboteur):
    """Nothing is closed by close."""

    name = "usable-after-close"
    connection = ImmortalConnection
    rejected_by = "test_a_closed_end_refuses_everything_and_says_who_closed_it"


class CarelessConnection(Honest):
    """Reads through variables, as everybody would write it first."""

    held: bytes | None = None
    torn = False

    def _peek(self, deadline: Deadline, limit: int | None) -> Buffer | None:
        if self.held is None:
            header = self._read(HEADER.size, deadline)
            if header is None:
                return None
            size = HEADER.unpack(header)[0] & 0xFFFF_FFFF_FFFF
            self.held = self._read(size, deadline) or b""
        return self.held

    def _read(self, size: int, deadline: Deadline) -> bytes | None:
        got = b""
        while len(got) < size:
            if not select.select([self._intake.fd], [], [], min(deadline.remaining(), 30))[0]:
                return None
            part = os.read(self._intake.fd, size - len(got))
            if not part:
                if self.torn and got:
                    return got
                raise EndOfStream("the end")
            got += part
        return got

    def _take(self, message: Buffer) -> bool:
        taken = self.held is message
        self.held = None
        return taken


class LosesInterrupted(Saboteur):
    """An interrupted receive loses what it had read."""

    name = "loses-interrupted"
    fails_in_many_ways = True
    connection = CarelessConnection
    rejected_by = "test_an_interrupted_receive_loses_nothing[recv-small]"


class TearingAtTheEnd(CarelessConnection):
    torn = True


class DeliversHalf(Saboteur):
    """Of a killed sender's message the first half is delivered."""

    name = "delivers-half"
    connection = TearingAtTheEnd
    rejected_by = "test_a_sender_killed_within_a_message_never_leaves_a_torn_one[fork]"


class GenerousChannel(PacketChannel):
    count = 0

    def _receive(self, deadline: Deadline) -> bytes | None:
        packet = super()._receive(deadline)
        self.count += 1
        if packet and self.count % 10 == 0:
            super()._send(packet, deadline)
        return packet


class HandsOutTwice(Saboteur):
    """Every tenth packet goes to two receivers."""

    name = "hands-out-twice"
    packets = GenerousChannel
    rejected_by = "test_four_threads_each_way_lose_and_double_nothing"


class CarelessChannel(PacketChannel):
    def _receive(self, deadline: Deadline) -> bytes | None:
        while select.select([self._read_fd], [], [], min(deadline.remaining(), 30))[0]:
            try:
                packet = os.read(self._read_fd, PACKET)
            except BlockingIOError:
                continue
            return packet
        return None


class LosesInterruptedPackets(Saboteur):
    """An interrupted receive loses the packet that it had read."""

    name = "loses-interrupted-packets"
    packets = CarelessChannel
    rejected_by = "test_an_interrupted_receive_loses_no_packet[64]"


class Number:
    """A descriptor that its owner may close at any time."""

    def __init__(self, fd: int) -> None:
        self.fd = fd


class LendingConnection(Honest):
    def __reduce__(self) -> tuple[Any, ...]:
        rebuild, (kind, _, *state) = super().__reduce__()
        return rebuild, (kind, [pass_fd(fd, Number(fd)) for fd in self._fds], *state)


class LendsWhatItCloses(Saboteur):
    """A connection in flight is gone when the one that was sent is closed."""

    name = "lends-what-it-closes"
    connection = LendingConnection
    rejected_by = "test_every_handle_arrives_in_a_process_that_runs_already[fork-Pipe]"


class HopefulChannel(PacketChannel):
    def _wait(self, patience: Patience, fd: int, event: int, deadline: Deadline) -> bool:
        again = patience.wait(((fd, event),), deadline) or not deadline.expired
        self._check_open()
        return again


class WaitsForTheLucky(Saboteur):
    """Looks at the clock only when nothing is to be had: who always comes too late waits for ever."""

    name = "waits-for-the-lucky"
    packets = HopefulChannel
    fails_in_many_ways = True
    rejected_by = "test_competitors_that_are_always_faster_do_not_prolong_the_timeout[receive]"


class SleepingConnection(Honest):
    def _poll(self, deadline: Deadline) -> bool:
        while True:
            time.sleep(60)


class Hangs(Saboteur):
    """Waits for ever: the one for the watchdog."""

    name = "hangs"
    connection = SleepingConnection
    rejected_by = "test_poll_keeps_its_timeout"


def saboteurs() -> list[type[Saboteur]]:
    for kind in ("queue", "sync", "capability", "careless", "resident", "rendezvous"):
        import_module(f"{kind}_saboteurs")  # they import this one
    found = list(_leaves(Saboteur))
    assert all(one.rejected_by for one in found)
    return found


def _leaves(kind: type[Saboteur]) -> Iterator[type[Saboteur]]:
    for one in kind.__subclasses__():
        yield from _leaves(one) if one.__subclasses__() else (one,)


def register() -> None:
    for one in saboteurs():
        ipcframe.register(one, name=one.name)
    import_module("careless_saboteurs").register()
