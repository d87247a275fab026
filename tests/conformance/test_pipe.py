from ipcframe.conformance import BackendSuite


class TestPipe(BackendSuite):
    backend = "pipe"
    may_be_not_runnable = frozenset()
