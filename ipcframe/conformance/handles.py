"""Cases: handles that go to processes which already run, and what becomes of them on the way."""
# ruff: noqa: D102 - the name of a case is its sentence

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Empty, Full
from typing import Any

import pytest

import ipcframe
from ipcframe.abc import Connection
from ipcframe.errors import HandleLost, PeerGone, TimedOut

from . import handle_targets
from .case import Children, Pair, budget, full, needs_processes
from .conditions import DEATH_BOUND, PATIENCE, Worker, clog, eventually, open_descriptors, stopwatch
from .connection_interrupts import INTERRUPTS
from .handle_targets import give, take
from .interrupts import Striker
from .primitives import ACQUIRABLE, held
from .promises import promise
from .queue_api import QueueCase, Queues

__all__ = ["Handles"]

MANY = 1000
KILLS = 2
Carrier = tuple[Any, Any]
"""What is given to and what is taken from: the ends of a connection, or a queue twice."""
Carriers = Callable[[str], Carrier]
through_each = pytest.mark.parametrize("kind", ["Pipe", "Queue"])


class Handles(QueueCase):
    """Handles that go to processes which already run."""

    @pytest.fixture
    def carriers(
        self, processes: None, request: pytest.FixtureRequest, pipe: Callable[..., Pair]
    ) -> Carriers:
        """Makes what carries the handles of a case."""

        def make(kind: str) -> Carrier:
            if kind == "Pipe":
                receiver, sender = pipe(False)
                return sender, receiver
            queue = request.getfixturevalue("queues")("Queue")
            return queue, queue

        return make

    @contextmanager
    def _user(
        self, children: Children, carriers: Carriers, pipe: Callable[..., Pair], kind: str
    ) -> Iterator[Callable[[str, Any], Any]]:
        """Gives a function that hands an object to a child, and tells what using it there has returned."""
        to, source = carriers(kind)
        hear, tell = pipe(False)
        ours = (to, hear) if kind == "Pipe" else (hear,)
        child = children.start(handle_targets.use_each, source, tell, discard=ours)
        tell.close()

        def use(how: str, obj: Any) -> Any:
            give(to, (how, obj))
            if isinstance(obj, Connection):
                obj.close()  # what is in flight stays open
            return hear.recv(timeout=PATIENCE)

        yield use
        give(to, None)
        children.finish(child)

    # --- every kind ---

    @promise("handle.in-flight")
    @through_each
    def test_every_handle_arrives_in_a_process_that_runs_already(
        self, children: Children, carriers: Carriers, pipe: Callable[..., Pair], kind: str
    ) -> None:
        with self._user(children, carriers, pipe, kind) as use:
            self._use_connections(children.context, use)
            self._use_primitives(children.context, use)
            if children.context.backend.capabilities.channel:
                self._use_queues(children.context, use)

    def _use_connections(self, context: ipcframe.Context, use: Callable[[str, Any], Any]) -> None:
        ours, theirs = context.Pipe()
        with ours:
            ours.send("ab")
            assert use("Pipe", theirs) == "doubled"
            assert ours.recv(timeout=PATIENCE) == "abab"
        receiver, sender = context.Pipe(False)
        with sender:
            sender.send("sent before")
            assert use("receiver", receiver) == "sent before"
        receiver, sender = context.Pipe(False)
        with receiver:
            use("sender", sender)
            assert receiver.recv(timeout=PATIENCE) == "sent"

    def _use_queues(self, context: ipcframe.Context, use: Callable[[str, Any], Any]) -> None:
        with context.Channel() as channel:
            channel.send(b"ab")
            assert use("Channel", channel) == "doubled"
            assert channel.receive(timeout=PATIENCE) == b"abab"
        for make in (context.Queue, context.JoinableQueue, context.SimpleQueue):
            with make() as queue:
                queue.put("ab")
                assert use("queue", queue) == "doubled"
                assert queue.get(timeout=PATIENCE) == "abab"

    def _use_primitives(self, context: ipcframe.Context, use: Callable[[str, Any], Any]) -> None:
        for make in ACQUIRABLE.values():
            obj = make(context)
            with held(obj):
                assert use("held", obj) is False
        event, barrier = context.Event(), context.Barrier(2)
        use("Event", event)
        assert event.is_set()
        waiting = Worker(lambda: barrier.wait(PATIENCE))
        assert sorted([use("Barrier", barrier), waiting.result()]) == [0, 1]

    # --- nothing is left ---

    @promise("handle.in-flight")
    def test_many_handles_cost_few_descriptors_and_leave_none(
        self, children: Children, carriers: Carriers, pipe: Callable[..., Pair]
    ) -> None:
        context = children.context
        with self._user(children, carriers, pipe, "Pipe") as use:

            def come_and_go() -> None:
                ours, theirs = context.Pipe()
                with ours:
                    ours.send("x")
                    assert use("Pipe", theirs) == "doubled"

            come_and_go()
            before, in_child = open_descriptors(), use("count", None)
            for _ in range(20):
                come_and_go()
            eventually(lambda: not open_descriptors() - before)  # a duplicate is closed after it was given
            assert use("count", None) <= in_child
            events = [context.Event() for _ in range(MANY)]
            before = open_descriptors()
            use("events", events)
            assert all(event.is_set() for event in events)
            assert not open_descriptors() - before
            assert use("count", events) - in_child <= MANY // 20

    @full("more kinds", kind=["Queue"])
    @promise("handle.in-flight")
    @through_each
    def test_what_could_not_be_given_leaves_no_descriptor(
        self, context: ipcframe.Context, carriers: Carriers, pipe: Callable[..., Pair], kind: str
    ) -> None:
        to, source = carriers(kind)
        kept, end = context.Pipe()
        with kept, end:
            give(to, end)
            take(source).close()
            before = open_descriptors()
            for _ in range(3):
                with pytest.raises(Exception, match="pickle"):
                    give(to, [end, lambda: 1])
                assert not open_descriptors() - before, "what could not be given is still open"
        if kind == "Queue":
            self._put_into_a_full_queue(context)
        else:
            self._send_in_vain(context, pipe)

    def _put_into_a_full_queue(self, context: ipcframe.Context) -> None:
        kept, end = context.Pipe()
        with kept, end, context.Queue(1) as queue:
            queue.put("the only one")
            with pytest.raises(Full):
                queue.put("in vain", timeout=0.01)  # what a process keeps in order to wait is no leftover
            before = open_descriptors()
            for obj in (end, [end, bytes(100_000)]):
                with pytest.raises(Full):
                    queue.put(obj, timeout=0.01)
                assert not open_descriptors() - before, "what could not be given is still open"

    def _send_in_vain(self, context: ipcframe.Context, pipe: Callable[..., Pair]) -> None:
        receiver, sender = pipe(False)
        kept, end = context.Pipe()
        with kept, end:
            clog(sender)
            before = open_descriptors()
            for obj in (end, [end, bytes(100_000)]):
                with pytest.raises(TimedOut):
                    sender.send(obj, timeout=0.01)
                assert not open_descriptors() - before, "what could not be given is still open"
            receiver.close()
            before = open_descriptors()
            for obj in (end, [end, bytes(100_000)]):
                with pytest.raises(PeerGone):
                    sender.send(obj, timeout=PATIENCE)
                assert not open_descriptors() - before, "what could not be given is still open"

    @needs_processes
    @promise("handle.in-flight")
    def test_a_handle_in_a_message_that_was_sent_in_part_arrives_with_the_rest(
        self, pipe: Callable[..., Pair]
    ) -> None:
        receiver, sender = pipe(False)
        ours, theirs = pipe()
        sent = received = 0
        with contextlib.suppress(TimedOut):
            while sent < 1000:
                sender.send([theirs, bytes(4_000_000)], timeout=0.01)
                sent += 1
        theirs.close()
        sending = Worker(lambda: sender.send("the next"))
        while (got := receiver.recv(timeout=PATIENCE)) != "the next":
            with got[0] as arrived:
                ours.send("x")
                assert arrived.recv(timeout=PATIENCE) == "x"
            received += 1
        sending.result()
        assert sent <= received <= sent + 1

    # --- the killed ---

    @promise("handle.lost")
    @through_each
    def test_a_handle_of_a_killed_process_is_an_error_unless_it_is_known_and_the_next_object_arrives(
        self, children: Children, carriers: Carriers, pipe: Callable[..., Pair], kind: str
    ) -> None:
        to, source = carriers(kind)
        hear, tell = pipe(False)
        ours = (source, hear) if kind == "Pipe" else (hear,)
        known = event, lock = children.context.Event(), children.context.Lock()
        child = children.start(handle_targets.give_ends, children.context, to, known, tell, discard=ours)
        assert hear.recv(timeout=PATIENCE) == "given"
        pid = child.pid
        children.kill(child)
        children.finish(child, -9)
        before = open_descriptors()
        with stopwatch() as elapsed, pytest.raises(HandleLost, match=f"process {pid}"):
            take(source)
        assert elapsed() < DEATH_BOUND
        assert take(source) == "a text"
        same_event, same_lock = take(source)
        assert not open_descriptors() - before
        event.set()
        assert same_event.is_set()
        with lock:
            assert same_lock.acquire(timeout=0) is False

    @promise("handle.lost")
    def test_who_is_killed_while_handles_come_and_go_hangs_nobody(
        self, children: Children, queues: Queues, pipe: Callable[..., Pair]
    ) -> None:
        queue = queues()
        hear, tell = pipe(False)
        for _ in range(budget("IPCFRAME_KILLS", KILLS if children.cheap else 1)):
            pair = [
                children.start(
                    handle_targets.give_and_take_for_ever, children.context, queue, tell, discard=(hear,)
                )
                for _ in range(2)
            ]
            for _ in pair:
                assert hear.recv(timeout=PATIENCE) == "ready"
            for child in pair:
                threading.Event().wait(self.random.random() * 0.03)
                children.kill(child)
            for child in pair:
                children.finish(child, -9)
            lost = 0
            while True:
                try:
                    queue.get(timeout=0)
                except HandleLost:
                    lost += 1
                except Empty:
                    break
            assert queue.empty()

    # --- the interrupted, and threads ---

    @full("more kinds", kind=["Queue"])
    @promise("handle.in-flight")
    @through_each
    def test_an_interrupted_receive_of_a_handle_is_done_again(
        self, context: ipcframe.Context, carriers: Carriers, kind: str
    ) -> None:
        to, source = carriers(kind)
        goal = max(budget("IPCFRAME_INTERRUPTS", INTERRUPTS) // 8, 1)
        room = threading.Semaphore(5)
        kept: dict[int, Connection] = {}
        done: list[bool] = []

        def feed() -> None:
            number = 0
            while room.acquire(timeout=PATIENCE) and not done:
                kept[number], end = context.Pipe()
                give(to, (number, end))
                end.close()
                number += 1

        got: list[Any] = []
        expected = 0
        feeding = Worker(feed)
        with Striker(self.random).armed() as striker:
            while striker.struck < goal:
                striker.strike(lambda: got.append(take(source)))
                for number, end in got:
                    assert number == expected
                    with kept.pop(number) as ours, end:
                        ours.send("x")
                        assert end.recv(timeout=PATIENCE) == "x"
                    expected += 1
                    room.release()
                got.clear()
        done.append(True)
        room.release()
        feeding.result()
        while kept:
            number, end = take(source)
            end.close()
            kept.pop(number).close()

    @promise("handle.in-flight")
    def test_threads_give_and_take_handles_while_children_are_started_that_do_so_too(
        self, children: Children, queues: Queues
    ) -> None:
        context, queue = children.context, queues()
        each, threads, starts = 10, 4, 3 if children.cheap else 1

        def give_some() -> None:
            for _ in range(each):
                kept, end = context.Pipe()
                with kept, end:
                    kept.send("x")
                    queue.put(end)
                    assert kept.recv(timeout=PATIENCE) == "taken"

        def take_some() -> int:
            taken = 0
            while (end := queue.get(timeout=PATIENCE)) is not None:
                with end:
                    end.recv(timeout=PATIENCE)
                    end.send("taken")
                    taken += 1
            return taken

        taking = [Worker(take_some) for _ in range(threads)]
        giving = [Worker(give_some) for _ in range(threads)]
        started = [children.start(handle_targets.give_own, context, queue, each) for _ in range(starts)]
        for child in started:
            children.finish(child)
        for worker in giving:
            worker.result()
        for _ in taking:
            queue.put(None)
        assert sum(worker.result() for worker in taking) == each * (threads + starts)
