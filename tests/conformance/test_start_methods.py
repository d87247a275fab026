from ipcframe.conformance import StartMethodSuite


class TestFork(StartMethodSuite):
    start_method = "fork"
    may_be_not_runnable = frozenset({"test_a_start_that_fails_leaves_nothing_behind"})  # nothing is pickled


class TestSpawn(StartMethodSuite):
    start_method = "spawn"
    may_be_not_runnable = frozenset()


class TestForkServer(StartMethodSuite):
    start_method = "forkserver"
    may_be_not_runnable = frozenset()
