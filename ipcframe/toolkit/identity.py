"""Which process is meant, and whether it still lives.

Pids are used again, so a process is known by pid and start time together, packed into one word of 64 bits
that is stored and read as a whole: a *token*. Zombies count as dead: they hold nothing any more.

The start time is field 22 of /proc/<pid>/stat (proc(5)), in clock ticks since boot. Where there is no
/proc, the pid alone must do, and a death is noticed by looking instead of by a pidfd.
"""

from __future__ import annotations

import io
import os

from . import forks

__all__ = ["LEFT", "NOBODY", "Watch", "is_alive", "my_token", "pid_of"]

NOBODY = 0
LEFT = 1
"""A flag in a token: its process ended normally, and left what it held as it was."""
_TICKS = (1 << 39) - 1
_PID_SHIFT = 40
_UNKNOWN = 0

_mine: tuple[object, int] = (None, NOBODY)


def my_token() -> int:
    """The token of this process."""
    global _mine
    generation, token = _mine
    if generation is not forks.generation:
        pid = os.getpid()
        token = _token(pid, _start_time(pid) or _UNKNOWN)
        _mine = (forks.generation, token)
    return token


def pid_of(token: int) -> int:
    """The pid in a token; 0 for `NOBODY`."""
    return token >> _PID_SHIFT


def is_alive(token: int) -> bool:
    """Whether the process of this token runs (a stopped one does)."""
    token &= ~LEFT
    if token == my_token():
        return True
    started = _start_time(pid_of(token))
    return started is not None and (started == _UNKNOWN or _token(pid_of(token), started) == token)


class Watch:
    """A descriptor that becomes readable when a process ends; close it with `close`.

    `fd` is -1 where the system has no pidfds: then one must look again now and then. `dead` says that the
    process had ended before it could be watched.
    """

    __slots__ = ("dead", "fd")

    def __init__(self, token: int) -> None:
        self.fd = -1
        self.dead = False
        try:
            self.fd = os.pidfd_open(pid_of(token))
        except ProcessLookupError:
            self.dead = True
            return
        except (AttributeError, OSError):
            pass
        # Only now: the pid may have gone to another process just before.
        self.dead = not is_alive(token)

    def close(self) -> None:
        """Give the descriptor up."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)

    def __del__(self) -> None:
        self.close()


def _token(pid: int, started: int) -> int:
    return pid << _PID_SHIFT | (started & _TICKS) << 1


def _start_time(pid: int) -> int | None:
    """The start time of a process; None when it has ended, `_UNKNOWN` where that cannot be found out."""
    files: list[io.FileIO] = []
    try:
        # It lands in the list in the call that opens it: a handler may raise right after (see `guard`).
        files.extend(map(open, (f"/proc/{pid}/stat",), ("rb",), (0,)))  # type: ignore[arg-type]
        # The second field is a name in brackets, and may have spaces and brackets in it.
        fields = files[0].read().rpartition(b")")[2].split()
        return None if fields[0] in (b"Z", b"X") else int(fields[19])
    except OSError:
        # It has ended; or there is no /proc, or one that hides others' processes, or no descriptor left.
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return None
        except PermissionError:
            pass
        return _UNKNOWN
    finally:
        for file in files:
            file.close()
