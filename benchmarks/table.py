"""The table: layerloop beside PyTorch, JAX, scikit-learn and the products alone, everything in turn in one process.

    pip install layerloop torch jax
    python benchmarks/table.py [--runs 5] [--works 784-32-10 4-32-16-4] [--json] [--small]

Times are of whole calls to train. t(sgemm) is the bound: the float32 products of the same steps (forward, weight
gradients, input gradients from layer 2 on) on layerloop's own BLAS, called from compiled code with operands that stay
in the cache, in the fastest of three ways: one thread, two threads, the batch halved over two workers. The bound,
layerloop and JAX, of which some percent are asked, take several turns in a round, all others one; everyone begins on a
machine that is at rest. A library that is not installed is left out, and named. docs/benchmarks.md says what each
row is.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import once
from peers import compile_seconds, contestants, missing
from works import HAND, JAX, WORKS, Work, small

from layerloop.engine import native

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Times = dict[str, list[float]]

WAYS = {
    "t(sgemm), one thread": (1, False),
    "t(sgemm), two threads": (2, False),
    "t(sgemm), halved over two workers": (1, True),
}
BUSY = "layerloop, one core busy"
CLOSE = ("layerloop", JAX)  # and the bound
TURNS = 4  # of these in a round: with one, ratios move by a tenth from run to run where others use the machine
PAUSE = 0.15  # seconds before each: threads of a BLAS or a library that wait actively have gone to sleep then


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--works", nargs="+", metavar="WIDTHS", help="only the networks with these widths")
    parser.add_argument("--json", action="store_true", help="one JSON array as the last line")
    parser.add_argument("--small", action="store_true", help="a few rows each: a smoke run")
    given = parser.parse_args()
    out = sys.stderr if given.json else sys.stdout
    for name in missing():
        print(f"{name} is not installed: its rows are left out", file=out)
    rows: list[dict[str, Any]] = []
    for work in WORKS:
        if given.works and "-".join(map(str, work.widths)) not in given.works:
            continue
        chosen = small(work) if given.small else work
        found = measured(chosen, given.runs, 1 if given.small else TURNS)
        print(text_of(chosen, found), file=out, flush=True)
        rows += found
    if not given.works:
        found = once.rows(given.runs, small=given.small)
        print(once.text_of(found), file=out)
        rows += found
    if given.json:
        print(json.dumps(rows))


# -- measuring ---------------------------------------------------------------------------------------------------------


def measured(work: Work, runs: int, turns: int) -> list[dict[str, Any]]:
    """Return one row for everyone: median, least and most seconds, and of how many t(sgemm)."""
    everyone = contestants(work)
    compiling = compile_seconds(everyone[JAX]) if JAX in everyone else None
    for fresh in everyone.values():
        fresh()(1)  # warm: threads, caches and what a library loads at first use
    ways = WAYS if native.available() else {}
    seconds: Times = {name: [] for name in (*ways, *everyone, BUSY)}
    for i in range(runs):
        print(f"{work.name}: round {i + 1} of {runs}", file=sys.stderr)
        for _ in range(turns):
            for way in ways:
                seconds[way].append(products(work, way))
            for name in filter(everyone.get, CLOSE):
                seconds[name].append(timed(work, name, everyone[name]()))
        for name, fresh in everyone.items():
            if name not in CLOSE:
                seconds[name].append(timed(work, name, fresh()))
        with busy_process():
            seconds[BUSY].append(timed(work, BUSY, everyone["layerloop"]()))
    return rows_of(work, seconds, compiling)


def timed(work: Work, name: str, run: Callable[[int], object]) -> float:
    epochs = work.epochs if name.startswith("layerloop") else max(work.epochs // work.slow, 1)
    time.sleep(PAUSE)
    begun = time.perf_counter()
    run(epochs)
    return (time.perf_counter() - begun) * work.epochs / epochs


def products(work: Work, way: str) -> float:
    """Return t(sgemm) in one of the three ways, from a quarter of the steps."""
    threads, halved = WAYS[way]
    steps = max(int(work.steps / 4), 1)
    time.sleep(PAUSE)
    return native.products_bound(work.widths, work.batch, steps, threads, halved=halved) * work.steps / steps


@contextmanager
def busy_process() -> Iterator[None]:
    """One other process that computes all the time."""
    other = subprocess.Popen([sys.executable, "-c", "print(flush=True)\nwhile True: pass"], stdout=subprocess.PIPE)
    try:
        assert other.stdout is not None
        other.stdout.readline()  # it runs
        yield
    finally:
        other.kill()
        other.communicate()


def rows_of(work: Work, seconds: Times, compiling: float | None) -> list[dict[str, Any]]:
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    bound = min((medians[way] for way in WAYS if way in medians), default=None)
    rows = []
    for name, times in seconds.items():
        row = {"work": work.name, "name": name, "median": medians[name], "least": min(times), "most": max(times)}
        row |= {"of_bound": medians[name] / bound if bound else None,
                "of_layerloop": medians[name] / medians["layerloop"]}  # fmt: skip
        rows.append(row | ({"compile": compiling} if name == JAX else {}))
    return rows


# -- what must hold ----------------------------------------------------------------------------------------------------


def demands(work: Work, rows: list[dict[str, Any]]) -> list[tuple[str, float, bool]]:
    """Return what must hold of a work: the words, the figure, whether it holds."""
    by_name = {row["name"]: row for row in rows}
    found = []
    of_bound = by_name["layerloop"]["of_bound"]
    if work.bound and of_bound:
        found.append((f"at most {work.bound:g} t(sgemm)", of_bound, of_bound <= work.bound))
    for who, factor in work.faster:
        ratio = min((row["of_layerloop"] for name, row in by_name.items() if name.startswith(who)), default=None)
        if ratio:
            best = ", its best" if who == HAND else " without its compile" if who == JAX else ""
            found.append((f"at least {factor:g}x {who}{best}", ratio, ratio >= factor))
    busy = by_name[BUSY]["of_layerloop"]
    if work.busy:
        found.append((f"at most {work.busy}x its time beside one busy process", busy, busy <= work.busy))
    return found


def text_of(work: Work, rows: list[dict[str, Any]]) -> str:
    lines = [f"{work.name}, batch {work.batch}, {work.epochs} passes over {work.rows:,} rows",
             f"  {'':36}{'seconds':>9}{'least':>9}{'most':>9}{'t(sgemm)':>10}{'layerloop':>11}"]  # fmt: skip
    for row in rows:
        figures = "".join(f"{row[key]:9.4f}" for key in ("median", "least", "most"))
        of_bound = f"{row['of_bound']:10.2f}" if row["of_bound"] else " " * 10
        note = f"  + {row['compile']:.1f} s compile" if row.get("compile") else ""
        lines.append(f"  {row['name']:36}{figures}{of_bound}{row['of_layerloop']:11.2f}{note}")
    if work.slow > 1:
        lines.append(f"  (all but layerloop run {work.epochs // work.slow} passes, times scaled by {work.slow})")
    lines += [f"  must: {words}: {figure:.2f} {'holds' if holds else 'DOES NOT HOLD'}"
              for words, figure, holds in demands(work, rows)]  # fmt: skip
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
