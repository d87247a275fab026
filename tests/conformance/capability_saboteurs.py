"""Saboteurs that declare of themselves what is not so: too much and too little, of each capability."""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from typing import Any

from saboteurs import PACKET, Honest, Saboteur

from ipcframe.abc import Buffer, Channel, Connection, Listener
from ipcframe.deadline import Deadline
from ipcframe.errors import MessageTooLarge, UnsupportedOperation
from ipcframe.toolkit.packets import PacketChannel

HONEST = Saboteur.capabilities


class DeclaresARendezvous(Saboteur):
    """Declares a rendezvous that it has not."""

    name = "declares-a-rendezvous"
    capabilities = HONEST._replace(rendezvous=True)
    rejected_by = "test_a_rendezvous_is_there_if_declared_and_only_then"


class Somewhere(Listener):
    address: Any = "somewhere"

    def accept(self, *, timeout: float | None = None) -> Connection:
        raise NotImplementedError

    def _close(self) -> None:
        pass


class HidesItsRendezvous(Saboteur):
    """Declares no rendezvous, and has one."""

    name = "hides-its-rendezvous"
    rejected_by = "test_a_rendezvous_is_there_if_declared_and_only_then"

    def listener(self, address: Any = None, **options: Any) -> Listener:
        return Somewhere()


class DeclaresAChannel(Saboteur):
    """Declares a channel that it has not."""

    name = "declares-a-channel"
    rejected_by = "test_channels_are_there_if_declared_and_only_then"

    def channel(self) -> Channel:
        raise self._unsupported("channel", "channel")


class HidesItsChannel(Saboteur):
    """Declares no channel, and has one."""

    name = "hides-its-channel"
    capabilities = HONEST._replace(channel=False, packet_size=0)
    rejected_by = "test_channels_are_there_if_declared_and_only_then"


class WithoutDescriptor(Honest):
    def _fileno(self) -> int:
        raise UnsupportedOperation("it has no descriptor to wait on", "declare fileno=False")


class DeclaresAFileno(Saboteur):
    """Declares descriptors to wait on, and its connections have none."""

    name = "declares-a-fileno"
    connection = WithoutDescriptor
    rejected_by = "test_the_descriptor_is_readable_while_there_is_something"


class HidesItsFileno(Saboteur):
    """Declares no descriptors to wait on, and has some."""

    name = "hides-its-fileno"
    capabilities = HONEST._replace(fileno=False)
    rejected_by = "test_the_descriptor_is_readable_while_there_is_something"


class DeclaresLoans(Saboteur):
    """Declares an operation that the contract does not have."""

    name = "declares-loans"
    capabilities = HONEST._replace(loans=True)
    rejected_by = "test_nothing_is_declared_that_the_contract_has_no_operation_for[loans]"


class DeclaresDescriptors(Saboteur):
    """Declares that its connections pass descriptors, and they do not."""

    name = "declares-descriptors"
    capabilities = HONEST._replace(descriptors=True)
    rejected_by = "test_descriptors_are_passed_if_that_is_declared_and_only_then"


class PassingConnection(Honest):
    def _send_handle(self, fd: int, deadline: Deadline) -> bool | None:
        return True


class HidesItsDescriptors(Saboteur):
    """Declares that it passes no descriptors, and takes some."""

    name = "hides-its-descriptors"
    connection = PassingConnection
    rejected_by = "test_descriptors_are_passed_if_that_is_declared_and_only_then"


class DeclaresZeroCopy(Saboteur):
    """Declares that large buffers are not copied, and copies them."""

    name = "declares-zero-copy"
    capabilities = HONEST._replace(zero_copy=True)
    rejected_by = "test_large_buffers_arrive_in_shared_memory_if_that_is_declared_and_only_then"


class SharingConnection(Honest):
    shared: memoryview | None = None

    def _peek(self, deadline: Deadline, limit: int | None) -> Buffer | None:
        message = super()._peek(deadline, limit)
        if message is None or len(message) < 2**20:
            return message
        if self.shared is None:
            self.shared = memoryview(mmap.mmap(-1, len(message)))
            self.shared[:] = message
            assert super()._take(message)
        return self.shared

    def _take(self, message: Buffer) -> bool:
        if message is self.shared:
            self.shared = None
            return True
        return super()._take(message)


class HidesItsZeroCopy(Saboteur):
    """Declares that large buffers are copied, and they lie in shared memory."""

    name = "hides-its-zero-copy"
    connection = SharingConnection
    rejected_by = "test_large_buffers_arrive_in_shared_memory_if_that_is_declared_and_only_then"


class SharesWithItsForks(Saboteur):
    """Its large buffers lie in shared memory, where a forked child's changes show."""

    name = "shares-with-its-forks"
    capabilities = HONEST._replace(zero_copy=True)
    connection = SharingConnection
    rejected_by = "test_what_is_alive_when_a_child_begins_is_from_then_on_each_processs_own"


class DeclaresOtherHosts(Saboteur):
    """Declares that it crosses hosts, without any rendezvous."""

    name = "declares-other-hosts"
    capabilities = HONEST._replace(crosses_hosts=True)
    rejected_by = "test_other_machines_can_reach_a_listener_if_that_is_declared_and_only_then"


class Everywhere(Somewhere):
    address: Any = ("0.0.0.0", 4711)


class HidesOtherHosts(Saboteur):
    """Declares that it stays on one host, and listens for others."""

    name = "hides-other-hosts"
    capabilities = HONEST._replace(rendezvous=True)
    rejected_by = "test_other_machines_can_reach_a_listener_if_that_is_declared_and_only_then"

    def listener(self, address: Any = None, **options: Any) -> Listener:
        return Everywhere()


class DeclaresOneProcess(Saboteur):
    """Declares that its objects stay in their process, and they do not."""

    name = "declares-one-process"
    capabilities = HONEST._replace(in_process=True)
    rejected_by = "test_objects_stay_in_their_process_if_declared_and_only_then"


class RootedConnection(Honest):
    def __reduce__(self) -> tuple[Any, ...]:
        raise UnsupportedOperation(f"{self!r} stays in its process", "declare in_process=True")


class HidesOneProcess(Saboteur):
    """Declares nothing, and its connections stay in their process."""

    name = "hides-one-process"
    connection = RootedConnection
    rejected_by = "test_objects_stay_in_their_process_if_declared_and_only_then"


class LimitedConnection(Honest):
    def _send(self, parts: Sequence[Buffer], deadline: Deadline) -> bool | None:
        if sum(map(len, parts)) > 2**20:
            raise MessageTooLarge("more than a mebibyte", "send less")
        return super()._send(parts, deadline)


class HidesItsLimit(Saboteur):
    """Declares no limit of a message, and has one."""

    name = "hides-its-limit"
    connection = LimitedConnection
    rejected_by = "test_messages_pass_up_to_the_declared_limit_and_not_beyond"


class DeclaresALimit(Saboteur):
    """Declares a limit that it does not keep."""

    name = "declares-a-limit"
    capabilities = HONEST._replace(message_limit=2**20)
    rejected_by = "test_messages_pass_up_to_the_declared_limit_and_not_beyond"


class DeclaresLargePackets(Saboteur):
    """Declares packets that are larger than those of its channel."""

    name = "declares-large-packets"
    capabilities = HONEST._replace(packet_size=2 * PACKET)
    rejected_by = "test_packets_of_every_size_up_to_the_largest_pass"


class CuttingChannel(PacketChannel):
    def _send(self, packet: bytes, deadline: Deadline) -> bool:
        return super()._send(packet[: PACKET // 2], deadline)


class CutsPackets(Saboteur):
    """Of a packet that is larger than the half of what is declared the rest is lost."""

    name = "cuts-packets"
    packets = CuttingChannel
    rejected_by = "test_packets_of_every_size_up_to_the_largest_pass"
