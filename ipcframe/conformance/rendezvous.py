"""Cases: processes that are no relatives meet by an address."""
# ruff: noqa: D102 - the name of a case is its sentence

from __future__ import annotations

import contextlib
import inspect
import os
import threading
from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing import AuthenticationError
from typing import Any

import pytest

import ipcframe
from ipcframe import abc
from ipcframe.abc import Listener
from ipcframe.errors import ClosedError, TimedOut

from . import rendezvous_targets as targets
from .case import Case, Children, Pair, budget, full, needs_processes
from .conditions import DEATH_BOUND, PATIENCE, Worker, in_time, open_descriptors, stopwatch
from .interrupts import Striker
from .making import takes
from .promises import promise

__all__ = ["Rendezvous"]

KEY = b"known to both sides"
OTHER = b"known to one side only"
OBJECTS: list[object] = [{"a": [1, None]}, "text", b"x" * 300_000]
CLIENTS = 100
"""How many clients are accepted while that is interrupted."""
Listening = Callable[..., Listener]


class Rendezvous(Case):
    """Processes that are no relatives meet by an address."""

    @pytest.fixture
    def listen(self, context: ipcframe.Context) -> Iterator[Listening]:
        """``context.Listener``, closed when the case is over; none is there where none is declared."""
        if self.declared_absent(context, "rendezvous"):
            self.refuses("rendezvous", context.Listener, partial(context.Client, "x", timeout=1))
            pytest.skip("declared absent: rendezvous")
        with contextlib.ExitStack() as stack:
            yield lambda *args, **how: stack.enter_context(context.Listener(*args, **how))

    def _meets(self, context: ipcframe.Context, listener: Listener, authkey: bytes | None = KEY) -> None:
        """One client gets through, and is understood."""
        accepting = Worker(lambda: listener.accept(timeout=PATIENCE))
        with (
            context.Client(listener.address, authkey=authkey, timeout=PATIENCE) as ours,
            accepting.result() as theirs,
        ):
            ours.send("there")
            assert theirs.recv(timeout=PATIENCE) == "there"
            theirs.send("back")
            assert ours.recv(timeout=PATIENCE) == "back"

    # --- meeting ---

    @promise("rendezvous.meet")
    @pytest.mark.parametrize("authkey", [None, KEY], ids=["no key", "a key"])
    def test_clients_meet_a_listener_one_after_another(
        self, context: ipcframe.Context, listen: Listening, authkey: bytes | None
    ) -> None:
        listener = listen(authkey=authkey)
        for _ in range(3):
            self._meets(context, listener, authkey)

    @promise("rendezvous.meet")
    def test_listeners_have_addresses_of_their_own(
        self, context: ipcframe.Context, listen: Listening
    ) -> None:
        first, second = listen(authkey=KEY), listen(authkey=KEY)
        assert first.address != second.address
        for one in (second, first):
            self._meets(context, one)

    @promise("rendezvous.meet")
    def test_each_of_many_clients_at_once_has_a_connection_of_its_own(
        self, context: ipcframe.Context, listen: Listening
    ) -> None:
        listener = listen(authkey=KEY)

        def connect(number: int) -> int:
            with context.Client(listener.address, authkey=KEY, timeout=PATIENCE) as there:
                there.send(number)
                return int(there.recv(timeout=PATIENCE))

        clients = [Worker(partial(connect, number)) for number in range(12)]
        for _ in clients:
            with listener.accept(timeout=PATIENCE) as there:
                there.send(there.recv(timeout=PATIENCE) * 2)
        assert [client.result() for client in clients] == [2 * number for number in range(12)]

    @promise("rendezvous.meet")
    def test_each_client_goes_to_one_of_several_threads_that_accept(
        self, context: ipcframe.Context, listen: Listening
    ) -> None:
        listener = listen(authkey=KEY)

        def serve() -> None:
            with contextlib.suppress(ClosedError):
                while True:
                    with listener.accept() as there:
                        there.send(there.recv(timeout=PATIENCE))

        serving = [Worker(serve) for _ in range(3)]
        for one in serving:
            one.eventually_asleep()
        visiting = partial(targets.visit, context, listener.address, KEY, ["once"])
        for client in [Worker(visiting) for _ in range(12)]:
            client.result()
        listener.close()
        for one in serving:
            one.result()

    @promise("rendezvous.strangers")
    def test_a_child_that_knows_the_address_meets_its_parent(
        self, context: ipcframe.Context, children: Children, listen: Listening
    ) -> None:
        listener = listen(authkey=KEY)
        child = children.start(targets.visit, context, listener.address, KEY, OBJECTS, discard=(listener,))
        with listener.accept(timeout=PATIENCE) as there:
            targets.echo(there)
        children.finish(child)

    @promise("rendezvous.strangers")
    def test_two_children_meet_that_have_nothing_but_an_address(
        self, context: ipcframe.Context, children: Children, listen: Listening, pipe: Callable[..., Pair]
    ) -> None:
        told, tell = pipe(False)
        server = children.start(targets.serve, context, tell, KEY, discard=(told,))
        tell.close()
        address = told.recv(timeout=PATIENCE)
        client = children.start(targets.visit, context, address, KEY, OBJECTS, discard=(told,))
        children.finish(client)
        children.finish(server)

    # --- who is refused ---

    @promise("rendezvous.key")
    def test_another_key_is_refused_on_both_sides_and_the_next_client_is_served(
        self, context: ipcframe.Context, listen: Listening
    ) -> None:
        listener = listen(authkey=KEY)
        accepting = Worker(lambda: listener.accept(timeout=PATIENCE))
        with pytest.raises(AuthenticationError):
            context.Client(listener.address, authkey=OTHER, timeout=PATIENCE)
        assert isinstance(accepting.end(), AuthenticationError)
        self._meets(context, listener)

    @promise("rendezvous.key")
    def test_a_key_that_the_listener_does_not_use_is_an_error_in_the_clients_time(
        self, context: ipcframe.Context, listen: Listening
    ) -> None:
        listener = listen()
        accepting = Worker(lambda: listener.accept(timeout=PATIENCE))
        with pytest.raises((AuthenticationError, TimedOut, EOFError)):
            context.Client(listener.address, authkey=KEY, timeout=0.3)
        accepting.result().close()
        self._meets(context, listener, None)

    @full("the deadline of a handshake")
    @promise("rendezvous.key")
    def test_a_key_that_a_client_does_not_use_is_an_error_on_both_sides(
        self, context: ipcframe.Context, listen: Listening
    ) -> None:
        listener = listen(authkey=KEY)
        accepting = Worker(listener.accept)
        with context.Client(listener.address, timeout=PATIENCE) as there:
            with pytest.raises((AuthenticationError, EOFError)):
                there.recv(timeout=PATIENCE)
            assert isinstance(accepting.end(2 * PATIENCE), AuthenticationError)
        self._meets(context, listener)

    @promise("rendezvous.silent")
    def test_clients_that_say_nothing_delay_nobody(
        self, context: ipcframe.Context, listen: Listening
    ) -> None:
        listener = listen(authkey=KEY)
        accepting = Worker(lambda: [listener.accept(timeout=PATIENCE) for _ in range(2)])
        with contextlib.ExitStack() as stack:
            connect = partial(context.Client, listener.address, timeout=PATIENCE)
            for _ in range(3):
                stack.enter_context(connect())
            for _ in range(2):
                with stopwatch() as seconds:
                    stack.enter_context(connect(authkey=KEY))
                assert seconds() < DEATH_BOUND, f"a client waited for silent ones, for {seconds():.1f} s"
            for accepted in accepting.result():
                stack.enter_context(accepted)

    # --- waiting ---

    @promise("rendezvous.timeouts")
    @pytest.mark.parametrize("timeout", [-1, 0, 0.05])
    def test_accept_keeps_its_timeout(self, listen: Listening, timeout: float) -> None:
        listener = listen(authkey=KEY)
        with stopwatch() as seconds, pytest.raises(TimedOut):
            listener.accept(timeout=timeout)
        in_time(seconds(), timeout)

    @promise("rendezvous.timeouts")
    def test_a_client_keeps_its_timeout_where_nobody_accepts(
        self, context: ipcframe.Context, listen: Listening
    ) -> None:
        listener = listen(authkey=KEY)
        with stopwatch() as seconds, pytest.raises(TimedOut):
            context.Client(listener.address, authkey=KEY, timeout=0.05)
        in_time(seconds(), 0.05)
        self._meets(context, listener)

    @promise("rendezvous.timeouts")
    def test_timeouts_that_are_none_are_refused(self, context: ipcframe.Context, listen: Listening) -> None:
        listener = listen()
        for timeout, kind in ((float("nan"), ValueError), ("1", TypeError)):
            with pytest.raises(kind):
                listener.accept(timeout=timeout)  # type: ignore[arg-type]
            with pytest.raises(kind):
                context.Client(listener.address, timeout=timeout)  # type: ignore[arg-type]

    # --- the end ---

    @promise("rendezvous.close")
    def test_closing_a_listener_ends_the_waits_of_all_threads(self, listen: Listening) -> None:
        listener = listen(authkey=KEY)
        waits = [Worker(listener.accept) for _ in range(3)]
        for one in waits:
            one.eventually_asleep()
        listener.close()
        listener.close()
        assert [type(one.end()) for one in waits] == [ClosedError] * 3
        assert listener.closed
        with pytest.raises(ClosedError):
            listener.accept()

    @promise("rendezvous.close")
    @pytest.mark.parametrize("authkey", [None, KEY], ids=["no key", "a key"])
    def test_who_comes_to_a_listener_that_is_closed_is_told(
        self, context: ipcframe.Context, listen: Listening, authkey: bytes | None
    ) -> None:
        listener = listen(authkey=authkey)
        address = listener.address
        with context.Client(address, timeout=PATIENCE) as early:
            with contextlib.suppress(TimedOut), contextlib.ExitStack() as stack:
                if authkey is not None:  # it is in its handshake by then
                    stack.enter_context(listener.accept(timeout=0))
            listener.close()
            with pytest.raises((EOFError, OSError, AuthenticationError)):
                early.recv(timeout=PATIENCE)  # at the latest the end
        with pytest.raises((EOFError, OSError)):
            context.Client(address, authkey=KEY, timeout=1).close()

    @promise("rendezvous.close")
    def test_an_address_is_free_when_its_listener_is_closed_and_not_before(
        self, context: ipcframe.Context, listen: Listening
    ) -> None:
        listener = listen(authkey=KEY)
        address = listener.address
        try:
            listen(address, authkey=KEY)
        except OSError:
            pass
        else:
            pytest.fail("a listener was made on the address of one that lives, and raised no OSError")
        self._meets(context, listener)
        listener.close()
        self._meets(context, listen(address, authkey=KEY))

    @promise("rendezvous.killed")
    def test_a_killed_listener_is_the_end_for_its_clients_and_frees_its_address(
        self, context: ipcframe.Context, children: Children, listen: Listening, pipe: Callable[..., Pair]
    ) -> None:
        told, tell = pipe(False)
        child = children.start(targets.be_killed_in_accept, context, tell, KEY, discard=(told,))
        tell.close()
        address = told.recv(timeout=PATIENCE)
        with context.Client(address, authkey=KEY, timeout=PATIENCE) as there:
            assert there.recv(timeout=PATIENCE) == "met"
            children.kill(child)
            with stopwatch() as seconds, pytest.raises(EOFError):
                there.recv(timeout=PATIENCE)
            assert seconds() < DEATH_BOUND
        child.join()
        self._meets(context, listen(address, authkey=KEY))

    @promise("rendezvous.killed")
    def test_a_killed_client_is_the_end_for_its_connection_and_for_nothing_else(
        self, context: ipcframe.Context, children: Children, listen: Listening
    ) -> None:
        listener = listen(authkey=KEY)
        child = children.start(
            targets.be_killed_once_met, context, listener.address, KEY, discard=(listener,)
        )
        with listener.accept(timeout=PATIENCE) as there:
            assert there.recv(timeout=PATIENCE) == "met"
            with pytest.raises(EOFError):
                there.recv(timeout=PATIENCE)
        child.join()
        self._meets(context, listener)

    # --- interrupts, forks, leftovers ---

    @promise("rendezvous.interrupts")
    def test_no_client_is_lost_to_an_interrupt_of_accept(
        self, context: ipcframe.Context, listen: Listening
    ) -> None:
        goal = budget("IPCFRAME_INTERRUPTS", CLIENTS)
        listener = listen(authkey=KEY)
        got: list[int] = []

        def connect() -> None:
            for number in range(goal):
                with context.Client(listener.address, authkey=KEY, timeout=PATIENCE) as there:
                    there.send(number)
                    there.recv(timeout=PATIENCE)

        connecting = Worker(connect)
        with Striker(self.random).armed() as striker:
            while len(got) < goal:
                accepted: list[Any] = []
                striker.strike(lambda: accepted.append(listener.accept(timeout=PATIENCE)))  # noqa: B023
                for there in accepted:
                    with there:
                        got.append(there.recv(timeout=PATIENCE))
                        there.send(None)
        connecting.result()
        assert got == list(range(goal))

    @needs_processes
    @promise("rendezvous.fork")
    def test_a_child_that_closes_its_copy_of_a_listener_leaves_it_to_its_parent(
        self, context: ipcframe.Context, listen: Listening
    ) -> None:
        listener = listen(authkey=KEY)
        accepting = Worker(lambda: listener.accept(timeout=PATIENCE))
        accepting.eventually_asleep()
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                listener.close()
                status = 0
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        with context.Client(listener.address, authkey=KEY, timeout=PATIENCE), accepting.result():
            pass
        self._meets(context, listener)

    @promise("leftovers.none")
    def test_meetings_leave_no_descriptor_and_no_thread(
        self, context: ipcframe.Context, listen: Listening
    ) -> None:
        def meet() -> None:
            with listen(authkey=KEY) as listener:
                self._meets(context, listener)
                with context.Client(listener.address, timeout=PATIENCE), pytest.raises(TimedOut):
                    listener.accept(timeout=0)

        meet()
        before = open_descriptors(), threading.active_count()
        for _ in range(5):
            meet()
        assert (open_descriptors(), threading.active_count()) == before

    @promise("backend.signatures")
    def test_a_listener_takes_the_arguments_of_its_contract_and_keeps_its_name(
        self, context: ipcframe.Context, listen: Listening
    ) -> None:
        listener = listen(name="kept", authkey=KEY)
        assert listener.name == "kept", f"a listener made with a name has {listener.name!r}"
        assert "kept" in repr(listener), "the repr of a listener does not show its name"
        promised = inspect.signature(abc.Listener.accept)
        found = inspect.signature(type(listener).accept)
        assert takes(found, promised), f"accept{found}, and the contract is {promised}"
        with context.Client(listener.address, name="kept", timeout=PATIENCE) as there:
            assert there.name == "kept"
