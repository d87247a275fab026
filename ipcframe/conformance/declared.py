"""Cases: capabilities that no operation shows by itself."""
# ruff: noqa: D102 - the name of a case is its sentence

from __future__ import annotations

import contextlib
import ipaddress
import pickle
from typing import Any

import pytest

import ipcframe

from .case import Case, Pair
from .conditions import PATIENCE, Worker, own_memory
from .promises import promise

__all__ = ["Declared"]

LARGE = 40 * 2**20
"""More than malloc keeps for itself: it comes from the system, and goes back there."""


class Declared(Case):
    """Capabilities that no operation shows by itself, in both directions."""

    @promise("capabilities.true")
    @pytest.mark.parametrize("operation", ["loans"])
    def test_nothing_is_declared_that_the_contract_has_no_operation_for(
        self, context: ipcframe.Context, operation: str
    ) -> None:
        if not self.declared_absent(context, operation):
            pytest.fail(
                f"the backend declares {operation}=True, and the contract has no operation yet that would "
                f"show it: declare {operation}=False"
            )

    @promise("capabilities.true")
    def test_large_buffers_arrive_in_shared_memory_if_that_is_declared_and_only_then(
        self, context: ipcframe.Context, one_way: Pair
    ) -> None:
        receiver, sender = one_way
        if not own_memory():
            pytest.skip("the system does not tell how much memory is a process's own")
        sent = bytearray(b"x") * LARGE
        before = own_memory()
        sending = Worker(lambda: sender.send([pickle.PickleBuffer(sent)]))
        got = receiver.recv(timeout=PATIENCE)
        sending.result()
        copied = own_memory() - before
        assert bytes(got[0][-3:]) == b"xxx"
        if self.declared_absent(context, "zero_copy"):
            assert copied > LARGE // 2, (
                f"the backend declares zero_copy=False, and a buffer of {LARGE >> 20} MiB arrives without a "
                "copy in memory of the receiver's own: declare zero_copy=True"
            )
        else:
            assert copied < LARGE // 2, (
                f"the backend declares zero_copy=True, and a buffer of {LARGE >> 20} MiB arrives as a copy "
                "in memory of the receiver's own: declare zero_copy=False"
            )

    @promise("capabilities.true")
    def test_other_machines_can_reach_a_listener_if_that_is_declared_and_only_then(
        self, context: ipcframe.Context
    ) -> None:
        declared = context.backend.capabilities
        absent = self.declared_absent(context, "crosses_hosts")
        if not declared.rendezvous:
            assert absent, (
                "the backend declares crosses_hosts=True and rendezvous=False: the ends on two machines meet "
                "by an address, or not at all"
            )
            return
        with context.backend.listener() as listener:
            address = listener.address
        reached = _is_for_other_machines(address)
        assert reached is not absent, (
            f"the backend declares crosses_hosts={not absent}, and other machines "
            f"{'can' if reached else 'cannot'} connect to the address {address!r} of its listener"
        )


def _is_for_other_machines(address: Any) -> bool:
    """Whether it is a host and a port, and the host is not this very machine."""
    if not isinstance(address, tuple) or not address or address[0] == "localhost":
        return False
    with contextlib.suppress(ValueError):
        return not ipaddress.ip_address(address[0]).is_loopback
    return isinstance(address[0], str)
