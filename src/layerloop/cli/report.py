"""Write the report of a saved model: one page that stands by itself, light and dark, fit to be printed.

It shows how the model learned (from the history beside it), how good it is with intervals, where it fails, what it
goes by, and how to make it again. The rows are by default those that were held out when it was trained.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from layerloop import describe, inspection
from layerloop.atomic import check_writable
from layerloop.cli import estimator
from layerloop.cli import options as opt
from layerloop.cli.opening import look_into, record_of, source_of
from layerloop.data import has_test
from layerloop.errors import InputError, LayerloopError, SettingError
from layerloop.frames import rows_of
from layerloop.inspection.plots import check_drawable
from layerloop.network import Chain
from layerloop.training import read_history
from layerloop.training.recipe import Recipe, held_out_rows, prepare

if TYPE_CHECKING:
    import argparse

    from numpy.typing import NDArray

    from layerloop.cli.terminal import Terminal
    from layerloop.csr import Csr

EXAMPLES = """examples:
  layerloop report mnist-784-32-10.safetensors
  layerloop report prices.safetensors --data new-prices.csv -o prices.html"""
ENDING = ".safetensors"


class Held(NamedTuple):
    """Rows for a report: where they are from, which part that is, what was done to them, and other answers than m's."""

    name: str
    part: str
    X: NDArray[np.generic] | Csr
    y: NDArray[np.generic]
    done: list[str]
    answers: NDArray[np.floating] | None = None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `layerloop report`."""
    parser.add_argument("model", metavar="MODEL", help="a model file")
    parser.add_argument("-o", "--out", type=Path, metavar="FILE", help="the page (default: MODEL's name with .html)")
    parser.add_argument("--data", metavar="DATA", help="other rows (default: those held out when it was trained)")
    parser.add_argument("--history", type=Path, metavar="FILE", help="its passes (default: the file beside the model)")
    opt.add_split(parser)
    opt.add_target(parser)
    opt.add_seed(parser, "draws what the intervals and the importance of columns draw")
    opt.add_data_dir(parser)
    opt.add_json(parser)


def run(given: argparse.Namespace) -> int:
    """Write the page; return 0."""
    return look_into(given, network=_look, estimator=_look)


def _look(m: Any, given: argparse.Namespace, terminal: Terminal) -> int:
    """Write the page of a network or an estimator, on the rows of --data or on those that judge it honestly."""
    model = Path(given.model)
    source = source_of(m, given)
    place = check_writable(given.out or place_of(model))
    check_drawable()
    history = _history(model, given.history)
    held = held_for(m, given, terminal) if isinstance(m, Chain) else _held_for_estimator(m, source, given, terminal)
    found = write(m, model, place, held, history, terminal, given.seed)
    terminal.say(f"{found}\n\nwrote {place}")
    terminal.result({"model": model, "report": place, **found.as_dict()})
    return 0


def _held_for_estimator(m: Any, source: str, given: argparse.Namespace, terminal: Terminal) -> Held:
    X, y = estimator.known_rows(m, source, given, terminal)
    return held_of_table(m, source, X, y, terminal) if given.data is None else Held(source, "", X, y, [])


def held_of_table(m: Any, source: str, X: Any, y: NDArray[Any], terminal: Terminal) -> Held:
    """Return those rows that an estimator came from which judge it honestly, and the answers they are judged by.

    They are the test rows where some were held out, else all of which some network had not seen.
    """
    settings = record_of(m).get("settings", {})
    if settings.get("test"):
        held = held_out_rows(y, settings["test"], settings["seed"])
        return Held(source, "test", rows_of(X, np.flatnonzero(held)), y[held], [])
    if hasattr(m, "predict_left_out"):
        try:
            rows, answers = m.predict_left_out(X, y)
        except InputError:
            raise SettingError(f"{source} is not what the model was trained on: name rows with --data") from None
        if len(rows):
            done = "every row is judged by a network that had not seen it; the model itself is their mean"
            terminal.say(f"figures of {describe.count(len(rows), 'row')} of training: {done}")
            return Held(source, "left-out", rows_of(X, rows), y[rows], [done], answers)
    terminal.say("these are the figures of the training rows, better than they will be: name others with --data")
    return Held(source, "training", X, y, [])


def place_of(model: Path) -> Path:
    """Return where the report of a model goes that is not told."""
    return model.with_name(model.name.removesuffix(ENDING) + ".html")


def write(
    m: Any,
    model: Path,
    place: Path,
    held: Held,
    history: list[dict[str, float | None]],
    terminal: Terminal,
    seed: int,
) -> inspection.Report:
    """Write the page of a model to `place`, with a bar while that takes a while."""
    about = {
        "title": model.name.removesuffix(ENDING),
        "data": held.name,
        "part": held.part,
        "done": held.done,
        "file": model.name,
        "bytes": model.stat().st_size,
    }
    with terminal.bar():
        found = inspection.report(
            m, held.X, held.y,
            history=history, about=about, answers=held.answers, seed=seed, progress=terminal.advance,
        )  # fmt: skip
        terminal.advance("drawing", 0.95)
        found.save(place)
    terminal.close_bar()
    return found


def _history(model: Path, given: Path | None) -> list[dict[str, float | None]]:
    """Return the passes of the file that was named, or of the one beside the model where there is one."""
    beside = model.with_name(model.name.removesuffix(ENDING) + ".history.jsonl")
    if given is None and not beside.is_file():
        return []
    return read_history(given or beside)


def held_for(m: Chain, given: argparse.Namespace, terminal: Terminal) -> Held:
    """Return the rows of --data, or those that were held out when the model was trained."""
    source = source_of(m, given)
    own = source == m.record.get("data") and given.split is None
    if own and not has_test(source) and isinstance(m.record.get("recipe"), dict):
        return _held_out(m, source, given, terminal)
    data, split = opt.known_data(m, source, given, terminal)
    return Held(source, split if has_test(source) else "", data.X, data.y, [])


def _held_out(m: Chain, source: str, given: argparse.Namespace, terminal: Terminal) -> Held:
    """Return the rows that the recipe in the model's record held out of a file, drawn by its seed."""
    data, _ = opt.known_data(m, source, given, terminal)
    settings: dict[str, Any] = dict(m.record["recipe"])  # type: ignore[call-overload]
    known = {name: value for name, value in settings.items() if name in Recipe.__dataclass_fields__}
    recipe = Recipe(**{**known, "layers": tuple(settings["layers"])})
    try:
        task = prepare(data, None, recipe)
    except LayerloopError as error:
        raise SettingError(f"{source} is not what the model was trained on ({error}): name rows with --data") from None
    part = next((name for name in ("test", "validation") if name in task.held), "")
    if not part:
        terminal.say("no rows were held out: the figures are those of the training rows, and better than they will be")
        return Held(source, "training", data.X, data.y, task.done)
    X, y = task.held[part]
    if data.kind == "values":
        y = task.target.undone(y)
    return Held(source, part, X, y, task.done)
