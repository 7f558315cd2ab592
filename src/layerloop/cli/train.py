"""Train on a data set, print as it goes, and save the model.

DATA is mnist, fashion-mnist, digits, a file (.csv, .parquet, .feather, .npz, .npy, .svm), or a folder with a
sub-folder of pictures for each class, or with train/ and test/ of that kind. The defaults are the run of the
notes, section 7.3: one hidden layer of 32, sigmoid, softmax, cross-entropy, Adam at 0.001, batches of 128, 20 passes.
The recipe `pictures` is two hidden layers of 512 with dropout and a one-cycle rate, for more than the notes reach;
a folder gets `photos`, the same with more steps, unless a recipe is named.

A table of numbers, categories, dates, text and gaps gets the estimator that is good as it comes, unless anything of
"the network" or "its training" is named.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from layerloop.cli import options as opt
from layerloop.cli import tables
from layerloop.cli.terminal import Terminal
from layerloop.cli.train_network import train_network
from layerloop.cli.train_table import train_table
from layerloop.data.readers import TABLE_ENDINGS, existing_file
from layerloop.data.tables import header_of
from layerloop.errors import SettingError
from layerloop.layers import ACTIVATIONS
from layerloop.optim import RULES, SCHEDULES
from layerloop.table_files import is_table

if TYPE_CHECKING:
    import argparse

EXAMPLES = """examples:
  layerloop train mnist
  layerloop train mnist --layers none       multinomial logistic regression
  layerloop train mnist --reading notes     section 7.1, taken literally
  layerloop train mnist --recipe pictures   a larger network, right more often
  layerloop train photos/                   pictures, a sub-folder a class
  layerloop train fashion-mnist --layers 128,64 --activation relu
  layerloop train digits --layers none --optimizer lbfgs --l2 0.001
  layerloop train texts.npz --target labels.npy --optimizer lazy_adam
  layerloop train table.csv --target price
  layerloop train table.csv --target price --layers 32 --epochs 200
  layerloop train table.csv --target width,height   several values, or labels"""

# Whoever names one of the first wants a network of their own; those of TABLE belong to the estimator.
NETWORK = (
    *("recipe", "reading", "layers", "activation", "dropout", "head", "loss", "smoothing", "class_weight", "optimizer"),
    *("rate", "schedule", "decay", "l2", "clip", "batch_size", "dtype", "threads", "validation", "lab"),
)
TABLE = ("task", "metric", "members", "time_limit", "interval")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `layerloop train`."""
    parser.add_argument("data", metavar="DATA", help="mnist, fashion-mnist, digits, a file, or a folder of pictures")
    parser.add_argument("--recipe", type=opt.name, metavar="NAME", help="defaults: notes, pictures or photos")
    group = parser.add_argument_group("the network")
    add = group.add_argument
    add("--reading", type=opt.name, help="program (default) or notes")
    add("--layers", type=opt.widths, metavar="N,N", help="hidden widths, or none (default 32)")
    add("--activation", type=opt.name, metavar="NAME", help=f"of the hidden layers: {_names()}")
    add("--dropout", type=float, metavar="SHARE", help="of the hidden layers' outputs, in training (default 0)")
    add(
        "--head",
        type=opt.name,
        metavar="NAME",
        help="softmax, modified-softmax, identity (default: by reading and loss)",
    )
    group = parser.add_argument_group("its training")
    add = group.add_argument
    add(
        "--loss",
        type=opt.name,
        metavar="NAME",
        help="crossentropy, binarycrossentropy; mse, mae, huber:1, quantile:0.1,0.9, poisson (default: by the target)",
    )
    add("--smoothing", type=float, metavar="SHARE", help="of the labels, in training (default 0)")
    add("--class-weight", type=opt.name, metavar="balanced", help="give every class the same total weight")
    add("--optimizer", type=opt.name, metavar="NAME", help=f"{', '.join(RULES)}, or lbfgs (default adam)")
    add("--rate", type=float, help="step size (default: the optimiser's own, 0.001 for adam)")
    add("--schedule", type=opt.name, metavar="NAME", help=f"of the rate: {', '.join(SCHEDULES)}")
    add("--decay", type=float, help="decoupled weight decay (default: none, 0.01 for adamw)")
    add("--l2", type=float, metavar="C", help="penalty C/2 |w|^2 of all parameters (default: none)")
    add("--clip", type=float, metavar="NORM", help="bound of the gradient's norm (default: none)")
    add("--batch-size", type=int, metavar="N", help="rows per step (default 128)")
    add("--dtype", help="float32 (default) or float64")
    add(
        "--threads",
        type=int,
        metavar="N",
        help="how many (default: all that are allowed; the bits do not depend on it)",
    )
    add("--validation", type=float, metavar="SHARE", help="of the training rows, held out (default 0)")
    group = parser.add_argument_group("tables")
    opt.add_target(group)
    tables.add_estimator(group)
    group.add_argument("--interval", type=float, metavar="SHARE", help="of values that intervals are to cover: 0.9")
    group = parser.add_argument_group("data and reports")
    add = group.add_argument
    add("--epochs", type=int, metavar="N", help="passes over the data (default 20; lbfgs 100; of tables by the rows)")
    opt.add_seed(group, "of weights, order and held-out rows")
    add("--test", type=float, metavar="SHARE", help="held out of a file without a test part (0.2; of tables 0)")
    opt.add_colour(group)
    add("--every", type=float, default=2.0, metavar="SECONDS", help="report at least so often (default 2)")
    add("-o", "--out", type=Path, metavar="FILE", help="the model file (default: a new name in this folder)")
    add("--report", action="store_true", help="write a page about it beside the model, as layerloop report does")
    add(
        "--lab",
        action="store_const",
        const=True,
        help="serve a page on this machine that watches; it stays until Ctrl-C",
    )
    opt.add_data_dir(group)
    opt.add_json(group)


def _names() -> str:
    return f"{', '.join(ACTIVATIONS)} (default sigmoid)"


def run(given: argparse.Namespace) -> int:
    """Train; return 0, 2 when training failed, 130 after Ctrl-C, 143 after SIGTERM."""
    terminal = Terminal(json=given.json)
    if not given.every > 0:
        raise SettingError(f"--every must be a positive number of seconds, got {given.every:g}")
    opt.check_colour(given)
    network = [name for name in NETWORK if getattr(given, name) is not None]
    if is_table(given.data) and not network and not _has_several_targets(given):
        return train_table(given, terminal)
    _check_network(given, network)
    return train_network(given, terminal)


def _has_several_targets(given: argparse.Namespace) -> bool:
    """Whether --target names several columns, labels say: a network is trained on them, the estimators on one."""
    if given.target is None or "," not in given.target or not str(given.data).lower().endswith(TABLE_ENDINGS):
        return False
    return given.target not in header_of(existing_file(given.data))


def _check_network(given: argparse.Namespace, network: list[str]) -> None:
    """Refuse settings of the estimator for tables beside those of a network."""
    table = [name for name in TABLE if getattr(given, name) is not None]
    if table:
        other = "several targets are for a network" if is_table(given.data) else f"{given.data} is none"
        why = f"leave out {_option(network[0])}" if network else other
        raise SettingError(f"{_option(table[0])} is for the estimator of tables: {why}")


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
