"""Programs that are no relatives meet at an address, and one of them is killed.

    python meeting.py                  do all that follows
    python meeting.py serve ADDRESS    answer whoever comes
    python meeting.py ask ADDRESS      ask the one who is there

Each knows the address and a key. A killed server leaves the file of its address; the next one replaces it.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import ipcframe

KEY = b"for this example only"


def serve(address: str) -> None:
    with ipcframe.get_context(backend="unix").Listener(address, authkey=KEY) as listener:
        print("ready", flush=True)
        while True:
            try:
                client = listener.accept()
            except ipcframe.AuthenticationError:
                continue  # one that does not know the key
            with client:
                client.send(client.recv().upper())


def ask(address: str, key: bytes = KEY) -> str:
    with ipcframe.get_context(backend="unix").Client(address, authkey=key, timeout=10) as server:
        server.send("a question")
        return str(server.recv(timeout=10))


def start(*args: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, __file__, *args], stdout=subprocess.PIPE, text=True)


def started(address: str) -> subprocess.Popen[str]:
    server = start("serve", address)
    assert server.stdout is not None
    server.stdout.readline()
    return server


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        address = f"unix:{folder}/meeting"
        first = started(address)
        print("another program is told:", start("ask", address).communicate()[0].strip())
        try:
            ask(address, b"a guess")
        except ipcframe.AuthenticationError:
            print("with another key: refused")
        first.kill()
        first.communicate()
        print("its file after a kill:", Path(folder, "meeting").is_socket())
        try:
            ask(address)
        except ConnectionRefusedError:
            print("and nobody there")
        second = started(address)
        print("the next one says:", ask(address))
        second.kill()
        second.communicate()


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve(sys.argv[2])
    elif sys.argv[1:2] == ["ask"]:
        print(ask(sys.argv[2]))
    else:
        main()
