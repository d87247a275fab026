"""Cases: what a backend declares of itself is so."""
# ruff: noqa: D102 - the name of a case is its sentence

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

import ipcframe
from ipcframe import _plugins
from ipcframe.abc import Backend, Connection
from ipcframe.errors import MessageTooLarge, TimedOut
from ipcframe.toolkit.serialisation import PICKLE

from .case import Case, Pair
from .conditions import PATIENCE, Worker, eventually, same_bytes
from .in_process import every_object, none_can_be_handed_over, none_can_be_used_in_a_forked_child
from .promises import promise

__all__ = ["Facts"]


class Facts(Case):
    """What a backend declares of itself is so, in both directions."""

    @promise("capabilities.true")
    def test_channels_are_there_if_declared_and_only_then(self, context: ipcframe.Context) -> None:
        declared = context.backend.capabilities
        assert (declared.packet_size > 0) is declared.channel
        if self.declared_absent(context, "channel"):
            self.refuses("channel", context.Channel)
            return
        with context.Channel() as channel:
            channel.send(b"x")
            assert channel.receive(timeout=PATIENCE) == b"x"

    @promise("capabilities.true")
    def test_a_rendezvous_is_there_if_declared_and_only_then(self, context: ipcframe.Context) -> None:
        if self.declared_absent(context, "rendezvous"):
            connect = partial(context.backend.connect, "x", timeout=1)
            self.refuses("rendezvous", context.backend.listener, connect)
            return
        with context.backend.listener() as listener:
            accepting = Worker(lambda: listener.accept(timeout=PATIENCE))
            with context.backend.connect(listener.address, timeout=PATIENCE) as ours:
                theirs: Connection = accepting.result()
                with theirs:
                    ours.send("met")
                    assert theirs.recv(timeout=PATIENCE) == "met"

    @promise("capabilities.true")
    def test_objects_stay_in_their_process_if_declared_and_only_then(self, context: ipcframe.Context) -> None:
        with every_object(context) as objects:
            if context.backend.capabilities.in_process:
                none_can_be_handed_over(objects)
                none_can_be_used_in_a_forked_child(objects)
            else:  # what becomes of them elsewhere is shown by all that start children
                for one in objects.values():
                    PICKLE.discard(PICKLE.dumps(one))

    @promise("capabilities.true")
    def test_messages_pass_up_to_the_declared_limit_and_not_beyond(
        self, context: ipcframe.Context, one_way: Pair
    ) -> None:
        receiver, sender = one_way
        limit = context.backend.capabilities.message_limit
        size = 2**24 if limit is None else limit
        message = b"x" * size
        sending = Worker(lambda: sender.send_bytes(message))
        eventually(lambda: receiver.poll() or sending.error)
        if sending.error is not None:
            raise sending.error
        same_bytes(receiver.recv_bytes(timeout=PATIENCE), message)
        sending.result()
        if limit is not None:
            try:
                sender.send_bytes(b"x" * (limit + 1), timeout=1)
            except MessageTooLarge:
                pass
            except TimedOut:
                pytest.fail(f"the backend declares message_limit={limit}, and takes a larger message")
            else:
                pytest.fail(f"the backend declares message_limit={limit}, and sends a larger message")
            sender.send_bytes(b"next")
            assert receiver.recv_bytes(timeout=PATIENCE) == b"next"

    @promise("capabilities.true")
    def test_a_backend_has_a_name_and_words_for_its_settings(self, context: ipcframe.Context) -> None:
        backend = context.backend
        assert isinstance(backend, Backend)
        assert backend.name
        assert type(backend).__doc__
        assert all(setting.help for setting in backend.settings)

    @promise("backend.answers")
    def test_its_plugin_answers_to_its_own_name_and_to_no_other(self, context: ipcframe.Context) -> None:
        name = context.backend.name
        manager = _plugins.new_manager()
        manager.register(_plugins.load(context.spec.backend))
        for other in (name[:-1], f"{name}-too", f"!{name}", f"~{name}", name.swapcase()):
            made = manager.hook.ipcframe_backend(name=other, settings={})
            assert made is None, f"asked for {other!r}, the plugin of {name!r} answers too: return None"

    @promise("capabilities.true")
    def test_names_are_kept_and_shown(self, context: ipcframe.Context, pipe: Callable[..., Pair]) -> None:
        for end in context.Pipe(name="frames"):
            with end:
                assert end.name == "frames"
                assert "frames" in repr(end)
        assert pipe()[0].name is None
