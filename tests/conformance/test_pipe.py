from ipcframe import get_context
from ipcframe.capabilities import Capabilities
from ipcframe.conformance import BackendSuite


class TestPipe(BackendSuite):
    backend = "pipe"
    may_be_not_runnable = frozenset()


def test_what_pipe_declares_is_this() -> None:
    assert get_context(backend="pipe").backend.capabilities == Capabilities(
        channel=True,
        descriptors=False,
        rendezvous=False,
        loans=False,
        fileno=True,
        zero_copy=False,
        crosses_hosts=False,
        message_limit=None,
        packet_size=4096,
    )
