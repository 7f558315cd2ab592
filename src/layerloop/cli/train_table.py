"""`layerloop train table.csv`: the estimator that is good as it comes, and what a person wants to know of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from layerloop import describe
from layerloop.atomic import check_writable
from layerloop.cli import report, tables
from layerloop.cli.keeping import ENDING, check_place, free_place, history_of, hold_off, signals_as_interrupts
from layerloop.errors import InputError, SettingError
from layerloop.inspection.plots import check_drawable
from layerloop.metrics import trivial_figures
from layerloop.models import save
from layerloop.plain import plain
from layerloop.training import save_history
from layerloop.training.recipe import held_out_rows

if TYPE_CHECKING:
    import argparse

    from numpy.typing import NDArray

    from layerloop.cli.terminal import Terminal
    from layerloop.table_files import Learnable

WITHOUT = {"classes": "shares of the classes", "values": "mean"}  # what the trivial answer is


def train_table(given: argparse.Namespace, terminal: Terminal) -> int:
    """Train on a table; return 0."""
    if given.report:
        check_drawable()
    if given.test is not None and not 0 <= given.test < 1:
        raise SettingError(f"the share held out for test must be in [0, 1), got {given.test!r}")
    if given.out is not None:
        check_place(given.out)
    with signals_as_interrupts():
        data = tables.read_learnable(given, terminal)
        held = _held_out(data, given)
        model = tables.estimator_for(data.kind, given)
        if given.interval is not None:
            _set_interval(model, given.interval)
        place = given.out or free_place(Path(Path(given.data).name.split(".")[0] + ENDING))
        check_writable(place)
        tables.say_learnable(terminal, given.data, data)
        _fit(model, data, ~held, given, terminal)
        facts = _facts(model, data, held, given)
        _conclude(terminal, facts)
        hold_off()
        model.record_ = plain({name: value for name, value in facts.items() if name != "columns"})
        save(model, place)
        history = save_history(history_of(place), model.history_)
    terminal.say(f"saved {place}")
    if given.report:
        facts["report"] = _report(given, model, data, place, terminal)
    terminal.result({**facts, "model": place, "history": history})
    return 0


def _report(given: argparse.Namespace, model: Any, data: Learnable, place: Path, terminal: Terminal) -> Path:
    """Write the page about the model; return its place."""
    page = check_writable(report.place_of(place))
    held = report.held_of_table(model, str(given.data), data.X, data.y, terminal)
    report.write(model, place, page, held, model.history_, terminal, given.seed)
    terminal.say(f"wrote {page}")
    return page


def _held_out(data: Learnable, given: argparse.Namespace) -> NDArray[np.bool_]:
    """Mark the rows of the test part, which is empty unless it is asked for."""
    if not given.test:
        return np.zeros(len(data.X), bool)
    held = held_out_rows(data.y, given.test, given.seed)
    if held.all() or not held.any():
        raise InputError(f"{given.data}: {describe.count(len(held), 'row')} are too few to hold out {given.test:.0%}")
    return held


def _set_interval(model: Any, share: float) -> None:
    if "interval" not in model.get_params():
        raise SettingError("--interval goes with a target of values; classes have probabilities")
    if not 0 < share < 1:
        raise SettingError(f"--interval must be a share of rows between 0 and 1, such as 0.9; got {share:g}")
    model.set_params(interval=share)


def _fit(model: Any, data: Learnable, rows: NDArray[np.bool_], given: argparse.Namespace, terminal: Terminal) -> None:
    """Fit with a bar; Ctrl-C leaves everything as it was."""
    watch = tables.Watching(terminal, given.every, model)
    try:
        with terminal.bar():
            model.fit(data.X[rows], data.y[rows], watch=watch)
    except KeyboardInterrupt as stop:
        stop.args = ("before the model was ready: nothing was written",)
        raise
    finally:
        terminal.close_bar()


def _facts(model: Any, data: Learnable, held: NDArray[np.bool_], given: argparse.Namespace) -> dict[str, Any]:
    """Return what is worth keeping of a run: the JSON result, and but for the columns the record in the model file."""
    tested = {} if not held.any() else {"test": model.evaluate(data.X[held], data.y[held])}
    return {
        "data": str(given.data),
        "target": data.target,
        "task": data.kind,
        "rows": {"training": int((~held).sum()), "test": int(held.sum())},
        "columns": tables.columns_done(model),
        "validation": model.figures_,
        **tested,
        "trivial": _trivial(model, data.kind, data.y[~held]),
        "networks": len(model.networks_),
        "parameters": sum(m.architecture.size for m in model.networks_),
        "epochs": model.recipe_.epochs,
        "seconds": round(model.fit_seconds_, 4),
        "settings": {"test": given.test or 0.0, "seed": given.seed, "metric": given.metric},
    }


def _trivial(model: Any, kind: str, y: NDArray[Any]) -> dict[str, float]:
    return trivial_figures(kind, np.searchsorted(model.classes_, y) if kind == "classes" else y)


def _conclude(terminal: Terminal, facts: dict[str, Any]) -> None:
    """Print what was done to the columns and how good the model is."""
    tables.say_columns(terminal, facts["columns"])
    parts = {"validation": "every row judged by a network that had not seen it"}
    parts |= {"test": f"{facts['rows']['test']:,} rows held out"} if "test" in facts else {}
    for part, words in parts.items():
        terminal.say(f"{part}: {words}")
        text = tables.figures_text(facts[part], facts["trivial"], WITHOUT[facts["task"]])
        for line in text.splitlines():
            terminal.say(f"  {line}")
    networks = f"{describe.count(facts['networks'], 'network')} of {facts['epochs']} passes"
    size = describe.count(facts["parameters"], "parameter")
    terminal.say(f"trained {networks}, {size}, in {describe.duration(facts['seconds'])}")
