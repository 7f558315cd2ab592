"""What a prediction over HTTP costs: many clients at once ask a served 784-256-10 for one row each, again and again.

python benchmarks/serving.py [--requests 10000] [--clients 32] [--json]

The server is the command's own, in a process of its own; the clients share another, and send ready-made requests over
connections that stay open, so that they take little of the two cores. Milliseconds from the first byte sent to the last
received, the number of answers other than 200, and the server's processor time for each and its memory's growth.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
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
            site = urlsplit(json.loads(server.stdout.readline())["address"])
            asyncio.run(asked(site.port, min(500, given.requests), given.clients))  # warm: memory is what it will be
            before, worked = memory(server.pid), cpu_seconds(server.pid)
            found = asyncio.run(asked(site.port, given.requests, given.clients))
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


async def asked(port: int | None, requests: int, clients: int) -> dict[str, float]:
    """Return what so many requests of so many clients took."""
    row = np.random.default_rng(0).random(784).round(4).tolist()
    body = json.dumps({"rows": [row]}).encode()
    head = f"POST /predict HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\nContent-Length: "
    message = head.encode() + str(len(body)).encode() + b"\r\n\r\n" + body
    taken: list[float] = []
    refused: list[bytes] = []
    begun = time.perf_counter()
    await asyncio.gather(*(client(port, message, requests // clients, taken, refused) for _ in range(clients)))
    seconds = time.perf_counter() - begun
    p50, p99 = (1000 * float(np.quantile(taken, q)) for q in (0.5, 0.99))
    figures = {"p50_ms": p50, "p99_ms": p99, "largest_ms": 1000 * max(taken)}
    return {**figures, "requests_per_second": len(taken) / seconds, "answered": len(taken), "refused": len(refused)}


async def client(port: int | None, message: bytes, times: int, taken: list[float], refused: list[Any]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(times):
        begun = time.perf_counter()
        writer.write(message)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        await reader.readexactly(length)
        taken.append(time.perf_counter() - begun)
        if not head.startswith(b"HTTP/1.1 200"):
            refused.append(head)
    writer.close()


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
