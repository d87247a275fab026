"""Saboteurs that forget what a program can do without for years: forks, execs, closing, deaths, defaults."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Generator, Mapping, Sequence
from typing import Any

from queue_saboteurs import QueueSaboteur
from saboteurs import Honest, Saboteur

import ipcframe
from ipcframe.abc import Backend, Buffer, Connection
from ipcframe.deadline import Deadline
from ipcframe.errors import ClosedError
from ipcframe.hookspecs import hookimpl
from ipcframe.settings import Sourced
from ipcframe.toolkit.virtual.queue import Queue


class ShorteningConnection(Honest):
    def _send(self, parts: Sequence[Buffer], deadline: Deadline) -> bool | None:
        whole = b"".join(parts)
        return super()._send((whole[:-1] if len(whole) > 2**16 else whole,), deadline)


class SendsShort(Saboteur):
    """Of a large message the last byte is missing."""

    name = "sends-short"
    connection = ShorteningConnection
    rejected_by = "test_a_message_of_any_size_arrives_whole[1048576]"


class SwallowsADeath(Saboteur):
    """The receiver holds the sending end open too, and never sees that its peer was killed."""

    name = "swallows-a-death"
    rejected_by = "test_the_messages_of_a_killed_sender_arrive_and_then_the_end[fork]"

    def connection_pair(self, duplex: bool) -> tuple[Connection, Connection]:
        first, second = super().connection_pair(duplex)
        if not duplex:
            held: Any = first
            held.also_open = Honest(None, os.dup(second.fileno()))
        return first, second


class HastyConnection(Honest):
    def _peek(self, deadline: Deadline, limit: int | None) -> Buffer | None:
        message = super()._peek(deadline, limit)
        if message is not None and len(message) == len("last"):
            super()._take(message)
            return super()._peek(deadline, limit)
        return message


class EndsTooSoon(Saboteur):
    """The end of the stream comes before a message that was delivered."""

    name = "ends-too-soon"
    connection = HastyConnection
    rejected_by = "test_the_end_comes_after_all_messages_when_the_peer_closes[recv]"


class WelcomingConnection(Honest):
    def send(self, obj: object, *, timeout: float | None = None) -> None:
        if not self.closed:
            super().send(obj, timeout=timeout)


class AcceptsAfterClose(Saboteur):
    """What is sent on a closed end is accepted, and goes nowhere."""

    name = "accepts-after-close"
    connection = WelcomingConnection
    rejected_by = "test_a_closed_end_refuses_everything_and_says_who_closed_it"


class WelcomingQueue(Queue):
    def put(self, obj: object, block: bool = True, timeout: float | None = None) -> None:
        try:
            super().put(obj, block, timeout)
        except ClosedError:
            return


class QueueAcceptsAfterClose(QueueSaboteur):
    """What is put into a closed queue is accepted, and goes nowhere."""

    name = "queue-accepts-after-close"
    queue = WelcomingQueue
    rejected_by = "test_a_closed_queue_refuses_and_says_who_closed_it[Queue]"


class RoundingConnection(Honest):
    def recv(self, *, timeout: float | None = None) -> Any:
        return super().recv(timeout=timeout if timeout is None else math.ceil(timeout))


class IgnoresTheTimeout(Saboteur):
    """Waits for whole seconds."""

    name = "ignores-the-timeout"
    connection = RoundingConnection
    rejected_by = "test_receiving_from_an_empty_stream_times_out[0.05-recv]"


class ForgetsCloseOnExec(Saboteur):
    """Its descriptors are inherited by every program that is executed."""

    name = "forgets-close-on-exec"
    rejected_by = "test_a_program_that_is_executed_inherits_no_descriptor"

    def connection_pair(self, duplex: bool) -> tuple[Connection, Connection]:
        pair = super().connection_pair(duplex)
        for end in pair:
            os.set_inheritable(end.fileno(), True)
        return pair


_one_at_a_time = threading.Lock()


class LockingConnection(Honest):
    def recv(self, *, timeout: float | None = None) -> Any:
        with _one_at_a_time:
            return super().recv(timeout=timeout)

    def send(self, obj: object, *, timeout: float | None = None) -> None:
        if _one_at_a_time.locked() and os.getpid() != _made_in:
            with _one_at_a_time:
                super().send(obj, timeout=timeout)
        super().send(obj, timeout=timeout)


_made_in = os.getpid()


class IsNotForkSafe(Saboteur):
    """A lock that a thread of the parent holds is held for ever in a forked child."""

    name = "is-not-fork-safe"
    connection = LockingConnection
    rejected_by = "test_a_child_works_while_the_parents_threads_are_inside_the_other_ends[fork]"


class ImpatientQueue(Queue):
    def put(self, obj: object, block: bool = False, timeout: float | None = None) -> None:
        super().put(obj, block, timeout)


class ChangesADefault(QueueSaboteur):
    """put does not wait unless it is told to."""

    name = "changes-a-default"
    queue = ImpatientQueue
    rejected_by = "test_operations_take_the_arguments_of_their_contract_with_its_defaults"


class RenamingConnection(Honest):
    def poll(self, seconds: float | None = 0.0) -> bool:
        return super().poll(seconds)


class RenamesAnArgument(Saboteur):
    """poll takes its timeout by another name."""

    name = "renames-an-argument"
    connection = RenamingConnection
    rejected_by = "test_operations_take_the_arguments_of_their_contract_with_its_defaults"


class LooseSettings(Saboteur):
    """Takes whatever is configured for it."""

    name = "takes-any-setting"
    rejected_by = "test_a_setting_that_is_not_declared_is_refused_with_its_name_and_source"

    def __init__(self, settings: Mapping[str, Sourced]) -> None:
        super().__init__({})


class LeakingBackend(Saboteur):
    """What was opened stays open when the second pipe cannot be opened."""

    name = "leaks-what-it-could-not-make"
    rejected_by = "test_what_cannot_be_made_for_want_of_descriptors_leaves_none[Pipe]"


class ForgetfulConnection(Honest):
    count = 0

    def send(self, obj: object, *, timeout: float | None = None) -> None:
        self.count += 1
        if self.count % 1000:
            super().send(obj, timeout=timeout)


class DropsOneInAThousand(Saboteur):
    """Good in itself; a plugin wraps its connections, and one message in a thousand is lost."""

    name = "drops-one-in-a-thousand"
    rejected_by = "test_five_thousand_messages_arrive_in_order_and_once"


class Dropping:
    """The plugin; it leaves the connections of others alone."""

    @staticmethod
    @hookimpl(wrapper=True)
    def ipcframe_make_connection_pair(
        backend: Backend,
    ) -> Generator[None, tuple[Connection, Connection], tuple[Connection, Connection]]:
        pair = yield
        if backend.name == DropsOneInAThousand.name:
            for end in pair:
                end.__class__ = ForgetfulConnection
        return pair


def register() -> None:
    ipcframe.register(Dropping, name="dropping")
