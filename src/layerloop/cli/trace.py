"""Print every number of the notes' two loops on one sample of a saved model.

The forward loop z_1, ..., z_{L+3} with (A_i, B_i), the backward loop q_{L+2}, ..., q_1 with p_L, ..., p_1, and the
gradient in the order of w, all in float64. --check sets finite differences beside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from layerloop.cli import estimator
from layerloop.cli import options as opt
from layerloop.cli.opening import look_into, source_of
from layerloop.data import image_text
from layerloop.inspection.trace import trace

if TYPE_CHECKING:
    import argparse

    from layerloop.cli.terminal import Terminal
    from layerloop.inspection import Trace
    from layerloop.network import Chain

EXAMPLES = """examples:
  layerloop trace mnist-784-32-10.safetensors --data mnist --index 0
  layerloop trace prices.safetensors --data prices.csv --index 3 --check
  layerloop trace mnist-784-32-10.safetensors --data mnist --show B_2 --json"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `layerloop trace`."""
    parser.add_argument("model", metavar="MODEL", help="a model file")
    parser.add_argument("--data", metavar="DATA", help="where the sample is (default: what the model was trained on)")
    parser.add_argument("--index", type=int, default=0, metavar="N", help="which row, from 0 (default 0)")
    parser.add_argument("--check", action="store_true", help="set finite differences beside the gradient")
    parser.add_argument(
        "--show",
        action="append",
        default=[],
        metavar="NAME",
        help="print all numbers of a value, such as z_2 or A_1",
    )
    parser.add_argument("--full", action="store_true", help="with --json: large matrices and vectors too")
    opt.add_split(parser)
    opt.add_target(parser)
    opt.add_seed(parser, "draws the entries that --check looks at")
    opt.add_data_dir(parser)
    opt.add_json(parser)


def run(given: argparse.Namespace) -> int:
    """Print the trace; return 0, or 1 where a check fails."""
    return look_into(given, network=_of_network, estimator=_of_estimator)


def _of_network(m: Chain, given: argparse.Namespace, terminal: Terminal) -> int:
    """Print the trace of a network on a row of the data."""
    source = source_of(m, given)
    data, split = opt.known_data(m, source, given, terminal)
    x, y = opt.row_of(data, split, given.index)
    found = trace(m, x, y, check=given.check, seed=given.seed)
    shown = [_numbers(found, name) for name in given.show]
    terminal.say(opt.row_name(source, split, given.index))
    picture = opt.picture_of(data, x)
    if picture is not None and terminal.interactive:
        terminal.say(image_text(picture, colour=terminal.colour))
    terminal.say(str(found))
    for numbers in shown:
        terminal.say(numbers)
    place = {"data": source, "split": split, "index": given.index}
    terminal.result({**place, **found.as_dict(full=given.full or given.show), "model_file": given.model})
    return 0 if found.check is None or found.check.finding.passed else 1


def _of_estimator(model: Any, given: argparse.Namespace, terminal: Terminal) -> int:
    """Print the trace of an estimator's first network on an encoded row."""
    X, y, name = estimator.sample_of(model, given.index, given, terminal)
    found = trace(model, X, y, check=given.check, seed=given.seed)
    shown = [_numbers(found, wanted) for wanted in given.show]
    for line in (f"{name}, as the first network takes it", str(found), *shown):
        terminal.say(line)
    terminal.result({"row": name, **found.as_dict(full=given.full or given.show), "model_file": given.model})
    return 0 if found.check is None or found.check.finding.passed else 1


def _numbers(found: Trace, name: str) -> str:
    """Return all numbers of one value, as an array prints them."""
    values: Any = found.value(name)
    with np.printoptions(threshold=values.size + 1, linewidth=100, precision=6):
        return f"\n{name} =\n{values}"
