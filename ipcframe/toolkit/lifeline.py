"""The ends that a parent and its child hold of each other, and how a child ends when its parent has ended.

A parent holds two descriptors of each child. The *sentinel* is at its end when the child has ended. The
*lifeline* is the write end of a pipe: the read end, which the child has, is at its end when the parent has
ended. Both work as long as nobody else holds the other end, or the lifeline, too. A process that is forked
meanwhile, by another thread or by hand, would: so they are known here from the instant they exist, and are
closed in every forked process at its very beginning.
"""

from __future__ import annotations

import fcntl
import os
import signal
import stat
import threading
from itertools import chain, starmap
from select import POLLIN, poll

from . import forks

TYPE_CHECKING = False  # every child imports this module, and typing seldom
if TYPE_CHECKING:
    from typing import TypeVar

    _Child = TypeVar("_Child")

__all__ = ["Ends", "close_sentinels", "end_with_parent", "forking", "keep_from_forks", "living"]

forking = threading.RLock()
"""Held by whoever forks, and, for a few system calls, while that comes to be which no fork must keep.

Who holds it must not fork: others have locks of their own that are taken at each fork.
"""

_File = tuple[int, int]
_private: dict[int, _File] = {}
"""Descriptors that forks close, and what they are of: the program may have closed one behind our back."""
_sentinels: dict[int, _File] = {}
"""Descriptors that are of no use to a child that was started."""
passing = threading.local()
"""Its `ends` are the `Ends` of the child that this thread is about to fork: the child keeps its own."""


_abandoned: list[Ends] = []
"""Those that were collected while somebody forked."""


class Ends:
    """What holds a parent and a child together: two ends for each of them."""

    sentinel: int
    """The parent's: readable when the child has ended."""
    life: int
    """The child's: closed by its end."""
    parent_sentinel: int
    """The child's: at its end when the parent has ended."""
    lifeline: int
    """The parent's: closed by its end."""
    _fds: list[int] = []  # noqa: RUF012 - until the object's own is there
    _generation: object = None

    def __init__(self) -> None:
        # They land here in the call that makes them: a signal handler may raise right after it.
        self._fds = []
        self._generation = forks.generation
        _close_abandoned()
        try:
            with forking:
                self._fds.extend(chain.from_iterable(starmap(os.pipe, ((), ()))))
                self.sentinel, self.life, self.parent_sentinel, self.lifeline = self._fds
                of_child, of_parent = _file(self.life), _file(self.lifeline)
                _sentinels[self.sentinel] = of_child
                _private[self.life] = of_child
                _private[self.parent_sentinel] = _private[self.lifeline] = of_parent
        except BaseException:
            self.close()
            raise

    def close_childs(self) -> None:
        """In the parent: the child has its ends now."""
        self._close(1, 2)

    def close(self) -> None:
        """Give up what is left; in a forked process nothing is, and the numbers are others'."""
        self._close(0, 1, 2, 3)
        self._fds = []

    def _close(self, *places: int) -> None:
        if self._generation is not forks.generation:
            return
        with forking:
            for place in places[: len(self._fds)]:
                fd = self._fds[place]
                if fd < 0:
                    continue
                _private.pop(fd, None)
                _sentinels.pop(fd, None)
                # No call stands between this and the close: what is interrupted before, is done later.
                self._fds[place] = -1
                try:
                    os.close(fd)
                except OSError:  # the program has closed what it did not know
                    continue

    def __del__(self) -> None:
        # This may run in a thread that holds a lock for which a forking one waits: it must not wait for that.
        if self._fds and forking.acquire(blocking=False):
            try:
                self.close()
            finally:
                forking.release()
        elif self._fds:
            _abandoned.append(self)


def keep_from_forks(fd: int) -> None:
    """Have forks of this process close this descriptor, which this one keeps to its end."""
    with forking:
        _private[fd] = _file(fd)


def living(child: _Child, life: int) -> _Child:
    """In a child that has inherited its end by this number: keep it from its forks; returns the first."""
    os.set_inheritable(life, False)
    keep_from_forks(life)
    return child


def close_sentinels() -> None:
    """In a child that was started: close the sentinels of its siblings."""
    _close_all(_sentinels)


def end_with_parent(parent_sentinel: int) -> None:
    """Let SIGTERM end this process when its parent has ended: what a daemonic one is sent at a parent's exit.

    The kernel sends it, also to a process that is busy in C, without a thread and without a timer. Elsewhere
    a thread waits for the end. A process that handles the signal decides itself. Nothing may be written into
    the pipe any more: it would be taken for the end.
    """
    try:
        if not stat.S_ISFIFO(os.fstat(parent_sentinel).st_mode):
            raise OSError("the kernel would send signals for other reasons too")
        fcntl.fcntl(parent_sentinel, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(parent_sentinel, fcntl.F_SETSIG, signal.SIGTERM)
        flags = fcntl.fcntl(parent_sentinel, fcntl.F_GETFL)
        fcntl.fcntl(parent_sentinel, fcntl.F_SETFL, flags | os.O_ASYNC)
    except (AttributeError, OSError):
        threading.Thread(target=_wait_for_end, args=(parent_sentinel, None), daemon=True).start()
    else:
        _wait_for_end(parent_sentinel, 0)  # it may have ended before


def _wait_for_end(parent_sentinel: int, patience: int | None) -> None:
    poller = poll()
    poller.register(parent_sentinel, POLLIN)
    if poller.poll(patience):
        os.kill(os.getpid(), signal.SIGTERM)


def _file(fd: int) -> _File:
    status = os.fstat(fd)
    return status.st_dev, status.st_ino


def _close_all(kept: dict[int, _File]) -> None:
    while kept:
        fd, file = kept.popitem()
        try:
            if _file(fd) == file:
                os.close(fd)
        except OSError:
            continue


def _in_child() -> None:
    try:
        ends: Ends | None = getattr(passing, "ends", None)
        life = None
        if ends is not None:
            _private.pop(ends.parent_sentinel, None)
            life = _private.pop(ends.life, None)
        _close_all(_private)
        if ends is not None and life is not None:
            _private[ends.life] = life  # this process's now, and not its forks'
    finally:
        forking.release()


def _in_parent() -> None:
    forking.release()
    _close_abandoned()


def _close_abandoned() -> None:
    while _abandoned:
        _abandoned.pop().close()


os.register_at_fork(before=forking.acquire, after_in_parent=_in_parent, after_in_child=_in_child)
