"""What each ingredient of the good-by-default estimators for tables is worth: one off at a time, on the same splits.

    pip install layerloop pandas
    python benchmarks/ablation.py --data FOLDER [--sets wage vehicle] [--seeds 3] [--rows 200] [--json]

FOLDER as in benchmarks/tabular.py. Each row of the table is the geometric mean over the sets of the mean error with the
ingredient off, divided by that of the estimator as it comes; likewise its time.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from typing import Any

from tabular import add_folder, error_of, known_sets, split

from layerloop import TabularClassifier, TabularRegressor

ALL, CLASSES, VALUES = "both", "class", "value"
# What is off, for which kind of target, and the settings of the recipe that turn it off.
OFF: dict[str, tuple[str, dict[str, Any]]] = {
    "one network instead of five": (ALL, {"folds": 1}),
    "no learned scaling of the columns": (ALL, {"scaled": False}),
    "activations without a parameter": (ALL, {"parametric": False}),
    "ReLU instead of SELU and Mish": (ALL, {"activation": "relu"}),
    "biases start at 0": (ALL, {"placed": False}),
    "cosine instead of coslog4": (ALL, {"schedule": "cosine"}),
    "beta2 0.999 instead of 0.95": (ALL, {"beta2": 0.999}),
    "no waves of numbers": (VALUES, {"frequencies": 0}),
    "two hidden layers instead of three": (ALL, {"widths": (128, 128)}),
    "width 256 instead of 128": (ALL, {"widths": (256, 256, 256)}),
    "all epochs, no early stop": (ALL, {"patience": 1.0}),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_folder(parser)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="the table as one JSON array, the last line")
    given = parser.parse_args()
    known = known_sets(parser, given)
    sets = given.sets or list(known)
    chosen = {name: known[name] for name in sets}
    whole = measured(given, chosen, ALL, {})
    rows = []
    for name, off in OFF.items():
        found = measured(given, chosen, *off)
        if found:
            rows.append(row(name, found, whole))
            print("{off:40} error {error:.3f}  time {seconds:.2f}  ({sets} sets)".format(**rows[-1]), flush=True)
    if given.json:
        print(json.dumps(rows))


def measured(
    given: argparse.Namespace, known: dict[str, tuple[str, str, list[str]]], which: str, settings: dict[str, Any]
) -> dict[str, tuple[float, float]]:
    """Return mean error and median seconds of each set."""
    found = {}
    for name, (target, kind, left_out) in known.items():
        if which not in (ALL, kind):
            continue
        errors, seconds = [], []
        for seed in range(given.seeds):
            X, X_test, y, y_test = split(given.data / f"{name}.csv.gz", target, kind, left_out, seed, given.rows)
            model = (TabularClassifier if kind == CLASSES else TabularRegressor)(recipe=settings, random_state=seed)
            begun = time.perf_counter()
            errors.append(error_of(model.fit(X, y).predict(X_test), y_test, kind))
            seconds.append(time.perf_counter() - begun)
        found[name] = statistics.mean(errors), statistics.median(seconds)
    return found


def row(name: str, off: dict[str, tuple[float, float]], on: dict[str, tuple[float, float]]) -> dict[str, Any]:
    error, seconds = (statistics.geometric_mean(off[s][i] / on[s][i] for s in off) for i in (0, 1))
    return {"off": name, "error": error, "seconds": seconds, "sets": len(off)}


if __name__ == "__main__":
    main()
