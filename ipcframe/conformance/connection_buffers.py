"""Cases: windows of buffers, receiving into buffers, and arrays."""
# ruff: noqa: D102 - the name of a case is its sentence

from __future__ import annotations

import array
import multiprocessing
import pickle
from typing import Any

import pytest

from ipcframe.errors import BufferTooShort

from . import targets
from .case import Case, Pair, full
from .conditions import PATIENCE, Worker, same_bytes
from .promises import promise

__all__ = ["ConnectionBuffers"]


class ConnectionBuffers(Case):
    """Windows of buffers, receiving into buffers, and arrays."""

    @promise("connection.windows")
    @pytest.mark.parametrize(
        "buffer",
        [
            b"0123456789ab",
            bytearray(b"0123456789ab"),
            memoryview(b"0123456789ab"),
            array.array("i", [1, -2, 3]),
        ],
        ids=lambda buffer: type(buffer).__name__,
    )
    def test_offset_and_size_count_bytes_in_any_buffer(self, one_way: Pair, buffer: Any) -> None:
        receiver, sender = one_way
        whole = bytes(buffer)
        for offset, size in [(0, None), (3, None), (0, 5), (3, 5), (12, None), (12, 0), (0, 12), (11, 1)]:
            sender.send_bytes(buffer, offset, size)
            expected = whole[offset : None if size is None else offset + size]
            assert receiver.recv_bytes(timeout=PATIENCE) == expected

    @promise("connection.windows")
    def test_a_window_outside_of_the_buffer_is_refused_and_sends_nothing(self, one_way: Pair) -> None:
        receiver, sender = one_way
        for buffer in (b"0123", array.array("i", [1])):
            for offset, size in [(-1, None), (5, None), (0, -1), (0, 5), (2, 3), (4, 1)]:
                with pytest.raises(ValueError, match=r"offset|size"):
                    sender.send_bytes(buffer, offset, size)
        for wrong in ("text", 5, None, [1]):
            with pytest.raises(TypeError):
                sender.send_bytes(wrong)
        assert not receiver.poll()

    @promise("connection.windows")
    def test_the_caller_may_change_its_buffer_after_send_returned(self, one_way: Pair) -> None:
        receiver, sender = one_way
        buffer = bytearray(b"before")
        sender.send_bytes(buffer)
        buffer[:] = b"after "
        assert receiver.recv_bytes(timeout=PATIENCE) == b"before"

    @full("more sizes", size=[0, 100_000])
    @promise("connection.into")
    @pytest.mark.parametrize("size", [0, 1, 10, 100_000, 2**20])
    def test_a_message_lands_in_the_callers_buffer_at_the_offset(self, one_way: Pair, size: int) -> None:
        receiver, sender = one_way
        message = self.random.randbytes(size)
        sending = Worker(lambda: targets.send_bytes_each(sender, [message] * 2))
        exact, roomy = bytearray(size), bytearray(b"." * (size + 7))
        assert receiver.recv_bytes_into(exact, timeout=PATIENCE) == size
        assert receiver.recv_bytes_into(roomy, 3, timeout=PATIENCE) == size
        same_bytes(exact, message)
        same_bytes(roomy, b"..." + message + b"....")
        sending.result()

    @promise("connection.into")
    def test_the_offset_counts_bytes_in_an_array_of_integers(self, one_way: Pair) -> None:
        receiver, sender = one_way
        target = array.array("i", [0, 0, 0])
        sender.send_bytes(array.array("i", [7, 8]))
        assert receiver.recv_bytes_into(target, target.itemsize, timeout=PATIENCE) == 2 * target.itemsize
        assert list(target) == [0, 7, 8]

    @promise("connection.into")
    def test_what_does_not_fit_comes_in_the_error_and_the_next_message_arrives(self, one_way: Pair) -> None:
        receiver, sender = one_way
        for offset, message in [(0, b"12345"), (3, b"12"), (4, b"1")]:
            sender.send_bytes(message)
            with pytest.raises(BufferTooShort) as short:
                receiver.recv_bytes_into(bytearray(4), offset, timeout=PATIENCE)
            assert short.value.args[0] == message
            assert isinstance(short.value, multiprocessing.BufferTooShort)
        sender.send_bytes(b"next")
        assert receiver.recv_bytes_into(bytearray(4), timeout=PATIENCE) == 4

    @promise("connection.into")
    def test_a_wrong_target_is_refused_and_takes_nothing(self, one_way: Pair) -> None:
        receiver, sender = one_way
        sender.send_bytes(b"12")
        for offset in (-1, 5):
            with pytest.raises(ValueError, match="offset"):
                receiver.recv_bytes_into(bytearray(4), offset)
        for wrong in (b"readonly", "text", None):
            with pytest.raises(TypeError):
                receiver.recv_bytes_into(wrong)
        assert receiver.recv_bytes(timeout=PATIENCE) == b"12"

    @full("more sizes", shape=[(0,), (1000, 7)])
    @promise("connection.arrays")
    @pytest.mark.parametrize("shape", [(0,), (3,), (1000, 7), (512, 1024)], ids=str)
    def test_numpy_arrays_arrive_equal_and_writable(self, one_way: Pair, shape: tuple[int, ...]) -> None:
        numpy = pytest.importorskip("numpy")
        receiver, sender = one_way
        sent = numpy.arange(numpy.prod(shape), dtype="float64").reshape(shape)
        batch = {
            "a": sent,
            "b": [sent[::2], sent.T, numpy.array([b"bytes", b"x"])],
            "c": b"bytes",
            "d": (sent,),
        }
        sending = Worker(lambda: sender.send(batch))
        got = receiver.recv(timeout=PATIENCE)
        sending.result()
        for ours, theirs in [(batch["a"], got["a"]), *zip(batch["b"], got["b"], strict=True)]:
            assert ours.dtype == theirs.dtype
            assert numpy.array_equal(ours, theirs)
            assert theirs.flags.writeable
            theirs[...] = theirs
        assert got["c"] == b"bytes"
        assert got["d"][0] is got["a"], "one object stays one object"

    @promise("connection.arrays")
    def test_an_array_keeps_its_memory_after_the_next_message(self, one_way: Pair) -> None:
        numpy = pytest.importorskip("numpy")
        receiver, sender = one_way
        got = []
        for number in range(8):
            sender.send(numpy.full(1000, number))
            got.append(receiver.recv(timeout=PATIENCE))
        for number, one in enumerate(got):
            assert (one == number).all()
            numpy.add(one, 1, out=one)
        assert [int(one[0]) for one in got] == list(range(1, 9))

    @promise("connection.arrays")
    def test_buffers_of_the_standard_library_arrive_as_what_they_are(self, one_way: Pair) -> None:
        receiver, sender = one_way
        for obj in (b"x" * 1000, bytearray(b"y" * 1000), array.array("d", [1.5] * 100)):
            sender.send([obj, obj])
            first, second = receiver.recv(timeout=PATIENCE)
            assert type(first) is type(obj)
            assert first == obj
            assert second is first
        sender.send(pickle.PickleBuffer(bytearray(b"z" * 1000)))
        assert bytes(receiver.recv(timeout=PATIENCE)) == b"z" * 1000
