"""Train on a data set, print as it goes, and save the model.

DATA is mnist, fashion-mnist, digits, a file (.csv, .parquet, .feather, .npz, .npy), or a folder with a sub-folder of
pictures for each class, or with train/ and test/ of that kind. The defaults are the run of the
notes, section 7.3: one hidden layer of 32, sigmoid, softmax, cross-entropy, Adam at 0.001, batches of 128, 20 passes.
The recipe `pictures` is two hidden layers of 512 with dropout and a one-cycle rate, for more than the notes reach;
a folder gets `photos`, the same with more steps, unless a recipe is named.

A table of numbers, categories, dates, text and gaps gets the estimator that is good as it comes, unless anything of
"the network" or "its training" is named.
"""

from __future__ import annotations

import signal
import sys
import tempfile
import time
from contextlib import nullcontext
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from layerloop import describe
from layerloop.atomic import check_writable
from layerloop.cli import lab, report, tables
from layerloop.cli import options as opt
from layerloop.cli.keeping import ENDING, check_place, free_place, history_of, hold_off, signals_as_interrupts
from layerloop.cli.terminal import Terminal
from layerloop.cli.train_table import train_table
from layerloop.data import has_test
from layerloop.data.sources import NAMES
from layerloop.errors import DivergenceError, LayerloopError, OutputError, SettingError, look_up
from layerloop.files import save
from layerloop.inspection.plots import check_drawable
from layerloop.lab.extra import check_extra
from layerloop.layers import ACTIVATIONS, Dense
from layerloop.optim import RULES, SCHEDULES, base_of
from layerloop.plain import plain
from layerloop.settings import blas_threads
from layerloop.table_files import is_table
from layerloop.training import read_history, train, write_history
from layerloop.training.recipe import RECIPES, Recipe, prepare

if TYPE_CHECKING:
    import argparse

    from layerloop.lab import Watch
    from layerloop.training import Progress
    from layerloop.training.recipe import Task

EXAMPLES = """examples:
  layerloop train mnist
  layerloop train mnist --layers none       multinomial logistic regression
  layerloop train mnist --reading notes     section 7.1, taken literally
  layerloop train mnist --recipe pictures   a larger network, right more often
  layerloop train photos/                   pictures, a sub-folder a class
  layerloop train fashion-mnist --layers 128,64 --activation relu
  layerloop train table.csv --target price
  layerloop train table.csv --target price --layers 32 --epochs 200"""

# Whoever names one of the first wants a network of their own; those of TABLE belong to the estimator.
NETWORK = (
    *("recipe", "reading", "layers", "activation", "dropout", "head", "loss", "smoothing", "class_weight", "optimizer"),
    *("rate", "schedule", "decay", "clip", "batch_size", "dtype", "threads", "validation", "lab"),
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
    add("--head", type=opt.name, metavar="NAME", help="softmax, modified-softmax, identity (default: by the reading)")
    group = parser.add_argument_group("its training")
    add = group.add_argument
    add(
        "--loss",
        type=opt.name,
        metavar="NAME",
        help="crossentropy for classes, mse or mae for values (default: by the target)",
    )
    add("--smoothing", type=float, metavar="SHARE", help="of the labels, in training (default 0)")
    add("--class-weight", type=opt.name, metavar="balanced", help="give every class the same total weight")
    add("--optimizer", type=opt.name, metavar="NAME", help=f"{', '.join(RULES)} (default adam)")
    add("--rate", type=float, help="step size (default: the optimiser's own, 0.001 for adam)")
    add("--schedule", type=opt.name, metavar="NAME", help=f"of the rate: {', '.join(SCHEDULES)}")
    add("--decay", type=float, help="decoupled weight decay (default: none, 0.01 for adamw)")
    add("--clip", type=float, metavar="NORM", help="bound of the gradient's norm (default: none)")
    add("--batch-size", type=int, metavar="N", help="rows per step (default 128)")
    add("--dtype", help="float32 (default) or float64")
    add("--threads", type=int, metavar="N", help="how many (default 1; more pay for wide layers)")
    add("--validation", type=float, metavar="SHARE", help="of the training rows, held out (default 0)")
    group = parser.add_argument_group("tables")
    opt.add_target(group)
    tables.add_estimator(group)
    group.add_argument("--interval", type=float, metavar="SHARE", help="of values that intervals are to cover: 0.9")
    group = parser.add_argument_group("data and reports")
    add = group.add_argument
    add("--epochs", type=int, metavar="N", help="passes over the data (default 20; of tables by the rows)")
    opt.add_seed(group, "of weights, order and held-out rows")
    add("--test", type=float, metavar="SHARE", help="held out of a file without a test part (0.2; of tables 0)")
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
    network = [name for name in NETWORK if getattr(given, name) is not None]
    if is_table(given.data) and not network:
        if given.report:
            raise SettingError("--report comes with a network so far: leave it out, or name --layers")
        return train_table(given, terminal)
    _check_network(given, network)
    return _train_network(given, terminal)


def _check_network(given: argparse.Namespace, network: list[str]) -> None:
    """Refuse settings of the estimator for tables beside those of a network."""
    table = [name for name in TABLE if getattr(given, name) is not None]
    if table:
        why = f"leave out {_option(network[0])}" if network else f"{given.data} is none"
        raise SettingError(f"{_option(table[0])} is for the estimator of tables: {why}")


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _train_network(given: argparse.Namespace, terminal: Terminal) -> int:
    """Train one plain network."""
    recipe = look_up(RECIPES, given.recipe or ("photos" if _is_folder(given.data) else "notes"), "recipe")
    chosen = {field.name: getattr(given, field.name, None) for field in fields(Recipe)}
    recipe = replace(recipe, **{name: value for name, value in chosen.items() if value is not None})
    if given.report:
        check_drawable()
    if given.lab:
        check_extra()
    if given.test is not None and has_test(given.data):
        raise SettingError(f"{given.data} has a test part of its own: leave out --test")
    if given.out is not None:
        check_place(given.out)
    with blas_threads(1 if given.threads is None else given.threads), signals_as_interrupts():
        task = _task(given, recipe, terminal)
        place = given.out or free_place(_named(given.data, task))
        _describe(terminal, given.data, task)
        with lab.watching(task, given.data, terminal) if given.lab else nullcontext() as watch:
            return _run(given, recipe, task, terminal, place, watch)


def _run(
    given: argparse.Namespace, recipe: Recipe, task: Task, terminal: Terminal, place: Path, watch: Watch | None
) -> int:
    """Train, save and report; whatever ends training early, what stood at `place` before stays."""
    before = _figures(terminal, task, "before training")
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
    facts = _facts(given, recipe, task, len(passes), after, seconds, why)
    task.m.record = {key: plain(value) for key, value in facts.items()}
    _save(task, model)
    if not why:
        history = history.replace(history_of(place))
    _conclude(terminal, after, seconds, why)
    if not after.get("loss", 0) <= before.get("test_loss", 0):
        terminal.say(_advice(passes, before["test_loss"]))
    terminal.say(f"saved {model}" + (f" ({place} stays as it was)" if model != place else ""))
    if given.report:
        facts["report"] = _report(given, task, model, passes, terminal)
    if watch:
        watch.end("stopped" if why else "done", why or "all epochs done")
    terminal.result({**facts, "before": before, "model": model, "history": history})
    return code


def _is_folder(data: str) -> bool:
    return data not in NAMES and Path(data).is_dir()


def _task(given: argparse.Namespace, recipe: Recipe, terminal: Terminal) -> Task:
    """Read the data and make network and batches."""
    kind = {None: None, "mse": "values", "mae": "values"}.get(given.loss, "classes")
    data = opt.read_data(given.data, "train", given, terminal, target=given.target, kind=kind)
    test = None
    if has_test(given.data):
        test = opt.read_data(given.data, "test", given, terminal, target=given.target, kind=kind)
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


def _describe(terminal: Terminal, name: str, task: Task) -> None:
    counts = {"training": len(task.loader.X), **{held: len(X) for held, (X, _) in task.held.items()}}
    rows = ", ".join(f"{count:,} {what}" for what, count in counts.items())
    m = task.m
    outputs = f"{m.architecture.n_out} classes" if m.classes else "1 value"
    terminal.say(f"{name}: {rows} rows of {describe.count(m.architecture.n_in, 'number')}, {outputs}")
    for sentence in task.done:
        terminal.say(f"  {sentence}")
    terminal.say(repr(m))
    if m.architecture.head == "modified_softmax" and m.architecture.last_activation == "sigmoid":
        last = m.classes[-1]
        terminal.say(f"  its scores are positive and class {last} has score 0, so class {last} is never predicted")


def _figures(terminal: Terminal, task: Task, when: str) -> dict[str, float]:
    """Print and return the figures of the test rows as they are now."""
    if "test" not in task.held:
        return {}
    found = {f"test_{figure}": value for figure, value in task.figures("test").items()}
    terminal.say(f"{when}  {_text(found)}")
    return found


def _text(figures: dict[str, float]) -> str:
    """Return figures in words, accuracy first: "test accuracy 0.9612  test loss 0.1303"."""
    ordered = sorted(figures, key=lambda name: name.endswith("loss"))
    words = {name: name.replace("validation", "val").replace("_", " ") for name in ordered}
    return "  ".join(f"{words[name]} {_number(figures[name])}" for name in ordered)


def _number(value: float) -> str:
    return "undefined" if value != value else describe.figure(value)


def _short(number: float) -> str:
    """Return 493k for 493,250: a bar has little room."""
    for unit, letter in ((1e6, "M"), (1e3, "k")):
        if number >= 10 * unit:
            return f"{number / unit:.0f}{letter}"
    return f"{number:.0f}"


def _train(task: Task, reports: Reports, history: Path, watch: Watch | None) -> tuple[int, str]:
    """Train with reports; return the exit code, and why training ended where it was not done."""
    try:
        append = write_history(history)
        with reports.terminal.bar():
            train(
                task.m,
                task.loader,
                task.trained_loss,
                task.rule,
                reports.epochs,
                [
                    lambda now: append(task.in_units(now)),
                    lambda now: reports(task.in_units(now)),
                    *([watch] if watch else []),
                ],
                validation={name: task.held[name] for name in reports.watched},
            )
    except KeyboardInterrupt as stop:
        if not reports.keeps:
            stop.args = ("before the first step was done, so there is no model to keep",)
            raise
        return getattr(stop, "code", 130), f"stopped in epoch {reports.epoch} of {reports.epochs}"
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
    return 0, ""


class Reports:
    """What is said while training: the bar, a line after every pass, and one every so many seconds within a pass.

    Parameters
    ----------
    terminal : Terminal
    task : Task
        Its validation rows are watched or, without any, its test rows.
    every : float
        Seconds.
    epochs : int

    Attributes
    ----------
    epoch : int
        The pass under way.
    keeps : bool
        Whether there is anything to keep: a step was done.
    """

    def __init__(self, terminal: Terminal, task: Task, every: float, epochs: int) -> None:
        self.terminal = terminal
        self.task = task
        self.every = every
        self.epochs = epochs
        self.watched = [name for name in ("validation", "test") if name in task.held][:1]
        self.width = len(f"{epochs}")
        self.epoch = 0
        self.keeps = False
        self._score = ""
        self._said = time.monotonic()

    def __call__(self, now: Progress) -> None:
        """Report as far as it is time to."""
        self.epoch, self.keeps = now.epoch, True
        figures = self._due(now)
        for name, value in (figures or {}).items():
            if not name.endswith("loss"):
                self._score = f"{name.split('_')[-1].replace('accuracy', 'acc')} {_number(value)}"
        self.terminal.advance(
            self._place(now),
            (now.epoch - 1 + now.step / now.steps) / now.epochs,
            f"loss {_number(now.loss)}",
            self._score,
            f"{describe.duration(now.seconds_left)} left",
            f"{_short(now.samples_per_second)} samples/s",
        )
        if figures is not None:
            self._line(now, figures)

    def _due(self, now: Progress) -> dict[str, float] | None:
        """Return the watched figures when it is time for a line: a pass has ended, or so many seconds have gone."""
        if now.row is not None:
            return {name: value for name, value in now.row.items() if name.split("_")[0] in self.watched}
        if time.monotonic() - self._said < self.every:
            return None
        found = {name: self.task.figures(name) for name in self.watched}
        return {f"{name}_{k}": value for name, figures in found.items() for k, value in figures.items()}

    def _place(self, now: Progress) -> str:
        return f"epoch {now.epoch:{self.width}}/{now.epochs}"

    def _line(self, now: Progress, figures: dict[str, float]) -> None:
        share = "" if now.row is not None else f" {now.step / now.steps:4.0%}"
        parts = [
            f"{self._place(now)}{share}",
            _text({"loss": now.loss}),
            _text(figures),
            describe.duration(now.seconds),
        ]
        if not self.terminal.interactive:  # a terminal shows it in the bar
            parts.append(f"{now.samples_per_second:,.0f} samples/s")
        self.terminal.say("  ".join(filter(None, parts)))
        self._said = time.monotonic()


def _facts(
    given: argparse.Namespace,
    recipe: Recipe,
    task: Task,
    epochs_done: int,
    after: dict[str, float],
    seconds: float,
    why: str,
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
        "stopped": why or "all epochs done",
        "rows": {"training": len(task.loader.X), **{name: len(X) for name, (X, _) in task.held.items()}},
        "parameters": task.m.architecture.size,
        "loss": task.loss,
        "recipe": {**vars(recipe), "layers": list(recipe.layers), "rate": base_of(task.rule.rate)},
    }


def _conclude(terminal: Terminal, after: dict[str, float], seconds: float, why: str) -> None:
    if why:
        print(f"layerloop: {why}", file=sys.stderr)
    figures = _text({f"test_{name}": value for name, value in after.items()})
    terminal.say(f"{figures}{'  ' if figures else ''}in {describe.duration(seconds)}")


def _advice(passes: list[dict[str, float | None]], before: float) -> str:
    """Return what to do about a test loss that is higher than before training, where it was `before`."""
    last = passes[-1]["loss"] if passes else None
    if last is not None and last < before:
        return (
            "the test loss is higher than before training, while that of training fell: try fewer --epochs or --decay"
        )
    return "the loss is higher than before training: try a lower --rate"
