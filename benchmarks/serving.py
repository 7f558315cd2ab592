"""What a prediction over HTTP costs: many clients at once ask a served 784-256-10 for one row each, again and again.

python benchmarks/serving.py [--requests 10000] [--clients 32] [--json]

The server is the command's own, in a process of its own; the clients share another, and send ready-made requests over
sockets that stay open, so that they take little of the cores (`client_cpu_ms` each). Milliseconds from the first byte
sent to the last received, the number of answers other than 200, and the server's processor time for each and its
memory's growth.
"""

from __future__ import annotations

import argparse
import json
import os
import selectors
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

from layerloop import Chain, Dense, relu, save, softmax


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        m = Chain(Dense(784, 256, relu), Dense(256, 10), softmax)
        command = [sys.executable, "-m", "layerloop", "serve", str(save(m, Path(folder, "m"))), "--port", "0", "--json"]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert server.stdout is not None
        try:
            said = json.loads(server.stdout.readline())
            port = urlsplit(said["address"]).port or 0
            message = message_to(port, said["token"])
            asked(port, message, min(500, given.requests), given.clients)  # warm: memory is what it will be
            before, worked = memory(server.pid), cpu_seconds(server.pid)
            found = asked(port, message, given.requests, given.clients)
            found["server_cpu_ms"] = 1000 * (cpu_seconds(server.pid) - worked) / found["answered"]
            found["server_grew_MB"] = (memory(server.pid) - before) / 1e6
        finally:
            server.terminate()
            server.wait()
    if given.json:
        print(json.dumps([{"name": name, "median": max(value, 1e-9)} for name, value in found.items()]))
        return
    for name, value in found.items():
        print(f"{name:20}{value:10.2f}")


def asked(port: int, message: bytes, requests: int, clients: int) -> dict[str, float]:
    """Return what so many requests took, each client sending its next one as soon as it has its answer."""
    taken: list[float] = []
    left, refused = requests, 0
    worked, begun = time.process_time(), time.perf_counter()
    all_of_them = [Client(port) for _ in range(min(clients, requests))]
    with selectors.DefaultSelector() as ready:
        for one in all_of_them:
            ready.register(one, selectors.EVENT_READ, one)
            one.ask(message)
            left -= 1
        while len(taken) < requests:
            for key, _ in ready.select(60):
                if (seconds := key.data.answered()) is not None:
                    taken.append(seconds)
                    refused += not key.data.head.startswith(b"HTTP/1.1 200")
                    if left:
                        key.data.ask(message)
                        left -= 1
    seconds, client_cpu = time.perf_counter() - begun, (time.process_time() - worked) / requests
    for one in all_of_them:
        one.close()
    p50, p99 = (1000 * float(np.quantile(taken, q)) for q in (0.5, 0.99))
    figures = {"p50_ms": p50, "p99_ms": p99, "largest_ms": 1000 * max(taken)}
    rate = {"requests_per_second": len(taken) / seconds, "client_cpu_ms": 1000 * client_cpu}
    return {**figures, **rate, "answered": len(taken), "refused": refused}


def message_to(port: int, token: str) -> bytes:
    """Return a request as it goes over the wire."""
    row = np.random.default_rng(0).random(784).round(4).tolist()
    body = json.dumps({"rows": [row]})
    kind = f"Content-Type: application/json\r\nContent-Length: {len(body)}"
    head = f"POST /predict HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\n{kind}"
    return f"{head}\r\n\r\n{body}".encode()


class Client(socket.socket):
    """A connection that stays open, with one request at a time under way."""

    def __init__(self, port: int) -> None:
        super().__init__(socket.AF_INET, socket.SOCK_STREAM)
        self.connect(("127.0.0.1", port))
        self.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.begun, self.got, self.head = 0.0, b"", b""

    def ask(self, message: bytes) -> None:
        self.begun, self.got = time.perf_counter(), b""
        self.sendall(message)

    def answered(self) -> float | None:
        """Read what has come; return the seconds since the question once the answer is whole."""
        part = self.recv(1 << 16)
        if not part:
            raise ConnectionError("the server has closed a connection")
        self.got += part
        self.head, end, body = self.got.partition(b"\r\n\r\n")
        if not end or len(body) < int(self.head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]):
            return None
        return time.perf_counter() - self.begun


def memory(pid: int) -> float:
    """Return the resident bytes of a process, 0 where the system does not say."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        return 0.0
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS"))
    return float(line.split()[1]) * 1024


def cpu_seconds(pid: int) -> float:
    """Return the processor time that a process has used, 0 where the system does not say."""
    stat = Path(f"/proc/{pid}/stat")
    if not stat.exists():
        return 0.0
    user, system = stat.read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
