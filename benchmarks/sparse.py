"""Sparse rows beside scikit-learn: 48,000 x 19,000 with 6.5 entries a row, 64 hidden (relu), 58 classes, batch 128.

Columns are drawn by Zipf's law and the classes at random, both from one seed. Of 1,900,000 more occur in a batch
than of 19,000; "among" are the rows of the 19,000 with their columns strewn over so many. Everything runs in turn in
this one process, the lazy rule, of which some percent are asked, several times in a round. Times are of whole calls
on a network that is already made, for one pass: `partial_fit` of scikit-learn's MLPClassifier, and `train` over
several passes divided by their number. "step" is what is left of such a call without its start: the passes behind the
first, in microseconds for one step; how many times as long one takes as another is the median of the turns' ratios.

    python benchmarks/sparse.py [--runs 5] [--passes 2] [--json] [--small]
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy.sparse import csr_array
from sklearn.neural_network import MLPClassifier

from layerloop import Adam, Chain, DataLoader, Dense, LazyAdam, softmax, train

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from layerloop import Progress
    from layerloop.optim import Rule

    Times = dict[str, list[float]]
    Runs = list[Callable[[], None]]

HIDDEN, CLASSES, BATCH, PER_ROW = 64, 58, 128, 6.8  # entries drawn for a row; some fall on the same column
SKLEARN = "scikit-learn, Adam"
LAZY = "layerloop, LazyAdam"
TURNS = 15  # of the lazy rule in a round, there and back: with one, its ratios move by a tenth from run to run


class Rows(NamedTuple):
    """A data set."""

    X: csr_array
    y: NDArray[np.int64]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--passes", type=int, default=2, help="of one call to train")
    parser.add_argument("--json", action="store_true", help="one JSON array as the last line")
    parser.add_argument("--small", action="store_true", help="a few rows and columns: a smoke run")
    given = parser.parse_args()
    rows, narrow, wide = (600, 500, 5_000) if given.small else (48_000, 19_000, 1_900_000)
    turns = 1 if given.small else TURNS
    sets = {f"{width:,} columns": made(rows, width) for width in (narrow, wide)}
    sets[f"{narrow:,} among {wide:,}"] = strewn(sets[f"{narrow:,} columns"], wide)
    seconds: Times = {}
    others, lazy = contestants(sets, given.passes, seconds)
    for i in range(given.runs + 1):  # the first one warms: threads, caches, memory
        print(f"round {i} of {given.runs}" if i else "warming", file=sys.stderr)
        if i == 1:
            seconds.clear()
        for run in [*others, *turns * [*lazy, *reversed(lazy)]]:
            run()
    report(seconds, sets, as_json=given.json)


def made(rows: int, width: int) -> Rows:
    rng = np.random.default_rng(0)
    counts = rng.poisson(PER_ROW, rows)
    share = 1 / np.arange(1, width + 1)
    columns = rng.choice(width, counts.sum(), p=share / share.sum())
    entries = (rng.random(counts.sum(), dtype=np.float32), (np.repeat(np.arange(rows), counts), columns))
    return Rows(csr_array(entries, shape=(rows, width)), rng.integers(CLASSES, size=rows))


def strewn(rows: Rows, width: int) -> Rows:
    """Return the rows with their columns at random places among so many."""
    places = np.random.default_rng(1).permutation(width)[: rows.X.shape[1]]
    X = csr_array((rows.X.data, places[rows.X.indices], rows.X.indptr), shape=(rows.X.shape[0], width))
    X.sort_indices()
    return Rows(X, rows.y)


def contestants(sets: dict[str, Rows], passes: int, seconds: Times) -> tuple[Runs, Runs]:
    """Return those that run once in a round, and those with the lazy rule."""
    narrow = next(iter(sets))
    others = [
        sklearn_run(sets[narrow], seconds),
        layerloop_run(sets[narrow], Adam(1e-3), passes, f"layerloop, Adam, {narrow}", seconds),
    ]
    lazy = [layerloop_run(rows, LazyAdam(1e-3), passes, f"{LAZY}, {name}", seconds) for name, rows in sets.items()]
    return others, lazy


def sklearn_run(rows: Rows, seconds: Times) -> Callable[[], None]:
    net = MLPClassifier((HIDDEN,), batch_size=BATCH, random_state=0)

    def run() -> None:
        begun = time.perf_counter()
        net.partial_fit(rows.X, rows.y, classes=np.arange(CLASSES))
        seconds.setdefault(SKLEARN, []).append(time.perf_counter() - begun)

    return run


def layerloop_run(rows: Rows, rule: Rule, passes: int, name: str, seconds: Times) -> Callable[[], None]:
    m = Chain(Dense(rows.X.shape[1], HIDDEN, "relu"), Dense(HIDDEN, CLASSES), softmax)
    loader = DataLoader((rows.X, rows.y), BATCH)
    ends: list[float] = []

    def ended(progress: Progress) -> None:
        if progress.epoch_ended:
            ends.append(progress.seconds)

    def run() -> None:
        ends.clear()
        begun = time.perf_counter()
        train(m, loader, optimizer=rule, epochs=passes + 1, callbacks=ended)
        took = time.perf_counter() - begun
        seconds.setdefault(name, []).append(took / (passes + 1))
        seconds.setdefault(f"{name}, us a step", []).append(1e6 * np.diff(ends).mean() / len(loader))

    return run


def report(seconds: Times, sets: dict[str, Rows], *, as_json: bool) -> None:
    peer = statistics.median(seconds[SKLEARN])
    rows: list[dict[str, Any]] = [
        {"name": name, "median": statistics.median(times), "least": min(times), "most": max(times)}
        for name, times in seconds.items()
    ]
    for row in rows:
        if "step" not in row["name"]:
            row["times_as_fast"] = peer / row["median"]
    first, *others = sets
    steps = {name: np.array(seconds[f"{LAZY}, {name}, us a step"]) for name in sets}
    for name in others:
        ratio = float(np.median(steps[name] / steps[first]))
        rows.append({"name": f"LazyAdam's step, {name}, over that of {first}", "median": ratio})
    out = sys.stderr if as_json else sys.stdout
    for name, (X, _) in sets.items():
        print(f"{X.shape[0]:,} x {name}: {X.nnz / X.shape[0]:.2f} entries a row", file=out)
    print(f"{'':60}{'median':>10}{'least':>10}{'most':>10}{'times as fast':>15}", file=out)
    for row in rows:
        figures = "".join(f"{row[key]:10.3f}" for key in ("median", "least", "most") if key in row)
        fast = f"{row['times_as_fast']:15.1f}" if "times_as_fast" in row else ""
        print(f"{row['name']:60}{figures}{fast}", file=out)
    if as_json:
        print(json.dumps(rows))


if __name__ == "__main__":
    main()
