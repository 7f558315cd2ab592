"""What watching costs: training with many pages open, one of which does not read, beside the time of training itself.

python benchmarks/watching.py [--pages 50] [--seconds 5] [--json]

Rows like those of MNIST, 784-32-10, trained as the page trains, in a thread; the server in another; the pages in a
process of their own. Processor seconds of the server's thread as a share of those of the training's, what drawing takes
of the training's time, how many messages a page got in a second, and the bytes that a page that does not read holds up.
Then, without any training, 1,000 updates a second: what putting one costs, and how old the newest is that a page has.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from layerloop import lab
from layerloop.data import Dataset
from layerloop.training.recipe import Recipe, prepare

PAGES = """
import select, socket, sys, time
port, pages, seconds = map(float, sys.argv[1:4])
asking = "GET /stream HTTP/1.1\\r\\nHost: 127.0.0.1:%d\\r\\nAuthorization: Bearer %s\\r\\n\\r\\n" % (port, sys.argv[4])
open_ = [socket.create_connection(("127.0.0.1", int(port))) for _ in range(int(pages))]
for page in open_:
    page.sendall(asking.encode())
    page.setblocking(False)
reading, got = open_[1:], 0  # the first does not read
print("open", flush=True)
end = time.monotonic() + seconds
while time.monotonic() < end:
    for page in select.select(reading, [], [], 0.2)[0]:
        got += page.recv(1 << 20).count(b"event: status")
print(got / max(len(reading), 1) / seconds, flush=True)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    found = {**watched(given.pages, given.seconds, given.rows), **updates(given.seconds)}
    if given.json:
        print(json.dumps([{"name": name, "median": max(value, 1e-9)} for name, value in found.items()]))
        return
    for name, value in found.items():
        print(f"{name:32}{value:12.4f}")


def watched(pages: int, seconds: float, rows: int) -> dict[str, float]:
    rng = np.random.default_rng(0)
    X, y = rng.integers(256, size=(rows, 784), dtype=np.uint8), rng.integers(10, size=rows)
    data = Dataset("random", X, y, "classes", tuple("0123456789"), 1 / 255, (28, 28), 20)
    desk, door = lab.Desk(), lab.Door()
    with door.serving(lab.lab_app(desk, door.site)):
        command = [sys.executable, "-c", PAGES, str(door.site.port), str(pages), str(seconds), door.site.token]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            process.stdout.readline()
            desk.run = lab.Run(prepare(data, None, Recipe(test=0.1)), "random", 10_000, desk.latest)
            while desk.latest.watchers < pages and process.poll() is None:  # coming is no watching
                time.sleep(0.05)
            time.sleep(0.5)
            before = {thread.name: cpu(thread) for thread in threading.enumerate()}
            messages = float(process.stdout.readline())
            spent = {t.name: cpu(t) - before[t.name] for t in threading.enumerate() if t.name in before}
        drawn = drawing_cost(desk.run)
        desk.leave()
    server, training = spent["layerloop-lab"], spent["layerloop-run"]
    return {
        "server_percent_of_training": 100 * server / training,
        "server_seconds": server,
        "training_seconds": training,
        "drawing_percent_of_training": drawn,
        "messages_to_a_page_per_second": messages,
        "bytes_of_newest_status": float(len(desk.latest.message("status"))),
    }


def drawing_cost(run: lab.Run) -> float:
    """Return the share of time that drawing takes: one picture, against the time until the next is due."""
    watch = run.watch
    begun = time.perf_counter()
    watch.show()
    taken = time.perf_counter() - begun
    return 100 * taken / max(watch._due - begun, 1e-9)


def updates(seconds: float) -> dict[str, float]:
    """1,000 updates a second to a page that reads: what putting one takes, and how old the newest is when it comes."""
    import http.client

    desk, door = lab.Desk(), lab.Door()
    ages: list[float] = []
    with door.serving(lab.lab_app(desk, door.site)):
        desk.latest.put("status", lambda: {"at": time.time()})
        connection = http.client.HTTPConnection("127.0.0.1", door.site.port, timeout=5)
        connection.request("GET", "/stream", headers={"Authorization": f"Bearer {door.site.token}"})
        stream = connection.getresponse()
        reader = threading.Thread(target=read_ages, args=(stream, ages))
        reader.start()
        taken, end = [], time.monotonic() + min(seconds, 3)
        while time.monotonic() < end:
            now = time.time()
            begun = time.perf_counter()
            desk.latest.put("status", lambda now=now: {"at": now})  # type: ignore[misc]
            taken.append(time.perf_counter() - begun)
            time.sleep(0.001)
        desk.latest.put("status", lambda: {"at": 0})
        reader.join(5)
        connection.close()
    return {"microseconds_of_an_update": 1e6 * float(np.mean(taken)), "oldest_newest_ms": 1000 * max(ages)}


def read_ages(stream: Any, ages: list[float]) -> None:
    for line in stream:
        if line.startswith(b"data: "):
            at = json.loads(line[6:])["at"]
            if at == 0:
                return
            ages.append(time.time() - at)


def cpu(thread: threading.Thread) -> float:
    """Return the processor seconds of a thread, where the system says them."""
    stat = Path(f"/proc/self/task/{thread.native_id}/schedstat")
    return int(stat.read_text().split()[0]) / 1e9 if stat.exists() else float("nan")


if __name__ == "__main__":
    main()
