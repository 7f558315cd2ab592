"""Tables: the good-by-default estimators beside scikit-learn's MLP, LightGBM, CatBoost and RealMLP, all with defaults.

    pip install layerloop pandas lightgbm catboost pytabkit
    python benchmarks/tabular.py --data FOLDER [--sets wage vehicle] [--seeds 5] [--only layerloop] [--keep FILE]

FOLDER holds NAME.csv.gz and sets.py, a mapping SETS of name -> (target, "class" or "value", columns to leave out). The
split is 80 to 20, stratified by class, by the seed. Error is (wrong + 1) / (n + 2) for classes, 1 - R^2 for values.
With --keep, results are added to that file and what it already holds is not run again.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import runpy
import statistics
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tabular_peers import PEERS, contestants

if TYPE_CHECKING:
    from collections.abc import Iterator

    Result = dict[str, Any]
    Known = dict[str, tuple[str, str, list[str]]]

OURS = "layerloop"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_folder(parser)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=list(PEERS), default=list(PEERS), metavar="WHO")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="JSON lines of results, added to")
    parser.add_argument("--json", action="store_true", help="all results as one JSON array, the last line")
    given = parser.parse_args()
    known = known_sets(parser, given)
    found = kept(given.keep)
    for result in run(given, known, found):
        found.append(result)
        if given.keep:
            with given.keep.open("a") as lines:
                lines.write(json.dumps(result) + "\n")
    chosen = [r for r in found if r["who"] in given.only and r["set"] in (given.sets or known)]
    print(text_of(chosen), file=sys.stderr if given.json else sys.stdout)
    if given.json:
        print(json.dumps(chosen))


def add_folder(parser: argparse.ArgumentParser) -> None:
    """Add what says where the tables are and which of them are wanted."""
    default = os.environ.get("LAYERLOOP_DATA")
    parser.add_argument("--data", type=Path, default=Path(default, "tabular") if default else None)
    parser.add_argument("--sets", nargs="+", metavar="NAME")
    parser.add_argument("--rows", type=int, help="only so many rows of each set: a smoke run")


def known_sets(parser: argparse.ArgumentParser, given: argparse.Namespace) -> Known:
    """Return the folder's sets by name."""
    if given.data is None or not (given.data / "sets.py").is_file():
        parser.error("--data names a folder with sets.py and its tables")
    known: Known = runpy.run_path(str(given.data / "sets.py"))["SETS"]
    return known


def kept(path: Path | None) -> list[Result]:
    if path is None or not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]


def run(given: argparse.Namespace, known: Known, found: list[Result]) -> Iterator[Result]:
    """Yield a result for every set, seed and contestant that is not there yet, all of a seed in turn."""
    done = {(r["set"], r["seed"], r["who"]) for r in found}
    for name in given.sets or known:
        target, kind, left_out = known[name]
        for seed in range(given.seeds):
            for who, contestant in contestants(given.only).items():
                if (name, seed, who) in done:
                    continue
                X, X_test, y, y_test = split(given.data / f"{name}.csv.gz", target, kind, left_out, seed, given.rows)
                begun = time.perf_counter()
                try:
                    error = error_of(contestant(X, y, X_test, kind, seed), y_test, kind)
                except ValueError as refusal:
                    error, note = None, str(refusal).splitlines()[0]
                    print(f"{name}: {who} refuses: {note[:100]}", file=sys.stderr)
                yield {"set": name, "kind": kind, "seed": seed, "who": who, "error": error,
                       "seconds": time.perf_counter() - begun}  # fmt: skip
                print(f"{name} {seed} {who} {error}", file=sys.stderr)


def split(path: Path, target: str, kind: str, left_out: list[str], seed: int, rows: int | None) -> tuple[Any, ...]:
    import pandas as pd
    from sklearn.model_selection import train_test_split

    frame = pd.read_csv(path)
    if rows and rows < len(frame):
        frame = frame.sample(rows, random_state=0)
    X, y = frame.drop(columns=[target, *left_out]), frame[target]
    labels = y if kind == "class" and y.value_counts().min() > 1 else None
    return tuple(train_test_split(X, y, test_size=0.2, random_state=seed, stratify=labels))


def error_of(predicted: Any, y: Any, kind: str) -> float:
    from sklearn.metrics import r2_score

    if kind == "value":
        return float(1 - r2_score(y, predicted))
    wrong = sum(str(a) != str(b) for a, b in zip(predicted, y, strict=True))
    return (wrong + 1) / (len(y) + 2)


# -- what must hold ----------------------------------------------------------------------------------------------------


def text_of(results: list[Result]) -> str:
    """Return the table: mean error and seconds of each set, then the geometric means beside ours."""
    everyone = [who for who in PEERS if any(r["who"] == who for r in results)]
    lines = [f"{'':22}" + "".join(f"{who:>22}" for who in everyone)]
    for name in dict.fromkeys(r["set"] for r in results):
        cells = [cell(errors_of(results, name, who), times_of(results, name, who)) for who in everyone]
        lines.append(f"{name:22}" + "".join(cells))
    for who in everyone:
        if who != OURS:
            lines += compared(results, who)
    return "\n".join(
        lines + [f"must: {words}: {'holds' if holds else 'DOES NOT HOLD'}" for words, holds in demands(results)]
    )


def cell(errors: dict[int, float], seconds: list[float]) -> str:
    if not errors:
        return f"{'-':>22}"
    return f"{statistics.mean(errors.values()):13.4f} ({statistics.median(seconds):5.1f} s)"


def errors_of(results: list[Result], name: str, who: str) -> dict[int, float]:
    return {r["seed"]: r["error"] for r in results if (r["set"], r["who"]) == (name, who) and r["error"] is not None}


def times_of(results: list[Result], name: str, who: str) -> list[float]:
    return [r["seconds"] for r in results if (r["set"], r["who"]) == (name, who) and r["error"] is not None]


def ratios(results: list[Result], who: str) -> list[tuple[str, float, float]]:
    """Return (set, error, seconds) of ours as shares of theirs, for the sets that both have run."""
    found = []
    for name in dict.fromkeys(r["set"] for r in results):
        ours, theirs = errors_of(results, name, OURS), errors_of(results, name, who)
        both = [seed for seed in ours if seed in theirs]
        if both:
            share = statistics.mean(ours[s] for s in both) / statistics.mean(theirs[s] for s in both)
            time_share = statistics.median(times_of(results, name, OURS)) / statistics.median(
                times_of(results, name, who)
            )
            found.append((name, share, time_share))
    return found


def compared(results: list[Result], who: str) -> list[str]:
    found = ratios(results, who)
    if not found:
        return []
    error, seconds = (statistics.geometric_mean(column) for column in list(zip(*found, strict=True))[1:])
    return [f"ours over {who}: error {error:.3f}, seconds {seconds:.3f} (geometric means over {len(found)} sets)"]


def demands(results: list[Result]) -> list[tuple[str, bool]]:
    found = []
    for who, most in (("catboost", 1.0), ("realmlp", 1.0)):
        shares = [error for _, error, _ in ratios(results, who)]
        if shares:
            mean = statistics.geometric_mean(shares)
            found.append((f"error at most {most:g} of {who}'s: {mean:.3f}", mean <= most))
    times = [seconds for _, _, seconds in ratios(results, "realmlp")]
    if times:
        mean = statistics.geometric_mean(times)
        found.append((f"a tenth of realmlp's time: {mean:.3f}", mean <= 0.1))
    return found + [worst(results, name) for name in dict.fromkeys(r["set"] for r in results) if beside(results, name)]


def beside(results: list[Result], name: str) -> dict[int, float] | None:
    """Return the errors of the better of scikit-learn's MLP and LightGBM, once both have run."""
    two = [errors_of(results, name, who) for who in ("scikit-learn", "lightgbm")]
    if not all(two) or not errors_of(results, name, OURS):
        return None
    return min(two, key=lambda errors: statistics.mean(errors.values()))


def worst(results: list[Result], name: str) -> tuple[str, bool]:
    """A set must not be worse than the better one by both 1.15 times and two paired standard errors."""
    ours, theirs = errors_of(results, name, OURS), beside(results, name) or {}
    gaps = [ours[seed] - theirs[seed] for seed in ours if seed in theirs]
    share = statistics.mean(ours.values()) / statistics.mean(theirs.values())
    error = statistics.stdev(gaps) / math.sqrt(len(gaps)) if len(gaps) > 1 else 0.0
    behind = share > 1.15 and statistics.mean(gaps) > 2 * error
    return f"{name} beside the better of scikit-learn's MLP and LightGBM: {share:.2f}", not behind


if __name__ == "__main__":
    main()
