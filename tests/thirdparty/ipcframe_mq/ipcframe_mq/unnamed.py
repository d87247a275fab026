"""Unnamed: a message queue of posix_ipc without a name, which travels as a descriptor."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from resource import RLIMIT_MSGQUEUE, getrlimit
from typing import Self

from . import library


class Unnamed(library.MessageQueue):
    """A message queue that only those find who were given its descriptor; it is closed with its object.

    It is the library's object before there is a queue, so that what an exception out of a signal handler
    leaves half made is collected, its name and its descriptor too. (Only SIGKILL, in the microseconds between
    making and unlinking, leaves a name: neither the library nor POSIX has a queue that never had one.)
    """

    _has_name = True

    def __init__(self, messages: int, size: int) -> None:
        """Raises OSError when this user may have no more of them."""
        try:
            super().__init__(None, library.O_CREX, max_messages=messages, max_message_size=size)
        except OSError as error:  # the library knows of too many descriptors only, and gives no errno
            raise OSError(
                errno.EMFILE,
                f"no message queue could be made ({error}); all queues of this user together are limited to "
                f"{getrlimit(RLIMIT_MSGQUEUE)[0]} bytes (ulimit -q), all of this system in number "
                "(/proc/sys/fs/mqueue/queues_max)",
            ) from error
        self.unlink()
        self._has_name = False
        os.set_blocking(self.mqd, False)

    @classmethod
    def behind(cls, fd: int, size: int) -> Self:
        """The queue that a received descriptor stands for; the descriptor stays the caller's.

        The library opens queues by name alone. So it makes a small one, in whose place the descriptor is put.
        """
        queue = cls(1, size)
        os.dup2(fd, queue.mqd, inheritable=False)
        return queue

    def waiting_bytes(self) -> int:
        """The sizes of the messages in the queue, added up: Linux says so to who reads the descriptor."""
        text = os.pread(self.mqd, 128, 0)
        return int(text.partition(b"QSIZE:")[2].split()[0])

    def __del__(self) -> None:
        if self.name is not None and self.mqd >= 0:  # it was made
            if self._has_name:
                with suppress(library.ExistentialError):
                    self.unlink()
            self.close()
