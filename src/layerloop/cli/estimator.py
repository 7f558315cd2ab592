"""Estimators of model files at work: rows for them, what they say of rows, how good they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from layerloop import describe
from layerloop.cli import options as opt
from layerloop.cli import tables
from layerloop.cli.opening import record_of, source_of
from layerloop.csr import Csr
from layerloop.data import has_test, read_rows, scaled
from layerloop.data.sparse_files import SVMLIGHT
from layerloop.errors import InputError, LabelError, SettingError
from layerloop.estimators.answers import answers_of, columns_of_answers, figures_of_estimator, kind_of_estimator
from layerloop.frames import rows_of
from layerloop.metrics import trivial_figures
from layerloop.table_files import is_table, learnable, read_table_file, several_learnable, write_table_file

if TYPE_CHECKING:
    import argparse

    from numpy.typing import NDArray

    from layerloop.cli.terminal import Terminal
    from layerloop.table_files import Learnable

ARRAYS = (".npy", ".npz", *SVMLIGHT)


def known_rows(model: Any, data: str, given: argparse.Namespace, terminal: Terminal) -> tuple[Any, NDArray[Any]]:
    """Return rows of a table, an array file or a named set, with their labels or values.

    Raises
    ------
    InputError, LabelError
        The target is not what the model predicts.
    """
    kind = kind_of_estimator(model)
    classes = model.classes_ if kind == "classes" else None
    if is_table(data):
        found = _of_table_file(model, data, given.target or record_of(model).get("target"), kind)
        for sentence in found.said:
            terminal.say(f"{data}: {sentence}")
        return found.X, found.y
    split = given.split or ("test" if has_test(data) else "train")
    like = (None, model.n_features_in_) if hasattr(model, "n_features_in_") else None
    read = opt.read_data(
        data, split, given, terminal, target=given.target, kind=None if kind == "classes" else kind, like=like
    )
    if read.kind != kind:
        raise InputError(f"the target of {data} holds {read.kind}, but the model predicts {kind}")
    if classes is None:
        return _as_taken(scaled(read)), read.y
    places = {str(name): k for k, name in enumerate(classes.tolist())}
    missing = [name for name in read.classes if name not in places]
    if missing:
        raise LabelError(f"{data}: {missing[0]!r} is none of the model's classes: {', '.join(places)}")
    return _as_taken(scaled(read)), classes[[places[name] for name in read.classes]][read.y]


def _as_taken(X: Any) -> Any:
    """Return rows as estimators take them: sparse ones as SciPy's."""
    return X.to_scipy() if isinstance(X, Csr) else X


def _of_table_file(model: Any, path: str, target: str | None, kind: str) -> Learnable:
    """Return the rows of a table with their target, or several of them, a,b,c."""
    table = read_table_file(path)
    outputs = len(model.classes_) if kind == "labels" else getattr(model, "n_outputs_", 1)
    if kind == "classes" or (kind == "values" and outputs == 1):
        return learnable(table, target, kind, model.classes_ if kind == "classes" else None)
    names = [name.strip() for name in (target or "").split(",")]
    if len(names) != outputs:
        raise InputError(f"{path}: the model predicts {outputs} {kind}: name as many columns, --target a,b,c")
    return several_learnable(table, names, kind)


def sample_of(model: Any, index: int, given: argparse.Namespace, terminal: Terminal) -> tuple[Any, Any, str]:
    """Return one row as a table of one, its label or value, and what it is called."""
    source = source_of(model, given)
    X, y = known_rows(model, source, given, terminal)
    if not 0 <= index < len(y):
        raise InputError(f"{source} has rows 0 to {len(y) - 1}; there is no row {index}")
    return rows_of(X, np.array([index])), y[index], f"{source} row {index}"


def evaluate(model: Any, given: argparse.Namespace, terminal: Terminal) -> int:
    """Print every figure of an estimator on some rows; return 0."""
    X, y = known_rows(model, given.data, given, terminal)
    try:
        found = figures_of_estimator(model, X, y)
    except InputError as error:
        raise InputError(f"{given.data}: {error}") from None
    kind = kind_of_estimator(model)
    trivial = trivial_figures(kind, np.searchsorted(model.classes_, y) if kind == "classes" else y)
    without = {"classes": "shares of the classes", "labels": "shares of the labels"}.get(kind, "mean")
    terminal.say(tables.figures_text(found, trivial, without))
    terminal.say(f"({describe.count(len(y), 'row')})")
    terminal.result({"model": given.model, "data": given.data, "rows": len(y), **found, "trivial": trivial})
    return 0


def predict(model: Any, given: argparse.Namespace, terminal: Terminal) -> list[dict[str, Any]]:
    """Return one plain dict a prediction, or what was written where a table is asked for."""
    found: list[dict[str, Any]] = []
    for text in given.input:
        found += _predicted(model, text, given, terminal)
    return found


def _predicted(model: Any, text: str, given: argparse.Namespace, terminal: Terminal) -> list[dict[str, Any]]:
    if text.removeprefix("-").isdecimal():
        if given.data is None:
            raise SettingError(f"{text} is the number of a row: say of which table with --data")
        return [_of_row(model, int(text), given, terminal)]
    if text.lower().endswith(ARRAYS):
        return _named(text, answers_of(model, _as_taken(read_rows(text))))
    if not is_table(text):
        raise InputError(f"{text}: this model was trained on a table; give it a table, an array or a row number")
    return _of_table(model, text, given, terminal)


def _of_row(model: Any, index: int, given: argparse.Namespace, terminal: Terminal) -> dict[str, Any]:
    """Return the answer to a row of --data, beside its own label where it has one."""
    try:
        X, label, name = sample_of(model, index, given, terminal)
    except InputError:  # such as a table of new rows, which have no label yet
        if given.target is not None or not is_table(given.data):
            raise
        frame = read_table_file(given.data).frame
        if not 0 <= index < len(frame):
            raise InputError(f"{given.data} has rows 0 to {len(frame) - 1}; there is no row {index}") from None
        return {"input": f"{given.data} row {index}", **answers_of(model, frame[[index]])[0]}
    return {"input": name, **answers_of(model, X)[0], "label": label.tolist()}


def _of_table(model: Any, text: str, given: argparse.Namespace, terminal: Terminal) -> list[dict[str, Any]]:
    table = read_table_file(text)
    for sentence in table.said:
        terminal.say(f"{text}: {sentence}")
    try:
        if given.out is None:
            return _named(text, answers_of(model, table.frame))
        columns = columns_of_answers(model, table.frame)
    except InputError as error:
        raise InputError(f"{text}: {error}") from None
    written = write_table_file(given.out, table, columns)
    terminal.say(f"wrote {len(table.frame):,} predictions to {written}")
    return [{"input": text, "written": str(written), "rows": len(table.frame)}]


def _named(text: str, answers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"input": f"{text} row {i}", **answer} for i, answer in enumerate(answers)]
