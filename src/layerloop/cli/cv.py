"""Cross-validate the estimator for tables: every figure over folds that it was not fitted on, with standard errors.

A folder with a sub-folder of pictures for each class gets the network of `layerloop train` for it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from layerloop import describe, estimators
from layerloop.cli import options as opt
from layerloop.cli import photos, tables
from layerloop.cli.keeping import signals_as_interrupts
from layerloop.cli.terminal import Terminal

if TYPE_CHECKING:
    import argparse

EXAMPLES = """examples:
  layerloop cv table.csv --target price
  layerloop cv people.csv --target rich --folds 10 --groups household --json
  layerloop cv photos/"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `layerloop cv`."""
    parser.add_argument("data", metavar="DATA", help="a table, .csv, .parquet, .feather; or a folder of pictures")
    opt.add_target(parser)
    parser.add_argument("--folds", type=int, default=5, metavar="N", help="default 5")
    parser.add_argument("--groups", metavar="COLUMN", help="rows of one value in it stay together; it is not learned")
    tables.add_estimator(parser)
    parser.add_argument("--epochs", type=int, metavar="N", help="passes over the data (default: by the rows)")
    opt.add_colour(parser)
    opt.add_seed(parser, "of folds, weights and order")
    opt.add_json(parser)


def run(given: argparse.Namespace) -> int:
    """Print the figures; return 0."""
    terminal = Terminal(json=given.json)
    opt.check_colour(given)
    with signals_as_interrupts():
        read = _pictures if photos.is_folder(given.data) else tables.read_with_estimator
        model, X, y, groups, facts = read(given, terminal)
        began, first = time.perf_counter(), model.judge().name

        def told(done: int, figures: dict[str, float]) -> None:
            words = f"{first} {describe.figure(figures[first])}"
            terminal.advance(f"fold {done}/{given.folds}", done / given.folds, words)
            terminal.say(f"fold {done}/{given.folds}  {words}  {describe.duration(time.perf_counter() - began)}")

        cross_validate: Any = estimators.cross_validate  # scikit-learn is loaded now
        options = {"folds": given.folds, "groups": groups, "seed": given.seed}
        with terminal.bar():
            found = cross_validate(model, X, y, **options, progress=told)
        terminal.close_bar()
    terminal.say(str(found))
    terminal.result({"data": given.data, **facts, **found.as_dict()})
    return 0


def _pictures(given: argparse.Namespace, terminal: Terminal) -> tuple[Any, ...]:
    """Return estimator, rows, targets, no groups, and what is said of them in JSON."""
    pictures = photos.read_pictures(given, terminal)
    return photos.estimator_for(pictures, given), pictures.X, pictures.y, None, {"target": None, "task": "classes"}
