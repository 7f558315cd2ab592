"""Search for settings of the estimator for tables, and save the best model: Optuna proposes, the rows left out judge.

The first trial has the defaults. Ctrl-C ends the search and saves the best so far. Of a folder with a sub-folder of
pictures for each class, a fifth is left out and judges; the network that is saved was trained on the others.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from layerloop import describe, estimators
from layerloop.atomic import check_writable
from layerloop.cli import options as opt
from layerloop.cli import photos, tables
from layerloop.cli.keeping import ENDING, check_place, free_place, hold_off, signals_as_interrupts
from layerloop.cli.terminal import Terminal
from layerloop.models import save
from layerloop.plain import plain

if TYPE_CHECKING:
    import argparse

EXAMPLES = """examples:
  layerloop tune table.csv --target price --trials 20 --time-limit 60
  layerloop tune people.csv --target rich --metric auc -o rich.safetensors
  layerloop tune photos/ --time-limit 300"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `layerloop tune`."""
    parser.add_argument("data", metavar="DATA", help="a table, .csv, .parquet, .feather; or a folder of pictures")
    opt.add_target(parser)
    parser.add_argument("--trials", type=int, default=20, metavar="N", help="default 20")
    tables.add_estimator(parser)
    parser.add_argument("--epochs", type=int, metavar="N", help="passes over the data (default: by the rows)")
    opt.add_colour(parser)
    opt.add_seed(parser, "of proposals, weights and order")
    parser.add_argument("-o", "--out", type=Path, metavar="FILE", help="the model file (default: a new name here)")
    opt.add_json(parser)


def run(given: argparse.Namespace) -> int:
    """Search and save; return 0, 130 after Ctrl-C, 143 after SIGTERM."""
    terminal = Terminal(json=given.json)
    tune: Any = estimators.tune
    opt.check_colour(given)
    if given.out is not None:
        check_place(given.out)
    with signals_as_interrupts():
        folder = photos.is_folder(given.data)
        model, X, y, _, facts = (_pictures if folder else tables.read_with_estimator)(given, terminal)
        model.set_params(time_limit=None)  # the limit is that of the search
        place = check_writable(given.out or free_place(Path(Path(given.data).resolve().name.split(".")[0] + ENDING)))
        metric = model.judge().name

        def told(row: dict[str, Any], best: float) -> None:
            words = f"{metric} {describe.figure(row['score'])}" if row["score"] is not None else row["state"]
            share = (row["trial"] + 1) / given.trials
            terminal.advance(f"trial {row['trial'] + 1}/{given.trials}", share, f"best {describe.figure(best)}")
            terminal.say(f"trial {row['trial'] + 1}/{given.trials}  {words}  best {describe.figure(best)}")

        options = {"trials": given.trials, "time_limit": given.time_limit, "seed": given.seed}
        options |= {"space": estimators.photo_space} if folder else {}
        try:
            with terminal.bar():
                found = tune(model, X, y, **options, progress=told)
        finally:
            terminal.close_bar()
        hold_off()
        facts = {"data": given.data, **facts, "metric": found.metric}
        facts |= {"best": found.best, "validation": found.estimator.figures_}
        _save(found.estimator, plain(facts), place, network=folder)
    if found.interrupted is not None:
        print("layerloop: stopped; the best so far is kept", file=sys.stderr)
    terminal.say_table(str(found))
    terminal.say(f"saved {place}")
    terminal.result({**facts, "trials": list(found.trials), "model": place})
    return 0 if found.interrupted is None else getattr(found.interrupted, "code", 130)


def _pictures(given: argparse.Namespace, terminal: Terminal) -> tuple[Any, ...]:
    """Return estimator, rows, targets, no groups, and what is said of them in JSON."""
    pictures = photos.read_pictures(given, terminal)
    model = photos.estimator_for(pictures, given, photos.HELD_OUT)
    return model, pictures.X, pictures.y, None, {"target": None, "task": "classes"}


def _save(model: Any, record: Any, place: Path, *, network: bool) -> None:
    """Save the best model: of pictures the network alone, which holds all that reading them takes."""
    if network:
        model.network_.record = record
        save(model.network_, place)
    else:
        model.record_ = record
        save(model, place)
