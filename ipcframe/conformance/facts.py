"""Cases: what a backend declares of itself is so."""
# ruff: noqa: D102 - the name of a case is its sentence

from __future__ import annotations

from collections.abc import Callable

import pytest

import ipcframe
from ipcframe.abc import Backend, Connection
from ipcframe.errors import MessageTooLarge, UnsupportedOperation

from .case import Case, Pair
from .conditions import PATIENCE, Worker, same_bytes
from .promises import promise

__all__ = ["Facts"]


class Facts(Case):
    """What a backend declares of itself is so, in both directions."""

    @promise("capabilities.true")
    def test_channels_are_there_if_declared_and_only_then(self, context: ipcframe.Context) -> None:
        declared = context.backend.capabilities
        assert (declared.packet_size > 0) is declared.channel
        if self.declared_absent(context, "channel"):
            with pytest.raises(UnsupportedOperation):
                context.Channel()
            return
        with context.Channel() as channel:
            channel.send(b"x")
            assert channel.receive(timeout=PATIENCE) == b"x"

    @promise("capabilities.true")
    def test_a_rendezvous_is_there_if_declared_and_only_then(self, context: ipcframe.Context) -> None:
        if self.declared_absent(context, "rendezvous"):
            for operation in (context.backend.listener, lambda: context.backend.connect("x", timeout=1)):
                with pytest.raises(UnsupportedOperation):
                    operation()
            return
        with context.backend.listener() as listener:
            accepting = Worker(lambda: listener.accept(timeout=PATIENCE))
            with context.backend.connect(listener.address, timeout=PATIENCE) as ours:
                theirs: Connection = accepting.result()
                with theirs:
                    ours.send("met")
                    assert theirs.recv(timeout=PATIENCE) == "met"

    @promise("capabilities.true")
    def test_messages_pass_up_to_the_declared_limit_and_not_beyond(
        self, context: ipcframe.Context, one_way: Pair
    ) -> None:
        receiver, sender = one_way
        limit = context.backend.capabilities.message_limit
        size = 2**24 if limit is None else limit
        message = b"x" * size
        sending = Worker(lambda: sender.send_bytes(message))
        same_bytes(receiver.recv_bytes(timeout=PATIENCE), message)
        sending.result()
        if limit is not None:
            with pytest.raises(MessageTooLarge):
                sender.send_bytes(b"x" * (limit + 1))
            sender.send_bytes(b"next")
            assert receiver.recv_bytes(timeout=PATIENCE) == b"next"

    @promise("capabilities.true")
    def test_a_backend_has_a_name_and_words_for_its_settings(self, context: ipcframe.Context) -> None:
        backend = context.backend
        assert isinstance(backend, Backend)
        assert backend.name
        assert type(backend).__doc__
        assert all(setting.help for setting in backend.settings)

    @promise("capabilities.true")
    def test_names_are_kept_and_shown(self, context: ipcframe.Context, pipe: Callable[..., Pair]) -> None:
        for end in context.Pipe(name="frames"):
            with end:
                assert end.name == "frames"
                assert "frames" in repr(end)
        assert pipe()[0].name is None
