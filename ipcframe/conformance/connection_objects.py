"""Cases: what cannot be pickled or unpickled, what is no message, reducers, and nested use."""
# ruff: noqa: D102 - the name of a case is its sentence

from __future__ import annotations

import copyreg
import multiprocessing.reduction
import os
import pickle
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import pytest

from ipcframe.abc import Connection
from ipcframe.errors import BrokenConnection, EndOfStream
from ipcframe.toolkit.framing import frame_header
from ipcframe.toolkit.stream import StreamConnection

from .case import Case, Pair
from .conditions import PATIENCE, Worker, asleep, eventually
from .promises import promise

__all__ = ["ConnectionObjects"]


class Sends:
    """Sends on a connection while it is being pickled, and arrives as a text."""

    def __init__(self, end: Connection, message: object) -> None:
        self.end, self.message = end, message

    def __reduce__(self) -> tuple[Any, ...]:
        self.end.send(self.message)
        return str, ("outer",)


class Refuses:
    """Raises while it is being pickled."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __reduce__(self) -> tuple[Any, ...]:
        raise self.error


class FailsToLoad:
    """Raises while it is being unpickled."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __reduce__(self) -> tuple[Any, ...]:
        return _raise, (self.error,)


class Late:
    """Something for which a reducer is registered after the first message."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.lock = threading.Lock()


class LateToo(Late):
    """Likewise."""


def _raise(error: Exception) -> None:
    raise error


def _reduce_late(late: Late) -> tuple[Any, ...]:
    return type(late), (late.number,)


class ConnectionObjects(Case):
    """What cannot be pickled or unpickled, what is no message, reducers, and nested use."""

    @promise("connection.unpicklable")
    def test_what_cannot_be_pickled_raises_in_send_with_the_path_to_it(self, one_way: Pair) -> None:
        receiver, sender = one_way
        for obj, path in [(lambda: 1, "message"), ({"a": [1, threading.Lock()]}, "message['a'][1]"),
                          ([Refuses(KeyError("mine"))], "message[0]")]:  # fmt: skip
            with pytest.raises((TypeError, AttributeError, KeyError, pickle.PicklingError)) as refused:
                sender.send(obj)
            assert any(path in note for note in refused.value.__notes__)
            sender.send("next")
            assert receiver.recv(timeout=PATIENCE) == "next"
        assert not receiver.poll()

    @promise("connection.unpicklable")
    def test_an_object_whose_pickling_is_interrupted_leaves_the_end_usable(self, one_way: Pair) -> None:
        receiver, sender = one_way
        for error in (KeyboardInterrupt(), MemoryError(), SystemExit()):
            with pytest.raises(type(error)):
                sender.send([1, Refuses(error)])
            sender.send("next")
            assert receiver.recv(timeout=PATIENCE) == "next"

    @promise("connection.unloadable")
    def test_what_cannot_be_unpickled_raises_in_recv_and_the_next_arrives(self, one_way: Pair) -> None:
        receiver, sender = one_way
        for error in (ValueError("a"), AttributeError("b"), MemoryError("c"), ImportError("d")):
            sender.send([FailsToLoad(error)])
            sender.send("next")
            with pytest.raises(type(error), match=str(error)):
                receiver.recv(timeout=PATIENCE)
            assert receiver.recv(timeout=PATIENCE) == "next"

    @promise("connection.unloadable")
    def test_bytes_that_are_no_pickle_are_never_taken_for_the_end(self, one_way: Pair) -> None:
        receiver, sender = one_way
        for message in (b"", b"garbage", b"\x80\x05", b"\0", b"\0oob", b"\0oob" + b"\xff" * 12):
            sender.send_bytes(message)
            with pytest.raises((pickle.UnpicklingError, ValueError, IndexError, KeyError)) as refused:
                receiver.recv(timeout=PATIENCE)
            assert not isinstance(refused.value, EOFError)
        sender.send("next")
        assert receiver.recv(timeout=PATIENCE) == "next"

    @promise("connection.garbage")
    def test_garbage_on_the_transport_breaks_the_connection(self, one_way: Pair) -> None:
        receiver = self._inject(one_way, self.random.randbytes(64))
        for _ in range(2):
            with pytest.raises(BrokenConnection):
                receiver.recv(timeout=PATIENCE)

    @promise("connection.garbage")
    def test_a_message_that_claims_an_absurd_size_allocates_nothing(self, one_way: Pair) -> None:
        before = _address_space()
        receiver = self._inject(one_way, frame_header(2**47) + b"x" * 100)
        with pytest.raises(BrokenConnection):
            receiver.recv(timeout=PATIENCE)
        assert _address_space() - before < 2**26

    @promise("connection.garbage")
    @pytest.mark.parametrize(
        "cut",
        [frame_header(10)[:3], frame_header(10) + b"12345", frame_header(2**20) + b"x" * 5000],
        ids=["header", "small body", "large body"],
    )
    def test_a_stream_that_ends_within_a_message_has_ended(self, one_way: Pair, cut: bytes) -> None:
        receiver = self._inject(one_way, cut)
        one_way[1].close()
        for _ in range(2):
            with pytest.raises(EndOfStream):
                receiver.recv(timeout=PATIENCE)

    def _inject(self, one_way: Pair, garbage: bytes) -> Connection:
        receiver, sender = one_way
        if not isinstance(sender, StreamConnection):
            pytest.skip("bytes can be injected into a StreamConnection of the toolkit only")
        sender.send("good")
        os.write(sender.fileno(), garbage)
        assert receiver.recv(timeout=PATIENCE) == "good"
        return receiver

    @promise("connection.reducers")
    def test_reducers_registered_after_the_first_message_count(self, one_way: Pair) -> None:
        receiver, sender = one_way
        sender.send("first")
        for cls in (Late, LateToo):
            with pytest.raises(TypeError):
                sender.send([cls(1)])
        receiver.recv(timeout=PATIENCE)
        try:
            for cls, register in ((Late, multiprocessing.reduction.register), (LateToo, copyreg.pickle)):
                register(cls, _reduce_late)
                sender.send([cls(5)])
                assert receiver.recv(timeout=PATIENCE)[0].number == 5
        finally:
            multiprocessing.reduction.ForkingPickler._extra_reducers.pop(Late, None)  # type: ignore[attr-defined]
            copyreg.dispatch_table.pop(LateToo, None)

    @promise("connection.nesting")
    def test_an_object_may_send_on_another_connection_while_it_is_pickled(
        self, pipe: Callable[..., Pair]
    ) -> None:
        (receiver, sender), (other_in, other_out) = pipe(False), pipe(False)
        for number in range(20):
            sender.send([number, Sends(other_out, {"nested": number}), number])
            assert receiver.recv(timeout=PATIENCE) == [number, "outer", number]
            assert other_in.recv(timeout=PATIENCE) == {"nested": number}

    @promise("connection.nesting")
    def test_an_object_may_send_on_the_same_connection_while_it_is_pickled(self, one_way: Pair) -> None:
        receiver, sender = one_way
        sender.send([Sends(sender, Sends(sender, "innermost"))])
        assert [receiver.recv(timeout=PATIENCE) for _ in range(3)] == ["innermost", "outer", ["outer"]]

    @pytest.fixture
    def on_signal(self) -> Iterator[Callable[[Callable[[], Any]], None]]:
        """Sets what the handler of SIGUSR1 does in this process."""
        before = signal.getsignal(signal.SIGUSR1)

        def set_handler(action: Callable[[], Any]) -> None:
            def handler(number: int, frame: FrameType | None) -> None:
                action()

            signal.signal(signal.SIGUSR1, handler)

        yield set_handler
        signal.signal(signal.SIGUSR1, before)

    @promise("connection.nesting")
    def test_a_signal_handler_may_send_on_the_end_on_which_its_thread_is_sending(
        self, one_way: Pair, on_signal: Callable[[Callable[[], Any]], None]
    ) -> None:
        receiver, sender = one_way
        large = self.random.randbytes(2**22)
        on_signal(lambda: sender.send_bytes(b"from the handler"))
        sleeping = asleep(threading.get_native_id())
        main = threading.get_ident()

        def receive() -> list[bytes]:
            eventually(sleeping)  # nobody receives yet: the large message is stuck half-way
            signal.pthread_kill(main, signal.SIGUSR1)
            return [receiver.recv_bytes(timeout=PATIENCE) for _ in range(3)]

        receiving = Worker(receive)
        sender.send_bytes(large)
        sender.send_bytes(b"after")
        got = receiving.result()
        assert sorted(got, key=len) == [b"after", b"from the handler", large]
        assert got.index(large) < got.index(b"after")

    @promise("connection.nesting")
    def test_a_signal_handler_may_use_the_end_on_which_its_thread_waits(
        self, pair: Pair, on_signal: Callable[[Callable[[], Any]], None]
    ) -> None:
        ours, theirs = pair
        in_handler: list[object] = []

        def ask() -> None:
            ours.send("question")
            in_handler.append(ours.recv(timeout=PATIENCE))

        on_signal(ask)
        sleeping = asleep(threading.get_native_id())
        main = threading.get_ident()

        def answer() -> None:
            eventually(sleeping)
            signal.pthread_kill(main, signal.SIGUSR1)
            assert theirs.recv(timeout=PATIENCE) == "question"
            theirs.send("answer")
            theirs.send("answer again")

        answering = Worker(answer)
        outside = ours.recv(timeout=PATIENCE)
        answering.result()
        assert [*in_handler, outside] == ["answer", "answer again"]


def _address_space() -> int:
    try:
        with open("/proc/self/statm", encoding="ascii") as statm:  # noqa: PTH123
            return int(statm.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0
