"""The report of a model: how it learned, how good it is and where it fails, as a plain dict, and that dict drawn."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from layerloop import describe
from layerloop.atomic import check_writable, write_atomically
from layerloop.errors import InputError
from layerloop.estimators.answers import kind_of_estimator
from layerloop.inspection.importance import (
    SAMPLES,
    column_names,
    figure_lost,
    gradient_importance,
    mean_input_gradient,
    permutation_importance,
)
from layerloop.inspection.judged import JUDGES, answers_to
from layerloop.inspection.report_page import page
from layerloop.inspection.reproduce import command_of, made_with, said_of_inputs
from layerloop.inspection.rows import as_table, cells, take
from layerloop.inspection.subject import kind_of, subject_of
from layerloop.layers import Dense, Dropout
from layerloop.network import Chain, params
from layerloop.plain import plain

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import ArrayLike, NDArray

    Say = Callable[[str, float], object]

UNITS = 64  # first-layer units whose weights are shown
CELLS = 8  # columns of a worst row that are shown
SHUFFLED = 2_000  # rows that are shuffled for the importance of columns
COLUMNS = 200  # columns beyond which nothing is shuffled: each costs as many predictions as there are repeats
WORK = 40_000_000  # parameters times rows whose input gradients are averaged: about a second
TIMED = 200  # single rows that are timed


@dataclass(frozen=True)
class Report:
    """What `report` found.

    Attributes
    ----------
    facts : dict
        Plain data; `docs/report.md` names the keys.
    """

    facts: dict[str, Any] = field(repr=False)

    def as_dict(self) -> dict[str, Any]:
        """Return the facts."""
        return self.facts

    def html(self) -> str:
        """Return one self-contained page: pictures and plots stand in it, and nothing is loaded from elsewhere.

        Raises
        ------
        MissingExtraError
            Without matplotlib, which the extra [report] brings.
        """
        return page(self.facts)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the page to a file, whole or not at all.

        Raises
        ------
        OutputError
            When the file cannot be written.
        MissingExtraError
            Without matplotlib.
        """
        check_writable(path)
        return write_atomically(path, self.html().encode())

    def __str__(self) -> str:
        parts = [self.facts["title"], describe.table(self.facts["figures"], left=("name", "interval"))]
        if self.facts["per_class"]:
            keys = ("class", "rows", "recall", "precision", "f1")
            parts.append(describe.table([{key: row[key] for key in keys} for row in self.facts["per_class"]]))
        if self.facts["per_target"]:
            parts.append(describe.table(self.facts["per_target"], left=("target",)))
        return "\n\n".join(parts)


def report(
    model: object,
    X: Any,
    y: ArrayLike,
    *,
    history: Sequence[Mapping[str, float | None]] = (),
    columns: Sequence[str] = (),
    about: Mapping[str, Any] | None = None,
    answers: NDArray[np.floating] | None = None,
    seed: int = 0,
    progress: Say | None = None,
) -> Report:
    """Return the report of a model on rows that it was not trained on.

    Parameters
    ----------
    model : Chain, or a fitted estimator with `network_`
        Of one class, several labels, or one value, its quantiles or several values a row.
    X, y
        Rows and their classes or values, as the model takes them.
    history : sequence of dict
        Finished passes, `History.epochs` or `read_history(...)`.
    columns : sequence of str
        Names of the columns; by default those of the data or of the network.
    about : mapping
        Facts of one's own that are shown: `title`, `data`, `part` ("test"), `done` (sentences), `record`,
        `file`, `bytes`.
    answers : ndarray
        What is judged instead of the model's own answers to X, such as those of `predict_left_out`: probabilities
        (n, K), or values (n,).
    seed : int
        Draws what the bootstrap and the importance of columns draw.
    progress : callable
        Called with what is being done and the share that is done.

    Raises
    ------
    InputError
        No rows, or targets of another shape than the answers.
    LabelError
        Labels that are none of the model's classes.

    Examples
    --------
    >>> from layerloop import Chain, Dense, softmax
    >>> X = np.random.default_rng(0).normal(size=(40, 3))
    >>> found = report(Chain(Dense(3, 2), softmax), X, (X[:, 0] > 0).astype(int))
    >>> found.as_dict()["figures"][0]["name"], len(found.as_dict()["confusion"])
    ('accuracy', 2)
    """
    subject, about = subject_of(model), about or {}
    say = progress or (lambda *_: None)
    X = as_table(X)
    n = X.shape[0]
    if n == 0:
        raise InputError("a report wants at least one row")
    say("predicting", 0.0)
    record = about.get("record", subject.chain.record)
    kind = kind_of(subject.chain) if isinstance(model, Chain) else kind_of_estimator(model)
    outputs = answers_to(model, X, kind) if answers is None else np.asarray(answers, np.float64)
    found = JUDGES[kind](model, subject, outputs, y, seed)
    names = column_names(subject.chain if isinstance(model, Chain) else None, X, columns)
    for row in found["mistakes"]:
        row.update(_shown(subject.chain, X, row["row"], names))
    facts = {
        "title": about.get("title") or type(model).__name__,
        "kind": kind,
        "model": _said(model, subject.chain),
        "data": {
            "name": about.get("data"),
            "part": about.get("part"),
            "rows": n,
            "columns": X.shape[1],
            "of_run": record.get("rows", {}),
            "done": [
                *about.get("done", ()),
                *said_of_inputs(subject.chain.inputs, columns=not about.get("done")),
                *(f"{name}: {done}" for name, done in getattr(model, "columns_", {}).items()),
            ],
        },
        "history": [dict(row) for row in history],
        "per_target": [],
        **found,
        "weights": _weights(subject.chain),
        **_importance(model, subject.chain, X, y, names, seed, say),
        "layers": _layers(subject.chain),
        "sizes": {"parameters": subject.chain.architecture.size, "bytes": about.get("bytes")},
        "timing": {**_timing(model, X, say), "training": record.get("seconds"), "stopped": record.get("stopped")},
        "reproduce": {
            "command": command_of(record),
            "file": about.get("file"),
            "made_with": made_with(),
            "record": record,
        },
    }
    say("done", 1.0)
    return Report(facts)


def _said(model: object, m: Chain) -> str:
    """Return a model in words: a network, or an estimator and how many of which networks it has."""
    text = repr(m).partition("  #")[0]
    networks = getattr(model, "networks_", (m,))
    many = f"{len(networks)} networks, the first " if len(networks) > 1 else ""
    return text if isinstance(model, Chain) else f"{type(model).__name__}: {many}{text}"


def _shown(m: Chain, X: Any, i: int, names: Sequence[str]) -> dict[str, Any]:
    """Return a row as it is shown: as a picture, or its first columns."""
    row = cells(X, i)
    if m.inputs.image is not None:
        unit = 1 / 255 if getattr(X, "dtype", None) == np.uint8 else 1.0
        values = np.asarray(row, np.float64).reshape(m.inputs.image) * unit
        return {"picture": np.rint(255 * np.clip(values, 0, 1)).astype(int).tolist()}
    return {"cells": {name: _plain(value) for name, value in zip(names[:CELLS], row[:CELLS], strict=True)}}


def _plain(value: object) -> object:
    """Return a cell as JSON can hold it."""
    return plain(value.item() if isinstance(value, np.generic) else value)


def _weights(m: Chain) -> dict[str, Any] | None:
    """Return the first layer's weights as pictures, a unit each; None where rows are no pictures or it is not dense."""
    layers = enumerate(m.architecture.layers, start=1)
    i, first = next(((i, layer) for i, layer in layers if not isinstance(layer, Dropout)), (0, None))
    if m.inputs.image is None or not isinstance(first, Dense) or first.members > 1:
        return None
    W = np.stack([m.inputs.in_plane(w) for w in params(m).W(i)[:, :-1].astype(np.float64)])
    return {
        "units": first.n_out,
        "full": float(np.quantile(np.abs(W), 0.995)),
        "pictures": W[:UNITS].round(5).tolist(),
    }


def _importance(
    model: object, m: Chain, X: Any, y: ArrayLike, names: Sequence[str], seed: int, say: Say
) -> dict[str, Any]:
    """Return the importance of columns, or of pixels as a picture."""
    if m.inputs.image is not None:
        mean = mean_input_gradient(
            model,
            X,
            y,
            rows=_averaged(model, m),
            seed=seed,
            progress=lambda share: say("input gradients", 0.1 + 0.8 * share),
        )
        return {"saliency": m.inputs.in_plane(mean).tolist(), "importance": [], "importance_of": None}
    chosen = np.sort(np.random.default_rng(seed).permutation(X.shape[0])[:SHUFFLED])
    part, y_part = take(X, chosen), np.asarray(y)[chosen]
    options: dict[str, Any] = {"columns": names, "seed": seed}
    leaning = gradient_importance(
        model,
        part,
        y_part,
        **options,
        rows=_averaged(model, m),
        progress=lambda share: say("input gradients", 0.1 + 0.3 * share),
    )
    if X.shape[1] > COLUMNS:
        return {"saliency": None, "importance": leaning, "importance_of": None}
    rows = permutation_importance(
        model, part, y_part, **options, progress=lambda share: say("shuffling columns", 0.4 + 0.5 * share)
    )
    slopes = {row["column"]: row["importance"] for row in leaning}
    found = [{**row, "gradient": slopes.get(row["column"])} for row in rows]
    return {"saliency": None, "importance": found, "importance_of": figure_lost(model)}


def _averaged(model: object, m: Chain) -> int:
    """Return over how many rows input gradients are averaged: fewer for large networks or several, which take time."""
    networks = len(getattr(model, "networks_", (m,)))
    return max(10, min(SAMPLES, WORK // max(1, m.architecture.size)) // networks)


def _layers(m: Chain) -> list[dict[str, Any]]:
    return [
        {"layer": i, "what": repr(layer), "numbers in": layer.n_in, "out": layer.n_out, "parameters": layer.size}
        for i, layer in enumerate(m.architecture.layers, start=1)
    ]


def _timing(model: Any, X: Any, say: Say) -> dict[str, float]:
    """Return the median seconds of one row's prediction, and of all rows' together."""
    say("timing", 0.9)
    predict = model if isinstance(model, Chain) else model.predict
    few = min(TIMED, X.shape[0])
    one = take(X, [0])
    singles: list[float] = []
    began = time.perf_counter()
    while len(singles) < few and time.perf_counter() - began < 0.2:
        start = time.perf_counter()
        predict(one)
        singles.append(time.perf_counter() - start)
    start = time.perf_counter()
    predict(X)
    return {"one_row": statistics.median(singles), "all_rows": time.perf_counter() - start, "rows": X.shape[0]}
