"""A program for any Python, with the standard library alone, that sends back what comes.

Run as ``standard_peer.py listen|connect FAMILY ADDRESS KEY``; a key of "-" is none. It prints its
address when it listens, and how it ended.
"""

import sys
from multiprocessing.connection import Client, Listener
from typing import Any


def echo(conn: Any) -> None:
    """Objects until None comes, then bytes until the end."""
    while True:
        obj = conn.recv()
        conn.send(obj)
        if obj is None:
            break
    try:
        while True:
            conn.send_bytes(conn.recv_bytes())
    except EOFError:
        print("the end", flush=True)


def main(role: str, family: str, address: Any, key: str) -> None:
    """Play the role."""
    assert "ipcframe" not in sys.modules
    authkey = None if key == "-" else key.encode()
    if family == "AF_INET":
        address = ("127.0.0.1", int(address))
    elif address.startswith("@"):
        address = "\0" + address[1:]
    try:
        if role == "listen":
            with Listener(address, family, authkey=authkey) as listener:
                print(listener.address[1] if family == "AF_INET" else address, flush=True)
                with listener.accept() as conn:
                    echo(conn)
        else:
            with Client(address, family, authkey=authkey) as conn:
                echo(conn)
    except Exception as error:
        print(type(error).__name__, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
