"""`layerloop train` of a plain network: read, train, keep what Ctrl-C or a full disk interrupts, save, report."""

from __future__ import annotations

import signal
import tempfile
import time
from contextlib import nullcontext
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from layerloop.atomic import check_writable
from layerloop.cli import lab, report
from layerloop.cli import options as opt
from layerloop.cli.keeping import ENDING, check_place, free_place, history_of, hold_off, signals_as_interrupts
from layerloop.cli.train_progress import Reports, advice, conclude, say_figures, say_task
from layerloop.data import has_test
from layerloop.data.readers import NAMES
from layerloop.errors import DivergenceError, LayerloopError, OutputError, SettingError, look_up
from layerloop.files import save
from layerloop.inspection.plots import check_drawable
from layerloop.lab.extra import check_extra
from layerloop.layers import Dense
from layerloop.optim import base_of
from layerloop.plain import plain
from layerloop.settings import blas_threads
from layerloop.training import read_history, write_history
from layerloop.training.recipe import ITERATIONS, RECIPES, Recipe, kind_of_target, prepare

if TYPE_CHECKING:
    import argparse

    from layerloop.cli.terminal import Terminal
    from layerloop.lab import Watch
    from layerloop.training.task import Task


def train_network(given: argparse.Namespace, terminal: Terminal) -> int:
    """Train one plain network."""
    recipe = _recipe(given)
    if given.report:
        check_drawable()
    if given.lab:
        check_extra()
    if given.test is not None and has_test(given.data):
        raise SettingError(f"{given.data} has a test part of its own: leave out --test")
    if given.out is not None:
        check_place(given.out)
    with blas_threads(given.threads, deterministic=given.threads is None), signals_as_interrupts():
        task = _task(given, recipe, terminal)
        place = given.out or free_place(_named(given.data, task))
        say_task(terminal, given.data, task)
        with lab.watching(task, given.data, terminal) if given.lab else nullcontext() as watch:
            return _run(given, recipe, task, terminal, place, watch)


def _recipe(given: argparse.Namespace) -> Recipe:
    """Return the recipe that is named, with what was asked for put in."""
    recipe = look_up(RECIPES, given.recipe or ("photos" if _is_folder(given.data) else "notes"), "recipe")
    chosen = {field.name: getattr(given, field.name, None) for field in fields(Recipe)}
    if given.optimizer == "lbfgs":
        if given.batch_size is not None:
            raise SettingError("lbfgs goes over all rows at once: leave out --batch-size")
        chosen["epochs"] = ITERATIONS if given.epochs is None else given.epochs
    return replace(recipe, **{name: value for name, value in chosen.items() if value is not None})


def _run(
    given: argparse.Namespace, recipe: Recipe, task: Task, terminal: Terminal, place: Path, watch: Watch | None
) -> int:
    """Train, save and report; whatever ends training early, what stood at `place` before stays."""
    before = say_figures(terminal, task, "before training")
    begun = task.figures("test", passing=True)["loss"] if "test" in task.held and task.target.several else None
    aside = free_place(place)  # where an unfinished run is kept
    history = check_writable(history_of(aside))
    check_writable(aside)
    reports = Reports(terminal, task, given.every, recipe.epochs)
    began = time.perf_counter()
    try:
        code, why = _train(task, reports, history, watch)
    finally:
        if not reports.keeps:
            history.unlink(missing_ok=True)
    seconds = time.perf_counter() - began
    hold_off()
    task.finish()
    after = task.figures("test") if "test" in task.held else {}
    model = aside if why else place
    passes = read_history(history)  # as the file has it: a signal may come just before a pass is counted elsewhere
    facts = _facts(given, recipe, task, len(passes), after, seconds, why or reports.ended)
    task.m.record = {key: plain(value) for key, value in facts.items()}
    _save(task, model)
    if not why:
        history = history.replace(history_of(place))
    if task.rule is None and not why:
        terminal.say(reports.ended)
    conclude(terminal, after, seconds, why)
    if not after.get("loss", 0) <= before.get("test_loss", 0):
        terminal.say(advice(passes, before["test_loss"] if begun is None else begun))
    terminal.say(f"saved {model}" + (f" ({place} stays as it was)" if model != place else ""))
    if given.report:
        facts["report"] = _report(given, task, model, passes, terminal)
    if watch:
        watch.end("stopped" if why else "done", why or reports.ended)
    terminal.result({**facts, "before": before, "model": model, "history": history})
    return code


def _is_folder(data: str) -> bool:
    return data not in NAMES and Path(data).is_dir()


def _task(given: argparse.Namespace, recipe: Recipe, terminal: Terminal) -> Task:
    """Read the data and make network and batches."""
    kind = None if given.loss is None else kind_of_target(given.loss)
    data = opt.read_data(given.data, "train", given, terminal, target=given.target, kind=kind)
    test = None
    if has_test(given.data):
        test = opt.read_data(given.data, "test", given, terminal, target=given.target, kind=kind)
    if given.lab:
        opt.dense(data)
    if data.guessed:
        terminal.say(f"target: column {data.target!r}, by its name")
    given.target = data.target
    return prepare(data, test, recipe)


def _report(
    given: argparse.Namespace, task: Task, model: Path, passes: list[dict[str, float | None]], terminal: Terminal
) -> Path:
    """Write the page about the model; return its place."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # the model is safe: Ctrl-C ends the report alone
    part = next((name for name in ("test", "validation") if name in task.held), "")
    if part:
        held = report.Held(str(given.data), part, *task.held[part], task.done)
    else:
        given.split = None
        held = report.held_for(task.m, given, terminal)
    place = check_writable(report.place_of(model))
    report.write(task.m, model, place, held, passes, terminal, given.seed)
    terminal.say(f"wrote {place}")
    return place


def _named(data: str, task: Task) -> Path:
    """Return the name that data and widths give a model."""
    widths = [str(layer.n_in) for layer in task.m.architecture.layers if isinstance(layer, Dense)]
    name = Path(data).resolve().name if _is_folder(data) else Path(data).name
    return Path("-".join([name.split(".")[0], *widths, str(task.m.architecture.n_out)]) + ENDING)


def _save(task: Task, place: Path) -> None:
    """Save the model; where its place has become full or has gone, keep it in the folder for temporary files."""
    try:
        save(task.m, place)
    except OutputError as error:
        raise OutputError(f"{error}; {_rescued(task, place.name)}") from None


def _rescued(task: Task, name: str) -> str:
    try:
        return f"the model is kept in {save(task.m, free_place(Path(tempfile.gettempdir()) / name))}"
    except OutputError:
        return "nor could the model be kept in the folder for temporary files"


def _train(task: Task, reports: Reports, history: Path, watch: Watch | None) -> tuple[int, str]:
    """Train with reports; return the exit code, and why training ended where it was not done."""
    try:
        append = write_history(history)
        with reports.terminal.bar():
            done = task.train(
                reports.epochs,
                [
                    lambda now: append(task.in_units(now)),
                    lambda now: reports(task.in_units(now)),
                    *([watch] if watch else []),
                ],
                reports.watched,
            )
    except KeyboardInterrupt as stop:
        if not reports.keeps:
            stop.args = ("before the first step was done, so there is no model to keep",)
            raise
        return getattr(stop, "code", 130), f"stopped {reports.during}"
    except DivergenceError as error:
        reports.keeps = True
        return 2, str(error)
    except (LayerloopError, OSError) as error:  # such as a disk that became full
        if not reports.keeps:
            raise
        return 2, str(error)
    finally:
        reports.terminal.close_bar()
    reports.keeps = True
    reports.ended = done.stopped
    return 0, ""


def _facts(
    given: argparse.Namespace,
    recipe: Recipe,
    task: Task,
    epochs_done: int,
    after: dict[str, float],
    seconds: float,
    stopped: str,
) -> dict[str, object]:
    """Return what is worth keeping of a run: the JSON result, and the record in the model file."""
    return {
        "data": str(given.data),
        "target": given.target,
        "test_accuracy": after.get("accuracy"),
        "test_loss": after.get("loss"),
        **({"test_r2": after["r2"]} if "r2" in after else {}),
        "seconds": round(seconds, 4),
        "epochs_done": epochs_done,
        "stopped": stopped,
        "rows": {"training": len(task.loader.X), **{name: len(X) for name, (X, _) in task.held.items()}},
        "parameters": task.m.architecture.size,
        "loss": str(task.loss),
        **({} if task.first_column is None else {"first_column": task.first_column}),
        "recipe": {
            **vars(recipe),
            "layers": list(recipe.layers),
            "rate": base_of(task.rule.rate) if task.rule else None,
        },
    }
