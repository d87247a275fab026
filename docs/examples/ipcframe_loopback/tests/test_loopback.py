from ipcframe.conformance import BackendSuite


class TestLoopback(BackendSuite):
    backend = "loopback"
