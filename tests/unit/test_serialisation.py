"""Objects to messages and back, in every nesting that crashes a pickler used naively."""

from __future__ import annotations

import array
import copyreg
import pickle
import signal
import threading
import types
from multiprocessing import reduction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcframe.toolkit.serialisation import PICKLE, PickleSerializer


def through(obj: Any) -> Any:
    return PICKLE.loads(b"".join(PICKLE.dumps(obj)))


class Nested:
    """Its reduction serialises another object with the same serialiser."""

    def __init__(self, depth: int) -> None:
        self.depth = depth

    def __reduce__(self) -> Any:
        inner = b"".join(PICKLE.dumps(Nested(self.depth - 1) if self.depth else "bottom"))
        return PICKLE.loads, (inner,)


class Explosive:
    def __reduce__(self) -> Any:
        raise ArithmeticError("in the middle")


class Late:
    def __init__(self, value: int) -> None:
        self.value = value


class Later(Late):
    pass


def rebuild(value: int) -> tuple[str, int]:
    return "reduced", value


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
)


@given(values)
def test_what_goes_in_comes_out(value: Any) -> None:
    assert through(value) == value


def test_a_dump_within_a_dump_works() -> None:
    assert through(Nested(5)) == "bottom"


def test_a_dump_within_a_signal_handler_works() -> None:
    results: list[Any] = []
    previous = signal.signal(signal.SIGALRM, lambda *_: results.append(through([1, "two"])))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.0001, 0.0001)
        for number in range(3000):
            assert through({"n": number, "list": [number] * 20})["n"] == number
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    assert results, "the handler ran"
    assert all(result == [1, "two"] for result in results)


def test_threads_dump_at_once() -> None:
    failures: list[Any] = []

    def work(mark: int) -> None:
        for number in range(500):
            if through([mark, number, Nested(2)]) != [mark, number, "bottom"]:
                failures.append((mark, number))

    threads = [threading.Thread(target=work, args=(mark,)) for mark in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_an_exception_in_the_middle_leaves_nothing_behind() -> None:
    with pytest.raises(ArithmeticError):
        PICKLE.dumps(["some", pickle.PickleBuffer(b"buffer"), Explosive()])
    assert through("next") == "next"


def test_reducers_registered_late_are_honoured() -> None:
    assert isinstance(through(Late(1)), Late)
    reduction.register(Late, lambda obj: (rebuild, (obj.value,)))
    copyreg.pickle(Later, late_reducer)
    try:
        assert through(Late(1)) == ("reduced", 1)
        assert through(Later(2)) == ("reduced", 2)
        reduction.register(Late, lambda obj: (rebuild, (-obj.value,)))
        assert through(Late(1)) == ("reduced", -1), "registered again, the last counts"
    finally:
        extra: Any = reduction.ForkingPickler
        del extra._extra_reducers[Late]
        del copyreg.dispatch_table[Later]


def test_reducers_of_multiprocessing_count() -> None:
    assert through(self_method := Late(3).__repr__).__name__ == self_method.__name__


def test_a_serializer_with_reducers_pickles_with_them() -> None:
    serializer = PickleSerializer({Late: late_reducer})
    copied = pickle.loads(pickle.dumps(serializer))
    assert copied.loads(b"".join(copied.dumps(Late(4)))) == ("reduced", 4)
    assert pickle.loads(pickle.dumps(PICKLE)) is PICKLE


def late_reducer(obj: Late) -> Any:
    return rebuild, (obj.value,)


def test_builtin_buffers_arrive_as_what_they_are() -> None:
    for value in (b"bytes", bytearray(b"array"), array.array("d", [1.5, 2.5])):
        arrived = through(value)
        assert arrived == value
        assert type(arrived) is type(value)


def test_large_buffers_go_out_of_band_aligned_and_arrive_writable() -> None:
    numpy = pytest.importorskip("numpy")
    sent = [numpy.arange(1000), numpy.ones((3, 5), dtype="f4"), numpy.zeros(0), "text"]
    parts = PICKLE.dumps(sent)
    assert any(isinstance(part, memoryview) and part.nbytes == 8000 for part in parts), "not copied"
    message = bytearray(b"".join(parts))
    first, second, third, text = PICKLE.loads(message)
    assert (first == sent[0]).all()
    assert (second == sent[1]).all()
    assert third.size == 0
    assert text == "text"
    first[0] = 42
    assert first.flags.writeable
    assert first.flags.aligned


@given(st.binary(max_size=200))
def test_garbage_raises_an_unpickling_kind_of_error_and_never_end_of_file(garbage: bytes) -> None:
    try:
        PICKLE.loads(b"\0" + garbage)
    except EOFError:
        pytest.fail("it would be taken for the end of the stream")
    except Exception:
        pass


@pytest.mark.parametrize("message", [b"", b"\x80", b"\x80\x05", b"\0", b"\0oob", b"\0oob\xff\xff\xff\xff"])
def test_a_message_cut_short_is_an_unpickling_error(message: bytes) -> None:
    with pytest.raises(pickle.UnpicklingError):
        PICKLE.loads(message)


@pytest.mark.parametrize(
    ("obj", "path"),
    [
        ([1, {"jobs": (0, lambda: 1)}], "message[1]['jobs'][1]"),
        ({"a": {lambda: 1: 2}}, "message['a'] key <function"),
        (types.SimpleNamespace(x=[threading.Lock()]), "message.x[0]"),
        ({1, threading.Lock}, None),
        (threading.Lock(), "message, which is <unlocked"),
    ],
)
def test_what_cannot_be_pickled_names_the_path(obj: Any, path: str | None) -> None:
    if path is None:
        PICKLE.dumps(obj)
        return
    with pytest.raises((TypeError, AttributeError, pickle.PicklingError)) as caught:
        PICKLE.dumps(obj)
    assert any(path in note for note in caught.value.__notes__)
