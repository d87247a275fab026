"""Serve objects to programs that are no relatives, over the network's loopback.

    python remote_manager.py                  serve, ask as two clients, stop
    python remote_manager.py serve            serve only, and print the address
    python remote_manager.py ask PORT         ask the server at that port

Server and clients know a key, and nothing else of each other. Who does not know the key gets an
AuthenticationError and sees nothing.
"""

import subprocess
import sys
from multiprocessing import AuthenticationError
from multiprocessing.managers import BaseManager
from queue import Queue
from typing import Any

KEY = b"for this example only"
HOST = "127.0.0.1"
jobs: "Queue[int]" = Queue()
answers: "Queue[tuple[int, int]]" = Queue()


class Service(BaseManager):
    """What the server offers by name."""


Service.register("jobs", callable=lambda: jobs)
Service.register("answers", callable=lambda: answers)


def connect(port: int, key: bytes = KEY) -> Any:
    """A client's side of the service."""
    service = Service(address=(HOST, port), authkey=key)
    service.connect()
    return service


def serve() -> None:
    """Serve until the end."""
    server = Service(address=(HOST, 0), authkey=KEY).get_server()
    print(server.address[1], flush=True)  # type: ignore[index]
    server.serve_forever()


def ask(port: int) -> None:
    """Take jobs and answer them, until a negative one comes."""
    service = connect(port)
    jobs, answers = service.jobs(), service.answers()
    while (job := jobs.get()) >= 0:
        answers.put((job, job**2))


def main() -> None:
    """Start a server and two clients, as strangers would, and give them work."""
    program = [sys.executable, *sys.orig_argv[1:]]
    with subprocess.Popen([*program, "serve"], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        service = connect(port)
        clients = [subprocess.Popen([*program, "ask", str(port)]) for _ in range(2)]
        for job in [*range(1, 7), *[-1] * len(clients)]:
            service.jobs().put(job)
        print("answers:", sorted(service.answers().get() for _ in range(6)))
        print("clients:", *(client.wait() for client in clients))
        try:
            connect(port, b"a guess")
        except AuthenticationError:
            print("without the key: refused")
        server.terminate()


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve()
    elif sys.argv[1:2] == ["ask"]:
        ask(int(sys.argv[2]))
    else:
        main()
