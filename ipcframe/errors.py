"""The errors of ipcframe: each class is a state that a caller can act on.

Every error has a ``code`` that leads to a section of ``docs/reference/errors``, and inherits what
`multiprocessing` raises in the same place, so that existing ``except`` clauses go on working. The text
says what happened, to which object, where the value came from, and what to do next.
"""

from __future__ import annotations

import errno
from multiprocessing import AuthenticationError as _AuthenticationError
from multiprocessing import BufferTooShort as _BufferTooShort
from multiprocessing import TimeoutError as _TimeoutError
from queue import Full as _Full
from typing import ClassVar

__all__ = [
    "AddressInUse",
    "AddressTooLong",
    "BackendBroken",
    "BackendNotFound",
    "BackendUnavailable",
    "BrokenConnection",
    "BufferTooShort",
    "ClosedError",
    "ConfigError",
    "DuplicateBackend",
    "DuplicatePlugin",
    "DuplicateStartMethod",
    "EndOfStream",
    "FallbackWarning",
    "HandleLost",
    "HandshakeFailed",
    "HandshakeTimedOut",
    "IpcframeError",
    "IpcframeWarning",
    "MessageTooLarge",
    "OtherKindOfMessage",
    "OutOfSharedMemory",
    "OwnerDiedWarning",
    "PeerGone",
    "PluginBroken",
    "PluginNotFound",
    "PluginUnavailable",
    "QueueLimitReached",
    "RemoteError",
    "StartMethodBroken",
    "StartMethodNotFound",
    "StartMethodUnavailable",
    "TimedOut",
    "UnsupportedOperation",
]


class IpcframeError(Exception):
    """The root of everything that ipcframe raises of its own.

    ``problem`` says what happened, to which object; ``remedy`` what to do about it (it may be empty).
    """

    code: ClassVar[str] = "error"
    system_errno: ClassVar[int | None] = None

    def __init__(self, problem: str, remedy: str = "") -> None:
        # Not super(): OSError would take two arguments for an errno and its text.
        Exception.__init__(self, problem, remedy)
        self.problem = problem
        self.remedy = remedy
        if self.system_errno is not None:
            vars(OSError)["errno"].__set__(self, self.system_errno)

    def __str__(self) -> str:
        remedy = f"\n  {self.remedy}" if self.remedy else ""
        return f"{self.problem}{remedy}\n  [{self.code}]"


class IpcframeWarning(UserWarning):
    """The root of the warnings of ipcframe."""


class FallbackWarning(IpcframeWarning):
    """Something asked for cannot run here, and another was taken, as the configuration allows."""


class OwnerDiedWarning(IpcframeWarning):
    """A lock came from a process that died holding it; what it guards may be half changed."""


# --- the state of an endpoint ---------------------------------------------------------------------


class ClosedError(IpcframeError, OSError, ValueError):
    """The object was closed on this side, by this process; it can do nothing more."""

    code = "closed"
    system_errno = errno.EBADF


class EndOfStream(IpcframeError, EOFError):
    """Everything that the other side sent has been received, and it will send no more."""

    code = "end-of-stream"


class PeerGone(IpcframeError, BrokenPipeError):
    """Nobody is left on the other side to receive what is sent."""

    code = "peer-gone"
    system_errno = errno.EPIPE


class BrokenConnection(IpcframeError, ConnectionError, EOFError):
    """What arrived is not what the protocol allows: this endpoint cannot be used any more."""

    code = "broken-connection"
    system_errno = errno.EPROTO


class MessageTooLarge(IpcframeError, ValueError, OSError):
    """One message is larger than this transport, or its configured limit, takes."""

    code = "message-too-large"
    system_errno = errno.EMSGSIZE


class OtherKindOfMessage(IpcframeError, OSError):
    """The next message is a descriptor and an object was asked for, or the reverse; it stays where it is."""

    code = "other-kind-of-message"
    system_errno = errno.ENOMSG


class BufferTooShort(IpcframeError, _BufferTooShort):
    """The message is larger than the buffer given for it; ``args[0]`` is the whole message, as bytes."""

    code = "buffer-too-short"

    def __init__(self, message: bytes, offered: int = 0) -> None:
        super().__init__(f"a message of {len(message)} bytes does not fit the {offered} bytes offered for it")
        self.remedy = "the message is args[0] of this error; offer a larger buffer next time"
        self.args = (message,)  # as multiprocessing's, and nothing more


class QueueLimitReached(IpcframeError, _Full):
    """A queue without a maxsize holds as many bytes as it may; the object was not put."""

    code = "queue-limit"


class TimedOut(IpcframeError, _TimeoutError, TimeoutError):
    """The timeout passed before the operation could be done.

    A receive took nothing. A send gave nothing, or, of a message too large to be written at once, a part:
    then the rest follows with the next operation on that end, and the message arrives whole, once.
    """

    code = "timed-out"
    system_errno = errno.ETIMEDOUT


class HandleLost(IpcframeError, ConnectionError):
    """An object arrived that lives in its sender, and the sender has ended, or does not answer."""

    code = "handle-lost"
    system_errno = errno.ECONNREFUSED


class HandshakeFailed(IpcframeError, _AuthenticationError):
    """The other side could not prove that it knows the key, or does not speak the protocol."""

    code = "handshake"


class HandshakeTimedOut(HandshakeFailed, TimedOut):
    """The other side did not finish the handshake in time; it may use no key, or none is used here."""

    code = "handshake-timeout"


class AddressInUse(IpcframeError, OSError):
    """Something else is at the path where a listener was to be: another listener, or what is no socket."""

    code = "address-in-use"
    system_errno = errno.EADDRINUSE


class AddressTooLong(IpcframeError, OSError):
    """The system does not keep an address of so many bytes whole."""

    code = "address-too-long"
    system_errno = errno.ENAMETOOLONG


class OutOfSharedMemory(IpcframeError, OSError):
    """The system has no room for a block of shared memory of this size; nothing was made."""

    code = "out-of-shared-memory"
    system_errno = errno.ENOSPC


class UnsupportedOperation(IpcframeError, OSError, NotImplementedError):
    """What was asked of this object it does not do: its capabilities, or its direction, say so beforehand."""

    code = "unsupported-operation"
    system_errno = errno.EOPNOTSUPP


class RemoteError(IpcframeError):
    """An exception of another process that could not be carried over as what it was; this is its text."""

    code = "remote-error"


# --- plugins and configuration --------------------------------------------------------------------


class ConfigError(IpcframeError, ValueError):
    """A setting is unknown, of the wrong type, or contradicts another; the text says where it stands."""

    code = "config"


class PluginNotFound(IpcframeError, ValueError):
    """No installed distribution and no `register` call offers a plugin of this name."""

    code = "plugin-not-found"


class DuplicatePlugin(IpcframeError, ValueError):
    """More than one distribution offers this name; the qualified form says which is meant."""

    code = "plugin-duplicate"


class PluginBroken(IpcframeError):
    """The plugin is installed and does not work: it fails at import, or does not keep the contract."""

    code = "plugin-broken"


class PluginUnavailable(IpcframeError, OSError):
    """The plugin works, but not on this machine; the text is its own reason."""

    code = "plugin-unavailable"


class BackendNotFound(PluginNotFound):
    """No backend of this name."""

    code = "backend-not-found"


class DuplicateBackend(DuplicatePlugin):
    """More than one distribution offers a backend of this name."""

    code = "backend-duplicate"


class BackendBroken(PluginBroken):
    """The backend is installed and does not work."""

    code = "backend-broken"


class BackendUnavailable(PluginUnavailable):
    """The backend cannot run on this machine."""

    code = "backend-unavailable"


class StartMethodNotFound(PluginNotFound):
    """No start method of this name."""

    code = "start-method-not-found"


class DuplicateStartMethod(DuplicatePlugin):
    """More than one distribution offers a start method of this name."""

    code = "start-method-duplicate"


class StartMethodBroken(PluginBroken):
    """The start method is installed and does not work."""

    code = "start-method-broken"


class StartMethodUnavailable(PluginUnavailable):
    """The start method cannot run on this machine."""

    code = "start-method-unavailable"
