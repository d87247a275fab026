"""The tests of the application: its worker runs in a thread, or right here; no process, no sleep."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor

import pytest
from words import WordCount, count_words

import ipcframe
from ipcframe.errors import EndOfStream, PeerGone


@pytest.fixture
def child() -> Iterator[Executor]:
    with ThreadPoolExecutor(1) as thread:
        yield thread


@pytest.fixture
def words(child: Executor) -> Iterator[WordCount]:
    made = WordCount(ipcframe.get_context(backend="loopback"), waiting=3)
    with made.texts, made.counts, made.report:  # to close them ends whatever the child may still wait for
        yield made


def test_the_worker_counts_what_it_is_given(words: WordCount) -> None:
    words.texts.put("to be or")
    words.texts.put("not to be")
    words.texts.put(None)
    count_words(words.texts, words.report)  # nothing here waits, so it needs no thread
    assert words.total() == {"to": 2, "be": 2, "or": 1, "not": 1}


def test_both_sides_work_at_the_same_time(words: WordCount, child: Executor) -> None:
    target, args = words.worker
    running = child.submit(target, *args)
    for _ in range(100):  # far more than the queue holds
        words.texts.put("again and again", timeout=10)
    words.texts.put(None, timeout=10)
    assert words.total() == {"again": 200, "and": 100}
    running.result(10)  # what the worker raised would be raised here


def test_a_full_queue_keeps_the_caller_back(words: WordCount) -> None:
    for _ in range(3):
        words.texts.put("text")
    with pytest.raises(queue.Full):
        words.texts.put("one too many", timeout=0)


def test_a_text_that_cannot_be_counted_ends_the_worker_and_the_other_side_learns_of_it(
    words: WordCount, child: Executor
) -> None:
    target, args = words.worker
    running = child.submit(target, *args)
    words.texts.put(5)
    with pytest.raises(EndOfStream):
        words.counts.recv(timeout=10)
    with pytest.raises(AttributeError, match="split"):
        running.result(10)


def test_a_worker_to_which_nobody_listens_ends(words: WordCount) -> None:
    words.counts.close()
    words.texts.put("text")
    with pytest.raises(PeerGone):
        count_words(words.texts, words.report)


def test_what_a_process_could_not_be_sent_cannot_be_put(words: WordCount) -> None:
    with pytest.raises(Exception, match="pickle"):
        words.texts.put(lambda: "a text")
    assert words.texts.empty()
