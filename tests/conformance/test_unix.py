from ipcframe import get_context
from ipcframe.capabilities import Capabilities
from ipcframe.conformance import BackendSuite


class TestUnix(BackendSuite):
    backend = "unix"
    may_be_not_runnable = frozenset()


def test_what_unix_declares_is_this() -> None:
    assert get_context(backend="unix").backend.capabilities == Capabilities(
        channel=True,
        descriptors=True,
        rendezvous=True,
        loans=False,
        fileno=True,
        zero_copy=True,
        crosses_hosts=False,
        message_limit=None,
        packet_size=65536,
    )
