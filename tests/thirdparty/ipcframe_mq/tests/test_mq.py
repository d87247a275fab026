from ipcframe.conformance import BackendSuite


class TestMq(BackendSuite):
    backend = "mq"
