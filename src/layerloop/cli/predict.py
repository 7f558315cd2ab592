"""Print what a saved model says of each INPUT: the number of a row of --data, an image file, a table or an array.

A picture of any size and polarity is made what the network was trained on, and what was done to it is said.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from layerloop.answer import answer_of
from layerloop.atomic import check_writable
from layerloop.cli import estimator
from layerloop.cli import options as opt
from layerloop.cli.terminal import Terminal
from layerloop.data import image_text, read_csv_rows, read_rows, write_csv
from layerloop.data.sparse_files import SVMLIGHT
from layerloop.decision import says_yes
from layerloop.errors import InputError, SettingError
from layerloop.estimators.answers import by_output
from layerloop.losses import spec_of
from layerloop.models import load
from layerloop.network import Chain
from layerloop.table_files import ENDINGS as TABLES
from layerloop.table_files import is_table

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from layerloop.data import Dataset

EXAMPLES = """examples:
  layerloop predict mnist-784-32-10.safetensors 0 --data mnist
  layerloop predict mnist-784-32-10.safetensors seven.png --proba
  layerloop predict prices.safetensors new.csv -o predicted.csv"""
ARRAYS = (".npy", ".npz", *SVMLIGHT)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `layerloop predict`."""
    parser.add_argument("model", metavar="MODEL", help="a model file")
    parser.add_argument("input", metavar="INPUT", nargs="+", help="row number (with --data), image, table or array")
    parser.add_argument("--data", metavar="DATA", help="the data set that row numbers count in, from 0")
    parser.add_argument("-o", "--out", type=Path, metavar="FILE", help="write a table's predictions to this CSV")
    parser.add_argument("--proba", action="store_true", help="all outputs, not only the largest")
    parser.add_argument("--show", action="store_true", help="show pictures as the network sees them")
    opt.add_split(parser)
    parser.add_argument("--target", metavar="COLUMN", help="of --data: what a row's own label is (default: as trained)")
    opt.add_data_dir(parser)
    opt.add_json(parser)


def run(given: argparse.Namespace) -> int:
    """Print the predictions; return 0."""
    terminal = Terminal(json=given.json)
    m = load(given.model)
    _check_out(given)
    if isinstance(m, Chain):
        rows = [row for text in given.input for row in _rows_of(m, text, given, terminal)]
    else:
        rows = estimator.predict(m, given, terminal)
    for row in rows:
        if "written" not in row:
            terminal.say(_line(row, proba=given.proba))
    terminal.result({"model": given.model, "predictions": rows})
    return 0


def _check_out(given: argparse.Namespace) -> None:
    """Refuse a place for predictions that cannot be written or that no single table is written to, before any work."""
    if given.out is None:
        return
    if len(given.input) != 1 or not given.input[0].lower().endswith(TABLES):
        raise SettingError(f"-o writes the predictions of one table ({', '.join(TABLES)}); for all else use --json")
    check_writable(given.out)


def _rows_of(m: Chain, text: str, given: argparse.Namespace, terminal: Terminal) -> Iterator[dict[str, Any]]:
    """Give one plain dict a prediction."""
    if text.isdecimal() or (text.startswith("-") and text[1:].isdecimal()):
        yield _of_row(m, int(text), given, terminal)
    elif text.lower().endswith(TABLES):
        yield from _of_table(m, text, given, terminal)
    elif text.lower().endswith(ARRAYS):
        rows = read_rows(text, like=opt.columns_like(m))
        yield from (_answer(m, f"{text} row {i}", output) for i, output in enumerate(m(rows)))
    else:
        yield _of_image(m, text, given, terminal)


def _answer(m: Chain, name: str, output: Any) -> dict[str, Any]:
    """Return the prediction of one output vector under its row's name."""
    return {"input": name, **answer_of(m, output, opt.kind_of(m))}


def _line(row: dict[str, Any], *, proba: bool) -> str:
    """Return a prediction in words."""
    value = row["prediction"]
    text = f"{row['input']}: {_text(value)}"
    if "lower" in row:
        text += f"  ({row['lower']:.6g} to {row['upper']:.6g})"
    if "probability" in row:
        text += f"  (probability {row['probability']:.4f})"
    if "label" in row:
        text += f"  label {_text(row['label'])}"
    if proba and "probabilities" in row:
        text += "".join(f"\n  {name}  {p:.6f}" for name, p in row["probabilities"].items())
    return text


def _text(value: Any) -> str:
    """Return a class, the labels that are there, a value, or several."""
    if isinstance(value, list):
        return ", ".join(map(_text, value)) or "none"
    return f"{np.round(value, 6).item()}" if isinstance(value, float) else str(value)


def _of_row(m: Chain, index: int, given: argparse.Namespace, terminal: Terminal) -> dict[str, Any]:
    if given.data is None:
        raise SettingError(f"{index} is the number of a row: say of which data set with --data (such as --data mnist)")
    try:
        data, split = opt.known_data(m, given.data, given, terminal)
    except InputError:  # such as a table of new rows, which have no label yet
        if given.target is not None or not (m.inputs.columns and is_table(given.data)):
            raise
        rows = read_csv_rows(given.data, m.inputs.columns).X
        return _answer(m, opt.row_name(given.data, "", index), m(opt.checked_row(rows, given.data, "", index)))
    x, label = opt.row_of(data, split, index)
    picture = opt.picture_of(data, x)
    if given.show and picture is not None:
        terminal.say(image_text(picture, colour=terminal.colour))
    answer = _answer(m, opt.row_name(given.data, split, index), m(x))
    return answer | {"label": _label(data, label)}


def _label(data: Dataset, label: Any) -> Any:
    """Return a row's own label: the name of its class, those of its labels, or its value."""
    if data.kind == "labels":
        return [name for name, there in zip(data.classes, label, strict=True) if there]
    return data.classes[label] if data.kind == "classes" else label


def _columns(m: Chain, answers: list[dict[str, Any]], outputs: Any) -> dict[str, list[object]]:
    """Return what is written beside a table: a column, or one for each label, level of a quantile, or output."""
    kind = opt.kind_of(m)
    if kind == "classes" or outputs.shape[1] == 1:
        return {"prediction": [answer["prediction"] for answer in answers]}
    loss = opt.loss_of(m)
    levels: Any = spec_of(loss)["levels"] if spec_of(loss).levels > 1 else opt.names_of_values(m)
    found = by_output(*((says_yes(outputs).astype(int), m.classes) if kind == "labels" else (outputs, levels)))
    return {name: column.tolist() for name, column in found.items()}


def _of_image(m: Chain, path: str, given: argparse.Namespace, terminal: Terminal) -> dict[str, Any]:
    if m.inputs.image is None:
        raise InputError(f"{path}: this model was not trained on pictures; give it a row number, a table or an array")
    try:
        picture, done = m.inputs.picture(path)
    except InputError as error:
        raise InputError(str(error) if path in str(error) else f"{path}: {error}") from None
    for sentence in done:
        terminal.say(f"{path}: {sentence}")
    if given.show:
        terminal.say(image_text(picture, colour=terminal.colour))
    unit = np.float32(1 / 255)  # prepared pictures are bytes; floats in [0, 1] are what every picture model takes
    return _answer(m, path, m(picture.reshape(-1) * unit)) | {"done": list(done)}


def _of_table(m: Chain, path: str, given: argparse.Namespace, terminal: Terminal) -> Iterator[dict[str, Any]]:
    if not m.inputs.columns:
        raise InputError(f"{path}: this model was trained without column names; give it an array (.npy)")
    rows = read_csv_rows(path, m.inputs.columns)
    outputs = m(rows.X)
    answers = [_answer(m, f"{path} row {i}", output) for i, output in enumerate(outputs)]
    if given.out is None:
        yield from answers
        return
    columns = _columns(m, answers, np.asarray(outputs))
    if given.proba and opt.kind_of(m) != "values":
        for name in answers[0]["probabilities"]:
            columns[f"probability_{name}"] = [answer["probabilities"][name] for answer in answers]
    written = write_csv(given.out, rows, columns)
    terminal.say(f"wrote {len(answers):,} predictions to {written}")
    yield {"input": path, "written": str(written), "rows": len(answers)}
