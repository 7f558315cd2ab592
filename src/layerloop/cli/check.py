"""Check a model's gradient on one sample: the loops of the notes against finite differences, the engine against them.

The worst entry is named by layer, row and column as in the notes: one-based, the bias last in its row.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

import numpy as np

from layerloop.cli import estimator
from layerloop.cli import options as opt
from layerloop.cli.terminal import Terminal
from layerloop.describe import count
from layerloop.gradient_check import check_gradient
from layerloop.inspection.subject import subject_of
from layerloop.models import load
from layerloop.network import Chain

if TYPE_CHECKING:
    from numpy.typing import NDArray

EXAMPLES = """examples:
  layerloop check mnist-784-32-10.safetensors
  layerloop check mnist-784-32-10.safetensors --data mnist --entries all"""
MANY = 5000  # entries drawn by default: a few tenths of a second for the notes' network


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `layerloop check`."""
    parser.add_argument("model", metavar="MODEL", help="a model file")
    parser.add_argument("--data", metavar="DATA", help="take the sample from there (default: drawn by the seed)")
    parser.add_argument("--index", type=int, default=0, metavar="N", help="which row, from 0")
    parser.add_argument("--entries", default=MANY, type=_entries, metavar="N", help=f"how many, or all ({MANY})")
    parser.add_argument(
        "--method", default="central", choices=("central", "complex"), help="central (default) or complex"
    )
    opt.add_seed(parser, "draws the entries and the sample")
    opt.add_split(parser)
    opt.add_target(parser)
    opt.add_data_dir(parser)
    opt.add_json(parser)


def _entries(text: str) -> int | None:
    if text == "all":
        return None
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"expected a number from 1 on, or all; got {text!r}")
    return int(text)


def run(given: argparse.Namespace) -> int:
    """Print what was found; return 0 if all agree and 1 if not."""
    terminal = Terminal(json=given.json)
    m = load(given.model)
    if isinstance(m, Chain):
        x, y = _sample(m, given, terminal)
    else:
        m, x, y = _encoded(m, given, terminal)
    size = m.architecture.size
    chosen = size if given.entries is None else min(given.entries, size)
    terminal.say(f"checking {count(chosen)} of {count(size, 'parameter')} ...")
    loss = opt.loss_of(m)
    found = check_gradient(m, x, y, loss, entries=given.entries, method=given.method, seed=given.seed)
    terminal.say(str(found))
    terminal.result({"model": given.model, **found.as_dict()})
    return 0 if found.passed else 1


def _encoded(model: Any, given: argparse.Namespace, terminal: Terminal) -> tuple[Chain, Any, Any]:
    """Return the first network of an estimator, and a row and its target as that takes them."""
    X, y, _ = estimator.sample_of(model, given.index, given, terminal)
    subject = subject_of(model)
    row, target = subject.rows(X), subject.targets(y)
    return subject.chain, row if hasattr(row, "toarray") else row[0], target


def _sample(m: Chain, given: argparse.Namespace, terminal: Terminal) -> tuple[NDArray[np.generic], Any]:
    """Return one sample and its target: a row of the data, or drawn at random in the unit of the model."""
    if given.data is not None:
        data, split = opt.known_data(m, given.data, given, terminal)
        return opt.row_of(data, split, given.index)
    rng = np.random.default_rng(given.seed)
    x = rng.random(m.architecture.n_in)
    if m.inputs.standardises:
        x = np.array(m.inputs.center) + np.array(m.inputs.spread) * rng.standard_normal(m.architecture.n_in)
    return x, rng.integers(m.architecture.n_out) if opt.kind_of(m) == "classes" else rng.random(m.architecture.n_out)
