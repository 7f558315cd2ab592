"""Test accuracy of the notes' recipe over seeds: the network, a single layer, and the formulas taken literally.

python benchmarks/accuracy.py [--seeds 5] [--data mnist fashion-mnist] [--epochs 20] [--json]
"""

from __future__ import annotations

import argparse
import json
import statistics

from layerloop import Adam, DataLoader, accuracy, crossentropy, data, train
from layerloop.readings import classifier

ROWS = {
    "784-32-10, reading program": ("program", (32,)),
    "multinomial logistic regression": ("program", ()),
    "784-32-9, reading notes": ("notes", (32,)),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--data", nargs="+", default=["mnist", "fashion-mnist"])
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    results = []
    for name in given.data:
        rows = data.read(name)
        X_test, y_test = data.load(name, "test")
        for row, (reading, hidden) in ROWS.items():
            before, after, seconds = [], [], []
            for seed in range(given.seeds):
                m = classifier(reading, X_test.shape[1], hidden, 10, seed=seed)
                before.append(accuracy(m, X_test, y_test))
                loader = DataLoader((rows.X, rows.y), batchsize=128, seed=seed, scale=rows.scale)
                history = train(m, loader, crossentropy, Adam(1e-3), given.epochs, threads=1)
                after.append(accuracy(m, X_test, y_test))
                seconds.append(history.seconds)
            results.append(
                {
                    "data": name,
                    "row": row,
                    "before": statistics.mean(before),
                    "mean": statistics.mean(after),
                    "least": min(after),
                    "most": max(after),
                    "seconds": statistics.median(seconds),
                }
            )
            if not given.json:
                print(
                    f"{name:14} {row:34} before {statistics.mean(before):.3f}  mean {results[-1]['mean']:.4f}  "
                    f"range {min(after):.4f} to {max(after):.4f}  {statistics.median(seconds):.1f} s"
                )
    if given.json:
        print(json.dumps(results))


if __name__ == "__main__":
    main()
