"""The servers of managers, and how proxies talk to them."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import select
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterable
from functools import partial
from multiprocessing import AuthenticationError, util
from multiprocessing import managers as _managers
from multiprocessing.managers import BaseProxy
from multiprocessing.managers import Server as _Server
from multiprocessing.managers import SharedMemoryServer as _SharedMemoryServer
from traceback import format_exc
from typing import Any, NoReturn

from .connection import Client, Connection, Listener, XmlClient, XmlListener, default_family
from .toolkit import abstract, forks

__all__ = ["OURS", "Server", "SharedMemoryServer"]

_BREATH = 0.05
"""How long a server that lacks descriptors or threads waits before it takes the next client, in seconds."""
_FAREWELL = 5.0
"""How long the finalizers of a server may take when nobody is left to end it, in seconds."""
_CHOSEN = b"\0ipcframe-server-"
"""How the addresses begin that our servers choose, and only those."""
_standard: Any = _managers
_listener_client: dict[str, Any] = _standard.listener_client
_dispatch: Callable[..., Any] = _standard.dispatch


class _Serializer(str):
    """The name of a way to talk, which proxies carry; unpickled, it imports this module, and so the way."""

    __slots__ = ()

    def __reduce__(self) -> tuple[Any, ...]:
        return _Serializer, (str(self),)


class _Door(Listener):
    """A listener that is told its key after it was made, as servers do it."""

    def lock(self, authkey: bytes) -> None:
        """From now on clients have to prove that they know the key."""
        self._authkey = authkey


class _XmlDoor(XmlListener, _Door):
    pass


class _Calm:
    """A connection whose reader sleeps until something comes, without looking for it again and again before.

    Requests and answers take longer than looking pays, and a thread that looks holds up the others.
    """

    def __init__(self, end: Connection) -> None:
        self._end = end
        poller = select.poll()
        poller.register(end, select.POLLIN)
        self._sleep = poller.poll
        self.send = end.send

    def recv(self) -> Any:
        """Receive an object."""
        end = self._end
        if not end._holds_message():
            self._sleep()
        return end.recv()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._end, name)


def _calm(end: Any) -> Any:
    return _Calm(end) if isinstance(end, Connection) else end


class _Line:
    """A connection to a server, on which a request gets its own answer also after an interrupt.

    The exception of a signal handler may come between a request and its answer, or the handler may use the
    same proxy: what arrives next would be taken for the answer to another request. So each exchange has a
    connection for itself, one that is idle or else a new one.

    Proxies make a line for each object that they make, count or forget. A server of ours answers more than
    one such request on a connection, so a thread keeps it for its next line, for as long as its process
    holds proxies of that server.
    """

    def __init__(self, connect: Callable[..., Any], address: Any, authkey: bytes | None = None) -> None:
        self._connect = connect
        self._for = address, authkey
        self._asked: list[Any] = []
        self._accepted = False
        self._idle = [self._another()]

    def send(self, request: Any) -> None:
        """Send a request."""
        end = self._idle.pop() if self._idle else self._another()
        self._accepted = self._accepted or request[1] == "accept_connection"
        try:
            end.send(request)
        except BaseException as error:
            self._settle(end, error)
            raise
        self._asked.append(end)

    def recv(self) -> Any:
        """Receive the answer to the last request that has none."""
        end = self._asked.pop()
        try:
            answer = end.recv()
        except BaseException as error:
            self._settle(end, error)
            raise
        if self._accepted or not self._keep(end):
            self._idle.append(end)
        return answer

    def _settle(self, end: Any, error: BaseException) -> None:
        if isinstance(error, EOFError | ConnectionError):
            self._idle.append(end)  # the server is gone, and this connection will say so again
        else:
            end.close()

    def _another(self) -> Any:
        address, authkey = self._for
        end = None if self._accepted else self._kept()
        if end is None:
            end = _calm(self._connect(address, authkey=authkey))
            if self._accepted:
                _dispatch(end, None, "accept_connection", (threading.current_thread().name,))
        return end

    def _keep(self, end: Any) -> bool:
        """Leave the connection to this thread's next line, if one may."""
        address, authkey = self._for
        local, held = BaseProxy._address_to_local.get(address, (None, None))
        if not held or not isinstance(address, bytes) or not address.startswith(_CHOSEN):
            return False
        vars(local)["kept"] = authkey, forks.generation, end
        return True

    def _kept(self) -> Any:
        """What an earlier line of this thread has left, if it is of use."""
        address, authkey = self._for
        local, _ = BaseProxy._address_to_local.get(address, (None, None))
        left = None if local is None else vars(local).pop("kept", None)
        if left is None or left[0] != authkey or left[1] is not forks.generation or left[2].poll():
            return None
        return left[2]

    def close(self) -> None:
        """Close what it has not left to others."""
        for end in (*self._idle, *self._asked):
            end.close()

    def __enter__(self) -> _Line:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


# Proxies and managers of the standard library look up there how to talk, by a name that they are given.
OURS = {"pickle": _Serializer("ipcframe"), "xmlrpclib": _Serializer("ipcframe-xml")}
_listener_client[OURS["pickle"]] = _Door, partial(_Line, Client)
_listener_client[OURS["xmlrpclib"]] = _XmlDoor, partial(_Line, XmlClient)


# --- servers --------------------------------------------------------------------------------------


class _Stop(threading.Event):
    """An event that is awaited beside a descriptor, while signal handlers run at once."""

    def __init__(self) -> None:
        super().__init__()
        self._bell, self._heard = socket.socketpair()
        self._bell.setblocking(False)
        self._heard.setblocking(False)

    def __del__(self) -> None:
        # Not before: any thread of the server may still set it.
        self._bell.close()
        self._heard.close()

    def set(self) -> None:
        """Set it."""
        super().set()
        with contextlib.suppress(OSError):
            self._bell.send(b"!")

    def wait_beside(self, fd: int | None) -> bool:
        """Wait until it is set, or the descriptor readable; whether it is set."""
        poller = select.poll()
        for one in (self._heard.fileno(), fd):
            if one is not None:
                poller.register(one, select.POLLIN)
        # The system may give a signal to any thread: who sleeps in this one must be woken for it.
        in_main = threading.current_thread() is threading.main_thread()
        before = signal.set_wakeup_fd(self._bell.fileno(), warn_on_full_buffer=False) if in_main else -1
        try:
            while not self.is_set():
                if fd in dict(poller.poll()):
                    return False
                with contextlib.suppress(BlockingIOError):
                    self._heard.recv(4096)
            return True
        finally:
            if in_main:
                signal.set_wakeup_fd(before)


class Server(_Server):
    """What runs in a manager's process; see `multiprocessing.managers`.

    Its listener goes through the handshakes of all clients at once, with a deadline for each. Then each
    client has a thread.
    """

    listener: Any
    stop_event: threading.Event

    def __init__(self, registry: Any, address: Any, authkey: bytes, serializer: str) -> None:
        if address is None and default_family == "AF_UNIX" and abstract.AVAILABLE:
            address = abstract.new_address("server")
        # By its name: after `ipcframe.install` this is the initializer that the next class would call.
        _Server.__init__(self, registry, address, authkey, OURS.get(serializer, serializer))
        if isinstance(self.listener, _Door):
            self.listener.lock(authkey)

    def serve_forever(self) -> NoReturn:
        """Serve until a manager shuts it down, then exit; in a process that a manager has started, also
        until the process is interrupted or the one that started it has ended.
        """
        me: Any = multiprocessing.current_process()
        me._manager_server = self
        self.stop_event = stop = _Stop()
        try:
            threading.Thread(target=self.accepter, daemon=True).start()
            with contextlib.suppress(KeyboardInterrupt, SystemExit):
                if not stop.wait_beside(getattr(me, "_manager_parent", None)):
                    util.info("the process that started this manager has ended")
                    _exit_after(_FAREWELL)
        finally:
            # An initializer may have replaced them by what cannot be used at exit.
            sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__
            sys.exit(0)

    def accepter(self) -> None:
        """Give each client a thread, for as long as the server runs."""
        while not self.stop_event.is_set():
            try:
                client = self.listener.accept()
                try:
                    threading.Thread(target=self.handle_request, args=(client,), daemon=True).start()
                except RuntimeError:
                    client.close()
                    raise
            except AuthenticationError as error:
                util.info("refused a client: %s", error)
            except (EOFError, MemoryError, OSError, RuntimeError) as error:
                util.info("could not take a client: %s", error)
                if getattr(self.listener, "closed", False):
                    return
                self.stop_event.wait(_BREATH)

    def _handle_request(self, c: Any) -> None:
        if not isinstance(self.listener, _Door):
            super()._handle_request(c)  # type: ignore[misc]
            return
        client = _calm(c)
        with contextlib.suppress(EOFError, OSError):
            while True:
                answer = self._answer(client)
                try:
                    client.send(answer)
                except OSError:
                    raise
                except Exception:  # noqa: BLE001 - it cannot be pickled
                    client.send(("#TRACEBACK", format_exc()))

    def _answer(self, c: Any) -> tuple[str, Any]:
        try:
            request = c.recv()
        except (EOFError, OSError):
            raise
        except Exception:  # noqa: BLE001 - it cannot be unpickled, which is the client's to hear
            return "#TRACEBACK", format_exc()
        try:
            _, name, args, kwds = request
            if name not in self.public:
                raise AttributeError(f"a client has no {name!r} to ask of a server")
            return "#RETURN", getattr(self, name)(c, *args, **kwds)
        except Exception:  # noqa: BLE001 - as above
            return "#TRACEBACK", format_exc()


def _exit_after(seconds: float) -> None:
    timer = threading.Timer(seconds, os._exit, (1,))
    timer.daemon = True
    timer.start()


class _Segments(_standard._SharedMemoryTracker):  # type: ignore[misc]
    """The shared memory that a server unlinks; in another process it is only a list of names."""

    def __init__(self, name: str, segment_names: Iterable[str] = ()) -> None:
        super().__init__(name, list(segment_names))
        self._pid = os.getpid()

    def destroy_segment(self, segment_name: str) -> None:
        """Unlink one, if that was not done."""
        from .shared_memory import SharedMemory

        self.segment_names.remove(segment_name)
        with contextlib.suppress(FileNotFoundError):
            segment = SharedMemory(segment_name)
            segment.close()
            segment.unlink()

    def unlink(self) -> None:
        """Unlink all."""
        if self._pid == os.getpid():
            super().unlink()


class SharedMemoryServer(Server, _SharedMemoryServer):
    """A server that keeps account of shared memory, and unlinks it at its end."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        Server.__init__(self, *args, **kwargs)
        self.shared_memory_context = _Segments(f"shm_{self.address!r}_{os.getpid()}")

    def serve_forever(self) -> NoReturn:
        """As `Server.serve_forever`."""
        try:
            super().serve_forever()
        finally:
            self.shared_memory_context.unlink()
