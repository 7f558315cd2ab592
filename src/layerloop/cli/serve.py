"""Answer with a saved model over HTTP, on this machine: rows as JSON in, predictions as JSON out.

Networks and estimators are served alike; of a table the rows are objects by the names of its columns.

A prediction needs the token that is printed (LAYERLOOP_TOKEN sets one that stays). Other machines are served only with
--host, and then every request needs it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from layerloop import lab
from layerloop.cli import options as opt
from layerloop.cli.terminal import Terminal
from layerloop.estimators.answers import kind_of_estimator
from layerloop.lab.extra import check_extra
from layerloop.models import load
from layerloop.network import Chain

if TYPE_CHECKING:
    import argparse

EXAMPLES = """examples:
  layerloop serve mnist-784-32-10.safetensors
  layerloop serve prices.safetensors --host 0.0.0.0 --port 9000"""
PORT = 8485


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `layerloop serve`."""
    parser.add_argument("model", metavar="MODEL", help="a model file")
    opt.add_host(parser)
    opt.add_port(parser, PORT)
    opt.add_json(parser)


def run(given: argparse.Namespace) -> int:
    """Serve until Ctrl-C; return 0."""
    check_extra()
    terminal = Terminal(json=given.json)
    m = load(given.model)
    door = lab.Door(given.host, given.port)
    terminal.say(f"{m!r}")
    terminal.say(f"answers at {door.address}  (Ctrl-C ends it)")
    terminal.say(
        f"curl -H 'Authorization: Bearer {door.site.token}' -H 'Content-Type: application/json' "
        f"-d @rows.json {door.origin}/predict"
    )
    terminal.result({"model": given.model, "address": door.address, "token": door.site.token})
    door.serve(lab.prediction_app(m, opt.kind_of(m) if isinstance(m, Chain) else kind_of_estimator(m), door.site))
    return 0
