"""What is said while a network is trained, before and after: figures in words, the bar, a line after every pass."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from layerloop import describe

if TYPE_CHECKING:
    from layerloop.cli.terminal import Terminal
    from layerloop.losses import LossSpec
    from layerloop.network import Chain
    from layerloop.training import Progress
    from layerloop.training.task import Task
FEW = 10


def say_task(terminal: Terminal, name: str, task: Task) -> None:
    """Print the data, what was done to them, and the network."""
    counts = {"training": len(task.loader.X), **{held: len(X) for held, (X, _) in task.held.items()}}
    rows = ", ".join(f"{count:,} {what}" for what, count in counts.items())
    m = task.m
    outputs = _outputs(m, task.loss)
    terminal.say(f"{name}: {rows} rows of {describe.count(m.architecture.n_in, 'number')}, {outputs}")
    for sentence in task.done:
        terminal.say(f"  {sentence}")
    terminal.say(repr(m))
    if m.architecture.head == "modified_softmax" and m.architecture.last_activation == "sigmoid":
        last = m.classes[-1]
        terminal.say(f"  its scores are positive and class {last} has score 0, so class {last} is never predicted")


def _outputs(m: Chain, loss: LossSpec) -> str:
    """Return what the network says of a row, in words."""
    if loss.row.targets == "shares":
        return f"{len(m.classes)} {'classes' if m.architecture.n_out == 1 else 'labels'}"
    if m.classes:
        return f"{m.architecture.n_out} classes"
    values = describe.count(m.architecture.n_out if loss.levels == 1 else 1, "value")
    return f"{describe.count(loss.levels, 'quantile')} of {values}" if loss.name == "quantile" else values


def say_figures(terminal: Terminal, task: Task, when: str) -> dict[str, float]:
    """Print and return the figures of the test rows as they are now."""
    if "test" not in task.held:
        return {}
    found = {f"test_{figure}": value for figure, value in task.figures("test").items()}
    terminal.say(f"{when}  {figures_text(found)}")
    return found


def figures_text(figures: dict[str, float]) -> str:
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
    ended : str
        Why training ended, once it has.
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
        self.ended = ""
        self._turn = "epoch" if task.rule else "iteration"
        self._score = ""
        self._said = time.monotonic()

    @property
    def during(self) -> str:
        """The pass under way, or the last iteration of L-BFGS that is done, in words."""
        where = "in" if self._turn == "epoch" else "after"
        return f"{where} {self._turn} {self.epoch} of {self.epochs}"

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
        if now.row is not None and self._has_line(now):
            return self._of_row(now.row)
        if time.monotonic() - self._said < self.every:
            return None
        if now.row is not None:
            return self._of_row(now.row)
        found = {name: self.task.figures(name, passing=True) for name in self.watched}
        return {f"{name}_{k}": value for name, figures in found.items() for k, value in figures.items()}

    def _of_row(self, row: dict[str, float]) -> dict[str, float]:
        return {name: value for name, value in row.items() if name.split("_")[0] in self.watched}

    def _has_line(self, now: Progress) -> bool:
        """Whether a pass has a line of its own: of the many short iterations of L-BFGS ten, then every tenth."""
        return self._turn == "epoch" or now.epoch <= FEW or now.epoch % FEW == 0 or now.epoch == now.epochs

    def _place(self, now: Progress) -> str:
        return f"{self._turn} {now.epoch:{self.width}}/{now.epochs}"

    def _line(self, now: Progress, figures: dict[str, float]) -> None:
        share = "" if now.row is not None else f" {now.step / now.steps:4.0%}"
        parts = [
            f"{self._place(now)}{share}",
            figures_text({"loss": now.loss}),
            figures_text(figures),
            describe.duration(now.seconds),
        ]
        if not self.terminal.interactive:  # a terminal shows it in the bar
            parts.append(f"{now.samples_per_second:,.0f} samples/s")
        self.terminal.say("  ".join(filter(None, parts)))
        self._said = time.monotonic()


def conclude(terminal: Terminal, after: dict[str, float], seconds: float, why: str) -> None:
    """Print why training ended early, if it did, and how good the model is."""
    if why:
        print(f"layerloop: {why}", file=sys.stderr)
    figures = figures_text({f"test_{name}": value for name, value in after.items()})
    terminal.say(f"{figures}{'  ' if figures else ''}in {describe.duration(seconds)}")


def advice(passes: list[dict[str, float | None]], before: float) -> str:
    """Return what to do about a test loss that is higher than before training; it was `before`, in the passes' unit."""
    last = passes[-1]["loss"] if passes else None
    if last is not None and last < before:
        return (
            "the test loss is higher than before training, while that of training fell: try fewer --epochs or --decay"
        )
    return "the loss is higher than before training: try a lower --rate"
