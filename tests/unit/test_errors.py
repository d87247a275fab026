"""Errors: what existing `except` clauses catch, and that each code has its section."""

from __future__ import annotations

import multiprocessing
import pickle
import queue
import re
from pathlib import Path

import pytest

from ipcframe import errors

DOCS = Path(__file__).parents[2] / "docs"
CLASSES = [
    cls
    for cls in (getattr(errors, name) for name in errors.__all__)
    if issubclass(cls, errors.IpcframeError) and cls is not errors.IpcframeError
]


@pytest.mark.parametrize("cls", CLASSES)
def test_every_code_has_its_section_in_the_reference(cls: type[errors.IpcframeError]) -> None:
    headings = re.findall(r"^## `([a-z-]+)`$", (DOCS / "reference" / "errors.md").read_text("utf-8"), re.M)
    assert cls.code in headings


def test_no_section_is_left_of_a_code_that_is_gone() -> None:
    headings = re.findall(r"^## `([a-z-]+)`$", (DOCS / "reference" / "errors.md").read_text("utf-8"), re.M)
    assert sorted(headings) == sorted(cls.code for cls in CLASSES)


@pytest.mark.parametrize(
    ("cls", "caught_as"),
    [
        (errors.EndOfStream, EOFError),
        (errors.PeerGone, BrokenPipeError),
        (errors.BrokenConnection, OSError),
        (errors.ClosedError, OSError),
        (errors.ClosedError, ValueError),
        (errors.TimedOut, TimeoutError),
        (errors.TimedOut, multiprocessing.TimeoutError),
        (errors.BufferTooShort, multiprocessing.BufferTooShort),
        (errors.MessageTooLarge, OSError),
        (errors.QueueLimitReached, queue.Full),
        (errors.HandleLost, OSError),
        (errors.HandshakeFailed, multiprocessing.AuthenticationError),
        (errors.HandshakeTimedOut, multiprocessing.TimeoutError),
        (errors.OutOfSharedMemory, OSError),
        (errors.UnsupportedOperation, OSError),
        (errors.BackendNotFound, ValueError),
        (errors.StartMethodNotFound, ValueError),
        (errors.ConfigError, ValueError),
    ],
)
def test_an_error_is_caught_as_what_multiprocessing_raises_there(
    cls: type[Exception], caught_as: type[Exception]
) -> None:
    assert issubclass(cls, caught_as)


@pytest.mark.parametrize("cls", CLASSES)
def test_an_error_survives_pickling(cls: type[errors.IpcframeError]) -> None:
    error = (
        errors.BufferTooShort(b"whole", 2)
        if cls is errors.BufferTooShort
        else cls("what happened", "what to do")
    )
    copied = pickle.loads(pickle.dumps(error))
    assert type(copied) is cls
    assert str(copied) == str(error)
    assert copied.remedy == error.remedy
    assert f"[{cls.code}]" in str(error)


def test_system_errors_have_their_number() -> None:
    import errno

    assert errors.PeerGone("x").errno == errno.EPIPE
    assert errors.ClosedError("x").errno == errno.EBADF
