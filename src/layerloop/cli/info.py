"""Print what this installation is: version, engine, BLAS, threads, data sets and their folders."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

import numpy as np

from layerloop import describe
from layerloop.cli import options as opt
from layerloop.cli.terminal import Terminal
from layerloop.cores import limits
from layerloop.data import status
from layerloop.data.named import cache_folder
from layerloop.engine import engine_name, native
from layerloop.version import __version__

if TYPE_CHECKING:
    import argparse

EXAMPLES = """examples:
  layerloop info
  layerloop info --json"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `layerloop info`."""
    opt.add_data_dir(parser)
    opt.add_json(parser)


def run(given: argparse.Namespace) -> int:
    """Print the facts; return 0."""
    terminal = Terminal(json=given.json)
    facts = {
        "layerloop": __version__,
        "engine": engine_name(),
        **(native.facts() if engine_name() == "native" else {}),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "blas": _blas(),
        "cores": limits()[0].threads,
        "machine": platform.machine(),
        "cache": str(cache_folder()),
    }
    sets = status(data_dir=given.data_dir)
    for name, value in facts.items():
        terminal.say(f"{name:13} {value}")
    terminal.say("")
    terminal.say(describe.table(sets))
    terminal.result({**facts, "sets": sets})
    return 0


def _blas() -> str:
    """Return which BLAS NumPy computes with, and in how many threads."""
    from threadpoolctl import threadpool_info

    rows = [row for row in threadpool_info() if row["user_api"] == "blas"]
    return ", ".join(f"{r['internal_api']} {r['version']}, {r['num_threads']} threads" for r in rows) or "unknown"
