"""Search for settings of the estimator for tables, and save the best model: Optuna proposes, the rows left out judge.

The first trial has the defaults. Ctrl-C ends the search and saves the best so far.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from layerloop import describe, estimators
from layerloop.atomic import check_writable
from layerloop.cli import options as opt
from layerloop.cli import tables
from layerloop.cli.keeping import ENDING, check_place, free_place, hold_off, signals_as_interrupts
from layerloop.cli.terminal import Terminal
from layerloop.models import save
from layerloop.plain import plain

if TYPE_CHECKING:
    import argparse

EXAMPLES = """examples:
  layerloop tune table.csv --target price --trials 20 --time-limit 60
  layerloop tune people.csv --target rich --metric auc -o rich.safetensors"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `layerloop tune`."""
    parser.add_argument("data", metavar="TABLE", help="a table: .csv, .parquet, .feather")
    opt.add_target(parser)
    parser.add_argument("--trials", type=int, default=20, metavar="N", help="default 20")
    tables.add_estimator(parser)
    parser.add_argument("--epochs", type=int, metavar="N", help="passes over the data (default: by the rows)")
    opt.add_seed(parser, "of proposals, weights and order")
    parser.add_argument("-o", "--out", type=Path, metavar="FILE", help="the model file (default: a new name here)")
    opt.add_json(parser)


def run(given: argparse.Namespace) -> int:
    """Search and save; return 0, 130 after Ctrl-C, 143 after SIGTERM."""
    terminal = Terminal(json=given.json)
    tune: Any = estimators.tune
    if given.out is not None:
        check_place(given.out)
    with signals_as_interrupts():
        data = tables.read_learnable(given, terminal)
        model = tables.estimator_for(data.kind, given).set_params(time_limit=None)
        place = check_writable(given.out or free_place(Path(Path(given.data).name.split(".")[0] + ENDING)))
        tables.say_learnable(terminal, given.data, data)
        metric = model.judge().name

        def told(row: dict[str, Any], best: float) -> None:
            words = f"{metric} {describe.figure(row['score'])}" if row["score"] is not None else row["state"]
            share = (row["trial"] + 1) / given.trials
            terminal.advance(f"trial {row['trial'] + 1}/{given.trials}", share, f"best {describe.figure(best)}")
            terminal.say(f"trial {row['trial'] + 1}/{given.trials}  {words}  best {describe.figure(best)}")

        options = {"trials": given.trials, "time_limit": given.time_limit, "seed": given.seed}
        try:
            with terminal.bar():
                found = tune(model, data.X, data.y, **options, progress=told)
        finally:
            terminal.close_bar()
        hold_off()
        facts = {"data": given.data, "target": data.target, "task": data.kind, "metric": found.metric}
        facts |= {"best": found.best, "validation": found.estimator.figures_}
        found.estimator.record_ = plain(facts)
        save(found.estimator, place)
    if found.interrupted is not None:
        print("layerloop: stopped; the best so far is kept", file=sys.stderr)
    terminal.say(str(found))
    terminal.say(f"saved {place}")
    terminal.result({**facts, "trials": list(found.trials), "model": place})
    return 0 if found.interrupted is None else getattr(found.interrupted, "code", 130)
