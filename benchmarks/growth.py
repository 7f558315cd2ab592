"""How time and memory grow: seconds against rows, width, depth, batch, stored entries and threads; memory against data.

    python benchmarks/growth.py [--plot growth.svg] [--runs 3] [--json] [--small]

One thing grows at a time, from a network that is otherwise 64-128-128-10 on 16,384 rows in batches of 128. Printed are
the median seconds of a pass, and the slope: 1 means that twice as much takes twice as long, 0 that it costs nothing.
Memory is the most that a fresh process held while it trained, less what it held before it made the rows. The plot needs
matplotlib: pip install 'layerloop[report]'.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from layerloop import Adam, Chain, DataLoader, Dense, crossentropy, relu, softmax, train

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass(frozen=True)
class Case:
    """One network on made-up rows: `stored` entries a row where they are sparse, all of them where it is 0."""

    rows: int = 16384
    n_in: int = 64
    width: int = 128
    depth: int = 2
    batch: int = 128
    stored: int = 0
    threads: int | None = None

    def network(self) -> Chain:
        widths = [self.n_in, *[self.width] * self.depth]
        hidden = [Dense(*pair, relu) for pair in pairwise(widths)]
        return Chain(*hidden, Dense(self.width, 10), softmax)

    def data(self) -> tuple[Any, np.ndarray[Any, np.dtype[np.intp]]]:
        rng = np.random.default_rng(0)
        y = rng.integers(0, 10, self.rows)
        if not self.stored:
            return rng.standard_normal((self.rows, self.n_in), dtype=np.float32), y
        from scipy import sparse

        columns = rng.integers(0, self.n_in, (self.rows, self.stored))
        starts = np.arange(0, self.rows * self.stored + 1, self.stored)
        values = np.ones(columns.size, np.float32)
        return sparse.csr_matrix((values, columns.ravel(), starts), (self.rows, self.n_in)), y


def grown(case: Case, name: str, values: list[int]) -> dict[int, Case]:
    return {value: replace(case, **{name: value}) for value in values}


WIDE = Case(n_in=20000, width=32, depth=1)
SERIES: Mapping[str, dict[int, Case]] = {
    "rows": grown(Case(), "rows", [2048, 8192, 32768, 131072]),
    "width": grown(Case(), "width", [16, 64, 256, 1024]),
    "depth": grown(Case(), "depth", [1, 2, 4, 8, 16]),
    "batch": grown(Case(), "batch", [16, 64, 256, 1024]),
    "stored entries a row, of 20,000": grown(WIDE, "stored", [2, 8, 32, 128]),
    "threads": grown(Case(width=512), "threads", [1, 2, 4, 8]),
}
MEMORY = "megabytes of rows"
LINES = {"threads": -1, "batch": 0}  # the power that the dotted line shows; 1, in proportion, for all others


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plot", metavar="FILE", help="draw it too: .svg, .png, .pdf")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="one JSON array as the last line")
    parser.add_argument("--small", action="store_true", help="the two smallest of each: a smoke run")
    parser.add_argument("--memory", type=int, metavar="ROWS", help=argparse.SUPPRESS)  # in the fresh process
    given = parser.parse_args()
    if given.memory:
        print(megabytes_of(Case(rows=given.memory, n_in=256)))
        return
    found = [measured(name, series, given) for name, series in SERIES.items()]
    found.append(memory([2**14] if given.small else [2**14, 2**16, 2**18]))
    print("\n".join(map(text_of, found)), file=sys.stderr if given.json else sys.stdout)
    if given.plot:
        draw(found, given.plot)
    if given.json:
        print(json.dumps([row | {"median": row["y"][-1]} for row in found]))


# -- measuring ---------------------------------------------------------------------------------------------------------


def measured(name: str, series: Mapping[int, Case], given: argparse.Namespace) -> dict[str, Any]:
    """Return the median seconds of a pass for each value, everything in turn."""
    cases = dict(list(series.items())[: 2 if given.small else None])
    share = 16 if given.small else 1
    passes = {value: one_pass(replace(case, rows=case.rows // share)) for value, case in cases.items()}
    seconds: dict[int, list[float]] = {value: [] for value in cases}
    for _ in range(given.runs):
        for value, run in passes.items():
            begun = time.perf_counter()
            run()
            seconds[value].append(time.perf_counter() - begun)
    return figures(name, "seconds", {value: statistics.median(times) for value, times in seconds.items()})


def one_pass(case: Case) -> Callable[[], object]:
    """Return training over the rows once, after a first pass that is not counted."""
    m, loader = case.network(), DataLoader(case.data(), batchsize=case.batch)

    def run() -> None:
        train(m, loader, crossentropy, Adam(1e-3), 1, threads=case.threads)

    run()
    return run


def memory(rows: list[int]) -> dict[str, Any]:
    """Return the memory of a process that makes rows and trains on them, less what it had before."""
    held = {}
    for count in rows:
        done = subprocess.run(
            [sys.executable, __file__, "--memory", str(count)], check=True, capture_output=True, text=True
        )
        held[count * 256 * 4 / 2**20] = float(done.stdout)
    return figures(MEMORY, "megabytes", held)


def megabytes_of(case: Case) -> float:
    """Return by how much making rows and training on them raised the most memory that this process ever held."""
    one_pass(replace(case, rows=512))  # what is loaded once
    before = most_held()
    one_pass(case)()
    return most_held() - before


def most_held() -> float:
    """Return the most megabytes that this process held so far; from Linux itself, where a child's getrusage begins with
    its parent's.
    """
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().split("VmHWM:")[1].split()[0]) / 2**10
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def figures(name: str, unit: str, found: Mapping[Any, float]) -> dict[str, Any]:
    x, y = list(found), list(found.values())
    slope = math.log(y[-1] / y[-2]) / math.log(x[-1] / x[-2]) if len(x) > 1 else None
    return {"name": name, "unit": unit, "x": x, "y": y, "slope": slope}


# -- telling -----------------------------------------------------------------------------------------------------------


def text_of(row: dict[str, Any]) -> str:
    """Return one series: its values, the figures below them, and the slope between the last two."""
    width = 12
    head = "".join(f"{x:{width},.0f}" for x in row["x"])
    figures = "".join(f"{y:{width}.4g}" for y in row["y"])
    slope = "" if row["slope"] is None else f"   slope {row['slope']:.2f}"
    return f"{row['name']:34}{head}\n{'  ' + row['unit']:34}{figures}{slope}\n"


def draw(found: list[dict[str, Any]], path: str) -> None:
    """Draw every series in a panel of its own, both axes logarithmic."""
    if not find_spec("matplotlib"):
        print("the plot needs matplotlib: pip install 'layerloop[report]'; the figures are above", file=sys.stderr)
        return
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 6), layout="constrained")
    panels = figure.subplots(2, math.ceil(len(found) / 2)).ravel()
    for panel, row in zip(panels, found, strict=False):
        power = LINES.get(row["name"], 1)
        panel.loglog(row["x"], row["y"], "o-")
        panel.loglog(row["x"], [row["y"][0] * (x / row["x"][0]) ** power for x in row["x"]], ":", color="grey", lw=1)
        panel.set_xticks(row["x"], [f"{x:,.0f}" for x in row["x"]], minor=False)
        panel.set_xticks([], minor=True)
        panel.set(xlabel=row["name"], ylabel=row["unit"])
        panel.grid(alpha=0.3)
    for panel in panels[len(found) :]:
        panel.set_axis_off()
    figure.suptitle("One pass of training. Dotted: in proportion; threads in inverse proportion, batch the same")
    figure.savefig(path)


if __name__ == "__main__":
    main()
