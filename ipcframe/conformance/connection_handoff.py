"""Cases: ends in other processes."""
# ruff: noqa: D102 - the name of a case is its sentence

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from typing import Any

import pytest

import ipcframe
from ipcframe.connection import wait

from . import targets
from .case import Case, Children, Pair
from .conditions import PATIENCE
from .promises import promise

__all__ = ["ConnectionHandoff"]


class ConnectionHandoff(Case):
    """Ends in other processes."""

    @promise("connection.handoff")
    @pytest.mark.parametrize("which", [0, 1])
    def test_each_end_of_a_duplex_pair_can_be_an_argument(
        self, children: Children, pipe: Callable[..., Pair], which: int
    ) -> None:
        pair = pipe()
        ours, theirs = pair[1 - which], pair[which]
        child = children.start(targets.echo, theirs, discard=(ours,))
        theirs.close()
        for message in ("text", b"x" * 300_000, {"a": [1]}):
            ours.send(message)
            assert ours.recv(timeout=PATIENCE) == message
        ours.close()
        children.finish(child)

    @promise("connection.handoff")
    def test_both_ends_of_one_way_pairs_can_be_arguments(
        self, children: Children, pipe: Callable[..., Pair]
    ) -> None:
        (their_in, our_out), (our_in, their_out) = pipe(False), pipe(False)
        child = children.start(targets.receive_and_tell, their_in, their_out, discard=(our_out, our_in))
        their_in.close()
        their_out.close()
        objects: list[Any] = [1, "b", b"c" * 100_000, [None]]
        for obj in objects:
            our_out.send(obj)
        our_out.close()
        assert our_in.recv(timeout=PATIENCE) == objects
        with pytest.raises(EOFError):
            our_in.recv(timeout=PATIENCE)
        children.finish(child)

    @promise("connection.handoff")
    def test_messages_sent_before_the_handoff_arrive_after_it(
        self, children: Children, pipe: Callable[..., Pair]
    ) -> None:
        (their_in, our_out), (our_in, their_out) = pipe(False), pipe(False)
        for number in range(5):
            our_out.send(number)
        child = children.start(targets.receive_and_tell, their_in, their_out, discard=(our_out, our_in))
        our_out.close()
        assert our_in.recv(timeout=PATIENCE) == [0, 1, 2, 3, 4]
        children.finish(child)

    @promise("connection.handoff")
    def test_two_children_converse_over_one_pair(self, children: Children, pipe: Callable[..., Pair]) -> None:
        (receiver, sender), (told, tell) = pipe(False), pipe(False)
        objects = ["first", b"x" * 200_000, "last"]
        taking = children.start(targets.receive_and_tell, receiver, tell, discard=(sender, told))
        giving = children.start(targets.send_each, sender, objects, discard=(receiver, told, tell))
        for end in (receiver, sender, tell):
            end.close()
        assert told.recv(timeout=PATIENCE) == objects
        children.finish(taking)
        children.finish(giving)

    @promise("connection.handoff")
    def test_an_end_can_be_sent_to_a_child_that_runs_already(
        self, children: Children, pipe: Callable[..., Pair]
    ) -> None:
        (ours, theirs), (moved, kept) = pipe(), pipe()
        child = children.start(targets.use_connection_sent, theirs, discard=(ours, kept))
        ours.send(moved)
        moved.close()
        kept.send("ab")
        assert kept.recv(timeout=PATIENCE) == "abab"
        children.finish(child)

    @promise("connection.fileno")
    def test_sentinels_and_connections_are_waited_on_together(
        self, children: Children, pipe: Callable[..., Pair], context: ipcframe.Context
    ) -> None:
        if not context.backend.capabilities.fileno:
            pytest.skip("waiting together needs a descriptor")
        ours, theirs = pipe()
        child = children.start(targets.echo, theirs, discard=(ours,))
        theirs.close()
        ours.send("x")
        assert wait([ours, child.sentinel], PATIENCE) == [ours]
        assert ours.recv(timeout=PATIENCE) == "x"
        ours.close()
        assert multiprocessing.connection.wait([child.sentinel], PATIENCE) == [child.sentinel]
        children.finish(child)
