"""The notes' run beside PyTorch: 784-32-10, sigmoid, softmax and cross-entropy, Adam at 0.001, batch 128.

Runs everything in turn, several times, in this one process, and prints medians and the ratio to the fastest form of
PyTorch: a hand-written loop with fused Adam, batches by indices of a permutation, no DataLoader, its rows as float32
or as bytes converted per batch, on one thread and on two. Times are of whole calls to train.

    pip install layerloop torch
    python benchmarks/notes_run.py [--epochs 20] [--runs 5] [--json]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from layerloop import Adam, Chain, DataLoader, Dense, accuracy, crossentropy, data, sigmoid, softmax, train

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Run = Callable[[int], float]
    Data = dict[str, NDArray[Any]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--rows", type=int, help="only so many training rows, made up at random: a smoke run")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    sets = made_up(given.rows) if given.rows else mnist()
    contestants = layerloop_runs(sets, given) | torch_runs(sets, given)
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(given.runs):
        for name, run in contestants.items():
            begun = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - begun)
    report(seconds, as_json=given.json)


def mnist() -> Data:
    (X, y), (X_test, y_test) = data.load("mnist", raw=True), data.load("mnist", "test", raw=True)
    return {"X": X, "y": y, "X_test": X_test, "y_test": y_test}


def made_up(rows: int) -> Data:
    rng = np.random.default_rng(0)
    X, y = rng.integers(0, 256, (rows, 784), dtype=np.uint8), rng.integers(0, 10, rows)
    return {"X": X, "y": y, "X_test": X, "y_test": y}


def layerloop_runs(sets: Data, given: argparse.Namespace) -> dict[str, Callable[[], object]]:
    def run(threads: int | None) -> None:
        m = Chain(Dense(784, 32, sigmoid), Dense(32, 10), softmax)
        loader = DataLoader((sets["X"], sets["y"]), batchsize=128, scale=1 / 255)
        train(m, loader, crossentropy, Adam(1e-3), given.epochs, threads=threads)
        if not given.rows and given.epochs == 20:
            reached = accuracy(m, sets["X_test"], sets["y_test"])
            assert 0.955 < reached < 0.966, f"this run is not the notes' run: accuracy {reached}"

    return {
        "layerloop": lambda: run(None),
        "layerloop, 1 thread": lambda: run(1),
    }


def torch_runs(sets: Data, given: argparse.Namespace) -> dict[str, Callable[[], object]]:
    try:
        import torch
    except ImportError:
        print("PyTorch is not installed: its rows are left out")
        return {}
    as_bytes = torch.from_numpy(sets["X"])
    as_floats = as_bytes.float().div_(255)
    y = torch.from_numpy(sets["y"].astype(np.int64))

    def run(X: Any, threads: int) -> None:
        torch.set_num_threads(threads)
        torch.manual_seed(0)
        net = torch.nn.Sequential(torch.nn.Linear(784, 32), torch.nn.Sigmoid(), torch.nn.Linear(32, 10))
        optimizer = torch.optim.Adam(net.parameters(), lr=1e-3, fused=True)
        for _ in range(given.epochs):
            order = torch.randperm(len(X))
            for start in range(0, len(X), 128):
                rows = order[start : start + 128]
                batch = X[rows] if X.is_floating_point() else X[rows].float().mul_(1 / 255)
                loss = torch.nn.functional.cross_entropy(net(batch), y[rows])
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()

    forms = {"floats": as_floats, "bytes": as_bytes}
    return {
        f"PyTorch {torch.__version__}, {form}, {threads} thread{'s' * (threads > 1)}": partial(run, X, threads)
        for form, X in forms.items()
        for threads in range(1, given.threads + 1)
    }


def report(seconds: dict[str, list[float]], *, as_json: bool) -> None:
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    best = min((value for name, value in medians.items() if name.startswith("PyTorch")), default=float("nan"))
    rows = [
        {
            "name": name,
            "median": medians[name],
            "least": min(times),
            "most": max(times),
            "of_torch": medians[name] / best,
        }
        for name, times in seconds.items()
    ]
    if as_json:
        print(json.dumps(rows))
        return
    print(f"{'':36}{'median s':>9}{'least':>8}{'most':>8}{'of best PyTorch':>17}")
    for row in rows:
        figures = "".join(f"{row[key]:{width}.3f}" for key, width in (("median", 9), ("least", 8), ("most", 8)))
        print(f"{row['name']:36}{figures}{row['of_torch']:17.2f}")


if __name__ == "__main__":
    main()
