"""Tables for the commands that learn from them: their options, their rows, their estimator, and what is said."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from layerloop import describe, estimators
from layerloop.cli import options as opt
from layerloop.errors import InputError, SettingError
from layerloop.metrics import METRICS
from layerloop.table_files import learnable, read_table_file

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from layerloop.cli.terminal import Terminal
    from layerloop.estimators.table_training import Epoch
    from layerloop.table_files import Learnable

TASKS = {"classes": "classes", "values": "values"}
SHOWN = 40  # columns of a table that are listed
WIDE = 78  # characters of what is said of one
LARGE = 20_000_000  # bytes of a file that takes about a second to read


def add_estimator(parser: opt.Container) -> None:
    """Add the options of the estimators for tables."""
    add = parser.add_argument
    add("--task", choices=tuple(TASKS), help="what the target is (default: text and few whole numbers are classes)")
    add("--metric", type=opt.name, metavar="NAME", help=f"what is to be good: {', '.join(METRICS)}")
    add("--members", type=int, metavar="N", help="networks that are averaged (default: by the rows, at most 5)")
    add("--time-limit", type=float, metavar="SECONDS", help="that training may take")


def read_learnable(given: argparse.Namespace, terminal: Terminal) -> Learnable:
    """Return the rows of the table that was named, with their targets."""
    path = Path(given.data)
    if path.is_file() and path.stat().st_size > LARGE:
        terminal.tell(f"reading {path} ({path.stat().st_size / 1e6:,.0f} MB)")
    data = learnable(read_table_file(path), given.target, given.task)
    if data.kind == "classes" and len(np.unique(data.y)) < 2:
        raise InputError(f"{path} has a single class, {data.y[0]}; there is nothing to tell apart")
    return data


def say_learnable(terminal: Terminal, name: str, data: Learnable) -> None:
    """Print what a table holds, and what was read otherwise than it stands there."""
    counts = f"{describe.count(len(data.X), 'row')}, {describe.count(len(data.X.series), 'column')}"
    terminal.say(f"{name}: {counts}, target {data.target!r}: {_target(data)}")
    for sentence in data.said:
        terminal.say(f"  {sentence}")


def _target(data: Learnable) -> str:
    """Return what a target holds, in words."""
    if data.kind == "values":
        return f"values from {data.y.min():.6g} to {data.y.max():.6g}, mean {data.y.mean():.6g}"
    names = sorted({str(label) for label in data.y.tolist()})
    return f"{describe.count(len(names))} classes, {', '.join(names[:6])}{', ...' if len(names) > 6 else ''}"


def estimator_for(kind: str, given: argparse.Namespace) -> Any:
    """Return the estimator that the options ask for, unfitted.

    Raises
    ------
    UnknownNameError, SettingError
        The metric is none, or judges the other kind of target; a number that is out of range.
    """
    opt.check_limits(given)
    make: Any = estimators.TabularClassifier if kind == "classes" else estimators.TabularRegressor
    settings = {"metric": given.metric, "n_members": given.members, "time_limit": given.time_limit}
    made = make(**settings, epochs=given.epochs, random_state=given.seed)
    made.judge()
    return made


def read_with_estimator(given: argparse.Namespace, terminal: Terminal) -> tuple[Any, ...]:
    """Return estimator, rows, targets, groups or None, and what is said of them in JSON; say what the table holds.

    Raises
    ------
    SettingError
        The column of the groups is none beside the target.
    """
    data = read_learnable(given, terminal)
    X, groups, column = data.X, None, getattr(given, "groups", None)
    if column is not None:
        if column not in X.names:
            raise SettingError(f"--groups: {given.data} has no column {column!r} beside the target")
        groups, X = [str(value) for value in X.column(column).values.tolist()], X.without(column)
    model = estimator_for(data.kind, given)
    say_learnable(terminal, given.data, data)
    return model, X, data.y, groups, {"target": data.target, "task": data.kind}


def columns_done(model: Any) -> list[dict[str, str]]:
    """Return a row a column: its name, what it holds, and what was done to it."""
    rows = []
    for name, done in model.columns_.items():
        kind, _, rest = done.partition(": ")
        rows.append({"column": name, "holds": kind, "what was done": rest})
    return rows


def say_columns(terminal: Terminal, rows: Sequence[Mapping[str, str]]) -> None:
    """Print what was done to the columns."""
    shown = [{key: _clipped(value) for key, value in row.items()} for row in rows[:SHOWN]]
    if not shown:
        return
    for line in describe.table(shown, left=tuple(shown[0])).splitlines():
        terminal.say(f"  {line}")
    if len(rows) > SHOWN:
        terminal.say(f"  ... and {describe.count(len(rows) - SHOWN, 'column')} more (--json lists them all)")


def _clipped(text: str) -> str:
    return text if len(text) <= WIDE else f"{text[: WIDE - 4]} ..."


def figures_text(found: Mapping[str, float], trivial: Mapping[str, float], without: str) -> str:
    """Return figures beside those of the answer that looks at no column."""
    rows = [{"": name, "model": _figure(value), without: _figure(trivial[name])} for name, value in found.items()]
    return describe.table(rows, left=("",))


def _figure(value: float) -> str:
    """Return a figure as it is read: prices in whole numbers, shares with four digits."""
    if value != value:
        return "undefined"
    return f"{value:,.0f}" if 1e4 <= abs(value) < 1e12 else describe.figure(value if abs(value) > 1e-9 else 0.0)


class Watching:
    """What is said while networks are trained: the bar, and a line every so many seconds.

    Parameters
    ----------
    terminal : Terminal
    every : float
        Seconds.
    model : estimator
        Whose networks they are.
    """

    def __init__(self, terminal: Terminal, every: float, model: Any) -> None:
        self.terminal, self.every, self.model, self.judge = terminal, every, model, model.judge()
        self._passes: dict[int, int] = {}
        self._intervals = False  # their networks are trained after the others, and judged otherwise
        self._lock = threading.Lock()  # networks are trained in threads of their own
        self._said = time.monotonic()

    def __call__(self, now: Epoch) -> None:
        """Report a pass of one network, as far as it is time to."""
        with self._lock:
            if now.epoch <= self._passes.get(now.fold, 0):
                self._intervals, self._passes = True, {}
            self._passes[now.fold] = now.epoch
            share = sum(self._passes.values()) / (now.folds * now.epochs)
            place = f"network {now.fold + 1}/{now.folds}  epoch {now.epoch}/{now.epochs}"
            figures = "of the intervals" if self._intervals else self._score(now.score)
            left = "" if self._intervals else f"{describe.duration(now.seconds * (1 - share) / share)} left"
            self.terminal.advance(place, share, figures, left)
            if time.monotonic() - self._said >= self.every:
                self._said = time.monotonic()
                self.terminal.say(f"{place}  {figures}  {describe.duration(now.seconds)}")

    def _score(self, gain: float) -> str:
        """Return the metric in the target's unit."""
        unit = 1.0 if self.judge.name == "r2" else getattr(self.model, "spread_", 1.0)
        return f"{self.judge.name} {_figure(unit * (gain if self.judge.higher else -gain))}"
