"""Programs on other Pythons, with the standard library alone, are at the other side: in both roles."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import standard_peer

import ipcframe
from ipcframe.conformance.conditions import Worker
from ipcframe.connection import Client, Listener
from ipcframe.errors import HandshakeFailed, HandshakeTimedOut

KEY = b"known to both programs"
OBJECTS: list[Any] = [
    {"a": [1, 2.5, None]},
    "text",
    b"x" * 300_000,
    array("d", [1.5] * 100_000),
    "y" * 3_000_000,
]
MESSAGES = [b"", b"small", b"m" * 65_536, b"n" * 2_000_000]
VERSIONS = [
    "3.11",
    "3.13",
    pytest.param("3.12", marks=pytest.mark.ci),
    pytest.param("3.8", marks=pytest.mark.ci),
]
"""Until 3.11 a challenge names no digest, and is answered by MD5."""


@cache
def interpreter(version: str) -> str | None:
    """A Python of this version, if there is one: by its usual name, or where pyenv has them."""
    if sys.version.startswith(f"{version}."):
        return sys.executable
    installed = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    found = [*sorted(map(str, installed.glob(f"{version}.*/bin/python"))), shutil.which(f"python{version}")]
    for one in filter(None, found):
        asked = subprocess.run(
            [one, "-c", "import sys; print(sys.version)"], capture_output=True, text=True, check=False
        )
        if asked.stdout.startswith(f"{version}."):
            return one
    return None


@contextmanager
def peer(version: str, role: str, family: str, address: Any, key: bytes | None) -> Iterator[Any]:
    """The program, running; it has ended without an error when this is left."""
    python = interpreter(version)
    if python is None:
        pytest.skip(f"there is no Python {version} here")
    told = str(address[1] if family == "AF_INET" else address)
    command = [python, "-I", standard_peer.__file__, role, family, told, "-" if key is None else key.decode()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process.stdout
        except BaseException:
            process.kill()
            raise
    assert process.returncode == 0


def converse(conn: Any) -> None:
    for obj in [*OBJECTS, None]:
        conn.send(obj)
        assert conn.recv(timeout=20) == obj
    for message in MESSAGES:
        conn.send_bytes(message)
        assert conn.recv_bytes(timeout=20) == message


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "socket")


@pytest.mark.parametrize("key", [None, KEY], ids=["no key", "a key"])
@pytest.mark.parametrize("version", VERSIONS)
def test_their_client_talks_to_our_listener(path: str, version: str, key: bytes | None) -> None:
    with (
        Listener(f"unix:{path}", authkey=key) as listener,
        peer(version, "connect", "AF_UNIX", path, key) as printed,
    ):
        with listener.accept(timeout=20) as conn:
            converse(conn)
        assert printed.read() == "the end\n"


@pytest.mark.parametrize("key", [None, KEY], ids=["no key", "a key"])
@pytest.mark.parametrize("version", VERSIONS)
def test_our_client_talks_to_their_listener(path: str, version: str, key: bytes | None) -> None:
    with peer(version, "listen", "AF_UNIX", path, key) as printed:
        assert printed.readline() == f"{path}\n"
        with Client(f"unix:{path}", authkey=key, timeout=20) as conn:
            converse(conn)
        assert printed.read() == "the end\n"


@pytest.mark.parametrize("family", ["AF_UNIX", "AF_INET"])
@pytest.mark.parametrize("version", ["3.11", "3.13"])
def test_addresses_without_a_file_and_of_the_internet_are_theirs_too(version: str, family: str) -> None:
    ctx = ipcframe.get_context(backend="unix")
    name = f"@ipcframe-peer-{os.getpid()}"
    with (
        ctx.Listener(f"unix:{name}" if family == "AF_UNIX" else ("127.0.0.1", 0), authkey=KEY) as listener,
        peer(version, "connect", family, name if family == "AF_UNIX" else listener.address, KEY) as printed,
    ):
        with listener.accept(timeout=20) as conn:
            converse(conn)
        assert printed.read() == "the end\n"
    with peer(version, "listen", family, name if family == "AF_UNIX" else ("127.0.0.1", 0), KEY) as printed:
        told = printed.readline().strip()
        address: Any = f"unix:{name}" if family == "AF_UNIX" else ("127.0.0.1", int(told))
        with ctx.Client(address, authkey=KEY, timeout=20) as conn:
            converse(conn)
        assert printed.read() == "the end\n"


@pytest.mark.parametrize("version", ["3.11", "3.13"])
def test_another_key_is_an_authentication_error_for_both_programs(path: str, version: str) -> None:
    with (
        Listener(path, authkey=KEY) as listener,
        peer(version, "connect", "AF_UNIX", path, b"other") as printed,
    ):
        with pytest.raises(HandshakeFailed, match="gave a wrong answer"):
            listener.accept(timeout=20)
        assert printed.read() == "AuthenticationError\n"
    with peer(version, "listen", "AF_UNIX", path, b"other") as printed:
        assert printed.readline()
        with pytest.raises(HandshakeFailed, match="refused our answer"):
            Client(path, authkey=KEY, timeout=20)
        assert printed.read() == "AuthenticationError\n"


@pytest.mark.parametrize("version", ["3.11", "3.13"])
def test_a_key_on_one_side_only_is_an_error_in_time(path: str, version: str) -> None:
    with Listener(path, authkey=KEY) as listener:
        accepting = Worker(listener.accept)
        with peer(version, "connect", "AF_UNIX", path, None) as printed:
            assert printed.read() == "UnpicklingError\n"  # it takes the challenge for an object
        with Client(path, authkey=KEY, timeout=20), accepting.result():
            pass
    with peer(version, "listen", "AF_UNIX", path, None) as printed:
        assert printed.readline()
        with pytest.raises(HandshakeTimedOut, match="does it use an authkey"):
            Client(path, authkey=KEY, timeout=0.3)
        assert printed.read() == "EOFError\n"
