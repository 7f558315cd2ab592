"""Test accuracy and time of the recipe for pictures, beside scikit-learn's MLP with its defaults on the same pixels.

python benchmarks/pictures.py [--names mnist fashion-mnist] [--seeds 3] [--epochs N] [--json]

The recipe (`layerloop train NAME --recipe pictures`), one for both sets, was chosen on parts of their training rows;
the test rows are read once a seed, here. scikit-learn runs once: it takes minutes, and its seeds differ little.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
import warnings
from dataclasses import replace
from typing import Any

from layerloop import accuracy, data, train
from layerloop.data import has_test
from layerloop.training.recipe import RECIPES, prepare


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--names", nargs="+", default=["mnist", "fashion-mnist"], metavar="NAME")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, help="instead of the recipe's, and of scikit-learn's 200")
    parser.add_argument("--json", action="store_true", help="one JSON array as the last line")
    given = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for name in given.names:
        runs = [ours(name, seed, given.epochs) for seed in range(given.seeds)]
        rows += [summary(name, "layerloop", runs), summary(name, "scikit-learn", [theirs(name, given.epochs)])]
        for row in rows[-2:]:
            print(f"{row['data']:14} {row['who']:14} accuracy {row['mean']:.4f} ({row['least']:.4f} to "
                  f"{row['most']:.4f})  {row['seconds']:.1f} s", flush=True)  # fmt: skip
    if given.json:
        print(json.dumps(rows))


def ours(name: str, seed: int, epochs: int | None) -> tuple[float, float]:
    """Return test accuracy and seconds of training."""
    recipe = replace(RECIPES["pictures"], seed=seed)
    recipe = recipe if epochs is None else replace(recipe, epochs=epochs)
    test = data.read(name, "test") if has_test(name) else None
    task = prepare(data.read(name), test, recipe)
    begun = time.perf_counter()
    train(task.m, task.loader, task.trained_loss, task.rule, recipe.epochs)
    return accuracy(task.m, *task.held["test"]), time.perf_counter() - begun


def theirs(name: str, epochs: int | None) -> tuple[float, float]:
    from sklearn.neural_network import MLPClassifier

    warnings.filterwarnings("ignore")  # that it has not converged
    X, y = data.load(name)
    network = MLPClassifier(random_state=0, max_iter=epochs or 200)
    begun = time.perf_counter()
    network.fit(X, y)
    seconds = time.perf_counter() - begun
    X_test, y_test = data.load(name, "test")
    return float(network.score(X_test, y_test)), seconds


def summary(name: str, who: str, runs: list[tuple[float, float]]) -> dict[str, Any]:
    found, seconds = zip(*runs, strict=True)
    return {"data": name, "who": who, "mean": statistics.mean(found), "least": min(found), "most": max(found),
            "seconds": statistics.median(seconds)}  # fmt: skip


if __name__ == "__main__":
    main()
