"""What prediction costs: one row, and a million rows in blocks, 784-32-10, beside what others need.

python benchmarks/prediction.py [--rows 1000000] [--runs 5] [--json]

One row: the median of many calls. Many rows, as raw bytes, as floats and as doubles: rows a second, and beside them the
bound, the float32 products alone on rows that are floats already, 1024 at a time, in one thread of the same BLAS and in
two halves on two workers. Rows are drawn once and used again and again, so no more than 100,000 are ever in memory.
"""

from __future__ import annotations

import argparse
import json
import statistics
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from once import one_row, timed
from peers import network
from works import WORKS

from layerloop import Inputs
from layerloop.engine import native

if TYPE_CHECKING:
    from collections.abc import Callable

HELD = 100_000  # rows in memory


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--calls", type=int, default=2000, help="of one row in each run")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    found = one_row(given.runs, given.calls) + many_rows(given.rows, given.runs)
    if given.json:
        print(json.dumps(found))
        return
    for row in found:
        unit, factor = ("us", 1e6) if row["work"].startswith("one row") else ("thousand rows/s", 1e-3)
        values = "".join(f"{row[key] * factor:10.1f}" for key in ("median", "least", "most"))
        print(f"{row['work']:26}{row['name']:34}{values}  {unit}")


def many_rows(rows: int, runs: int) -> list[dict[str, Any]]:
    """Return rows a second of every form, everyone in turn."""
    held = min(rows, HELD)
    raw = np.random.default_rng(0).integers(256, size=(held, 784), dtype=np.uint8)
    forms: dict[str, Any] = {"uint8": raw, "float32": raw / np.float32(255)}
    forms["float64, as strided"] = (raw / 255)[:, ::-1]
    m = network(WORKS[0])
    m.inputs = Inputs(scale=1 / 255)
    times = max(1, rows // held)
    jobs: dict[str, Callable[[], float]] = {
        f"layerloop, {name}": partial(timed, partial(m, X)) for name, X in forms.items()
    }
    if native.available():
        for name, halved in (("products alone, one thread", False), ("products alone, two workers", True)):
            jobs[name] = partial(products, held, halved=halved)
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(runs):
        for name, job in jobs.items():
            seconds[name].append(times * job())
    return [speeds(f"{times * held:,} rows, 784-32-10", name, times * held, taken) for name, taken in seconds.items()]


def products(rows: int, *, halved: bool) -> float:
    """Seconds of the products; a training step has those of the weights' gradients too, and so twice as many."""
    return native.products_bound([784, 32, 10], 1024, 1 + rows // 1024, halved=halved) / 2


def speeds(work: str, name: str, rows: int, seconds: list[float]) -> dict[str, Any]:
    found = [rows / taken for taken in seconds]
    return {"work": work, "name": name, "median": statistics.median(found), "least": min(found), "most": max(found)}


if __name__ == "__main__":
    main()
