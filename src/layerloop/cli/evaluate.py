"""Print the figures of a saved model on a data set: loss, and accuracy or R2; all of them of a table's estimator.

Of several labels at once: how often all are right, micro and macro F1, log-loss, Hamming loss. Of several values a row:
the means over them, and R2, mean absolute error and root of the mean squared error of each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from layerloop import describe
from layerloop.cli import estimator
from layerloop.cli import options as opt
from layerloop.cli.opening import look_into
from layerloop.metrics import all_figures, figures_of_each
from layerloop.network import Chain, evaluate

if TYPE_CHECKING:
    import argparse

    from layerloop.cli.terminal import Terminal

EXAMPLES = """examples:
  layerloop evaluate mnist-784-32-10.safetensors mnist
  layerloop evaluate prices.safetensors new-prices.csv --json"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `layerloop evaluate`."""
    parser.add_argument("model", metavar="MODEL", help="a model file")
    parser.add_argument("data", metavar="DATA", help="mnist, fashion-mnist, digits, or a file")
    opt.add_split(parser)
    opt.add_target(parser)
    opt.add_data_dir(parser)
    opt.add_json(parser)


def run(given: argparse.Namespace) -> int:
    """Print the figures; return 0."""
    return look_into(given, network=_of_network, estimator=estimator.evaluate)


def _of_network(m: Chain, given: argparse.Namespace, terminal: Terminal) -> int:
    data, split = opt.known_data(m, given.data, given, terminal)
    figures = evaluate(m, data.X, data.y, opt.loss_of(m))
    if data.kind == "labels":
        del figures["accuracy"]  # of single entries: 1 less the Hamming loss
        figures |= all_figures("labels", data.y, m(data.X).astype(np.float64))
    each: list[dict[str, Any]] = []
    if data.kind == "values" and data.y.ndim > 1 and not opt.loss_of(m).startswith("quantile"):
        outputs = m(data.X).astype(np.float64)
        figures |= all_figures("values", data.y, outputs)
        each = figures_of_each(opt.names_of_values(m), data.y, outputs)
    words = "  ".join(f"{name} {describe.figure(value)}" for name, value in sorted(figures.items()))
    terminal.say(f"{words}  ({describe.count(len(data.X), 'row')})")
    if each:
        terminal.say(describe.table(each, left=("target",)))
    rows = {"rows": len(data.X), **figures, **({"targets": each} if each else {})}
    terminal.result({"model": given.model, "data": given.data, "split": split, **rows})
    return 0
