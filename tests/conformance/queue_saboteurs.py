"""Backends whose queues are broken on purpose, and for each the case of the kit that must find it out."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Sequence
from queue import Empty
from typing import Any, ClassVar

from saboteurs import Saboteur

from ipcframe.abc import Buffer
from ipcframe.deadline import Deadline
from ipcframe.toolkit import arrival
from ipcframe.toolkit.serialisation import PickleSerializer
from ipcframe.toolkit.virtual.joinable import JoinableQueue
from ipcframe.toolkit.virtual.queue import Queue


class QueueSaboteur(Saboteur):
    """An honest backend with queues of its own, as good as those are."""

    queue: ClassVar[type[Queue]] = Queue
    joinable: ClassVar[type[JoinableQueue]] = JoinableQueue

    def native(self, kind: str, *args: Any) -> Any:
        makers = {"queue": self.queue, "joinable_queue": self.joinable}
        return makers[kind](*args, ctx=self) if kind in makers else None


def with_serializer(serializer: PickleSerializer) -> type[Queue]:
    class SerializingQueue(Queue):
        def _attach(self, *state: Any) -> None:
            channel, spill, maxsize, _, name, notify = state
            super()._attach(channel, spill, maxsize, serializer, name, notify)

    return SerializingQueue


class ForgetfulQueue(Queue):
    count = 0

    def put(self, obj: object, block: bool = True, timeout: float | None = None) -> None:
        self.count += 1
        if self.count % 5000:
            super().put(obj, block, timeout)


class DropsTheLastOfABurst(QueueSaboteur):
    """The last object of a burst never arrives."""

    name = "drops-the-last-of-a-burst"
    queue = ForgetfulQueue
    rejected_by = "test_a_burst_of_five_thousand_arrives_in_order_and_once[Queue]"


class ReorderingQueue(Queue):
    count = 0
    held: list[object]

    def put(self, obj: object, block: bool = True, timeout: float | None = None) -> None:
        self.count += 1
        if self.count % 7 == 0:
            self.held = [obj]
            return
        super().put(obj, block, timeout)
        if self.count % 7 == 1 and self.count > 1:
            super().put(self.held.pop())


class ReordersOneProducer(QueueSaboteur):
    """Every seventh object comes one later."""

    name = "reorders-one-producer"
    queue = ReorderingQueue
    rejected_by = "test_small_and_large_objects_keep_their_order[Queue]"


class TearingQueue(Queue):
    def _put_large(self, parts: Sequence[Buffer], deadline: Deadline) -> None:
        whole = bytearray(b"".join(parts))
        half = len(whole) // 2
        whole[half : half + 64] = bytes(64)
        super()._put_large([whole], deadline)


class TearsLargeObjects(QueueSaboteur):
    """In the middle of a large object there are zeros."""

    name = "tears-large-objects"
    queue = TearingQueue
    rejected_by = "test_an_object_of_any_size_arrives_whole[1048576]"


class SlowQueue(Queue):
    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        if timeout == 0 and self.empty():
            time.sleep(0.8)
        return super().get(block, timeout)


class GetsSlowlyFromNothing(QueueSaboteur):
    """A timeout of 0 waits all the same."""

    name = "gets-slowly-from-nothing"
    queue = SlowQueue
    rejected_by = "test_an_empty_queue_keeps_the_timeout[0-Queue]"


class LateQueue(Queue):
    def put(self, obj: object, block: bool = True, timeout: float | None = None) -> None:
        def feed() -> None:
            with contextlib.suppress(Exception):
                super(LateQueue, self).put(obj, block, timeout)

        threading.Thread(target=feed).start()


class PicklesLate(QueueSaboteur):
    """A thread pickles, as in multiprocessing: put has returned when that fails."""

    name = "pickles-late"
    queue = LateQueue
    rejected_by = "test_what_cannot_be_pickled_raises_in_put[Queue]"


class MiscountingQueue(Queue):
    def qsize(self) -> int:
        size = super().qsize()
        return size + (size > 300)


class Miscounts(QueueSaboteur):
    """qsize is one too many in a long queue."""

    name = "miscounts"
    queue = MiscountingQueue
    rejected_by = "test_qsize_and_full_are_exact[(1,)-Queue]"


class SecondThoughtsQueue(Queue):
    """Has a record of what was handed out last, and hands it out again when nothing else is left."""

    def __init__(self, maxsize: int = 0, *, ctx: Any) -> None:
        self.record = Queue(ctx=ctx)
        super().__init__(maxsize, ctx=ctx)

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        try:
            obj = super().get(block, timeout)
        except Empty:
            return self.record.get(False)  # its consumer may be dead
        with contextlib.suppress(Empty):
            self.record.get(False)
        self.record.put(obj)
        return obj


class DeliversTwiceAfterAKill(QueueSaboteur):
    """Takes a consumer that has not come back for dead, and delivers its object to another."""

    name = "delivers-twice-after-a-kill"
    queue = SecondThoughtsQueue
    rejected_by = "test_everything_arrives_whose_put_returned_before_its_producer_vanished[fork-small-kill]"


class LockingQueue(Queue):
    """Only one consumer sleeps, and it holds what the others need: a permit in an eventfd."""

    def __init__(self, maxsize: int = 0, *, ctx: Any) -> None:
        self.permit = os.eventfd(1, os.EFD_CLOEXEC)
        super().__init__(maxsize, ctx=ctx)

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        os.eventfd_read(self.permit)
        try:
            return super().get(block, timeout)
        finally:
            os.eventfd_write(self.permit, 1)

    def _close(self) -> None:
        os.close(self.permit)
        super()._close()


class SleepsWithALock(QueueSaboteur):
    """A consumer that waits holds a lock: killed, it takes the queue with it."""

    name = "sleeps-with-a-lock"
    queue = LockingQueue
    rejected_by = "test_a_consumer_killed_while_it_waits_holds_nobody_up[fork-Queue]"


class CarelessQueue(Queue):
    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        obj = super().get(block, timeout)
        self.count()
        return obj

    def count(self) -> None:
        """What stands between the taking and the return: there an interrupt loses what was taken."""
        time.sleep(0.00005)  # long enough to be met for certain


class LosesInterruptedObjects(QueueSaboteur):
    """An interrupted get loses the object that it had taken."""

    name = "loses-interrupted-objects"
    queue = CarelessQueue
    rejected_by = "test_an_interrupted_get_loses_no_object[small-Queue]"


class GenerousQueue(Queue):
    def _put_bounded(self, message: bytes, extent: Any, deadline: Deadline) -> None:
        self._maxsize += 1
        try:
            super()._put_bounded(message, extent, deadline)
        finally:
            self._maxsize -= 1


class TakesOneTooMany(QueueSaboteur):
    """A full queue takes another object."""

    name = "takes-one-too-many"
    queue = GenerousQueue
    rejected_by = "test_a_full_queue_keeps_the_timeout[0-Queue]"


class HastyJoinableQueue(JoinableQueue):
    def _unfinished(self) -> int:
        self._check_open()
        return self._size()


class JoinsTooSoon(QueueSaboteur):
    """join does not wait for what was taken and is not done."""

    name = "joins-too-soon"
    joinable = HastyJoinableQueue
    rejected_by = "test_join_waits_until_everything_is_reported_done[10]"


class ForgetfulSerializer(PickleSerializer):
    def loads(self, message: Buffer) -> Any:
        try:
            return super().loads(message)
        except BaseException:
            arrival._in_child()
            raise


class ForgetsWhatItFetched(QueueSaboteur):
    """What an interrupted get had fetched for the handles in its object is gone."""

    name = "forgets-what-it-fetched"
    queue = with_serializer(ForgetfulSerializer())
    rejected_by = "test_an_interrupted_receive_of_a_handle_is_done_again[Queue]"


class KeepingSerializer(PickleSerializer):
    def discard(self, parts: Sequence[Buffer]) -> None:
        pass


class KeepsWhatWasRefused(QueueSaboteur):
    """Handles that could not be put stay open for who will never get them."""

    name = "keeps-what-was-refused"
    queue = with_serializer(KeepingSerializer())
    rejected_by = "test_what_could_not_be_given_leaves_no_descriptor[Queue]"
