from ipcframe.conformance import BackendSuite


class TestSock(BackendSuite):
    backend = "sock"
