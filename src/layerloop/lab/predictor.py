"""`layerloop serve MODEL`: one model behind JSON, and the page that says how to ask it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from starlette.applications import Starlette

from layerloop.answer import answer_of
from layerloop.errors import InputError, NonFiniteInputError
from layerloop.estimators.answers import answers_of
from layerloop.frames import Frame, Series
from layerloop.lab.endpoints import asked, told
from layerloop.lab.guards import Guards, Limits
from layerloop.lab.openapi import description
from layerloop.lab.pages import page_routes
from layerloop.lab.table_rows import LARGEST, in_order, table
from layerloop.network import Chain

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from layerloop.lab.guards import Site

ROWS = 10_000  # of one request


def prediction_app(m: Any, kind: str, site: Site, limits: Limits | None = None) -> Guards:
    """Return the application that predicts with one network or estimator.

        POST /predict      {"rows": [[...], ...]} -> {"predictions": [{"prediction": ..., ...}, ...]}
        GET  /model        what the network takes and answers
        GET  /openapi.json the same for programs;  GET /  for people;  GET /healthz  that it is there

    Parameters
    ----------
    m : Chain, or a fitted estimator
    kind : "classes" or "values"
    site : Site
        Where it is served.
    limits : Limits, optional

    Examples
    --------
    >>> from layerloop import Chain, Dense, softmax
    >>> from layerloop.lab.guards import Site
    >>> app = prediction_app(Chain(Dense(3, 2), softmax), "classes", Site(8484))
    """
    about = model_facts(m, kind)
    api = description(about, ROWS, largest_of(m))
    for network in _networks(m):
        network(
            np.zeros((1, network.architecture.n_in), network.dtype)
        )  # the engine is made now, not by two requests at once
    routes = [
        *page_routes("serve.html", ["style.css", "serve.js"]),
        asked("/healthz", lambda: {"ok": True}),
        asked("/model", lambda: about),
        asked("/openapi.json", lambda: api),
        told("/predict", lambda values: {"predictions": predictions(m, kind, values)}),
    ]
    app = Starlette(routes=routes)
    app.router.redirect_slashes = False
    return Guards(app, site, limits)


def _networks(m: Any) -> tuple[Chain, ...]:
    return (m,) if isinstance(m, Chain) else tuple(getattr(m, "networks_", (m.network_,)))


def model_facts(m: Any, kind: str) -> dict[str, Any]:
    """Return what a network or an estimator takes and answers, as plain data.

    `reads` says of each column of a table what it holds, "number", "text" or "date"; it is empty where all are numbers
    and none may be missing.

    Examples
    --------
    >>> from layerloop import Chain, Dense, softmax
    >>> facts = model_facts(Chain(Dense(3, 2), softmax), "classes")
    >>> facts["inputs"], facts["outputs"], facts["parameters"]
    (3, 2, 8)
    """
    networks = _networks(m)
    first, reads = networks[0], _reads(m)
    text, image = repr(first).partition("  #")[0], first.inputs.image
    many = f"{len(networks)} networks, the first " if len(networks) > 1 else ""
    return {
        "model": text if isinstance(m, Chain) else f"{type(m).__name__}: {many}{text}",
        "predicts": kind,
        "inputs": len(reads) or getattr(m, "n_features_in_", first.architecture.n_in),
        "outputs": first.architecture.n_out,
        "parameters": sum(network.architecture.size for network in networks),
        "columns": list(reads or first.inputs.columns),
        "reads": reads,
        "image": None if image is None else list(image),
        "classes": [str(name) for name in (m.classes if isinstance(m, Chain) else getattr(m, "classes_", ()))],
    }


def _reads(m: Any) -> dict[str, str]:
    """Return the columns of an estimator that reads a table, in order, with what they hold."""
    return {feature.name: feature.reads for feature in m.features_.columns} if hasattr(m, "features_") else {}


def predictions(m: Any, kind: str, values: dict[str, Any]) -> list[dict[str, Any]]:
    """Return an answer for each of the rows of a request.

    Raises
    ------
    InputError
        Rows that are none, are too many, or do not fit the model.

    Examples
    --------
    >>> from layerloop import Chain, Dense
    >>> predictions(Chain(Dense(2, 1)), "values", {"rows": [[0, 0]]})
    [{'prediction': 0.0}]
    """
    unknown = sorted(set(values) - {"rows"})
    if unknown or "rows" not in values:
        got = f"the key {unknown[0]!r}" if unknown else "no rows"
        raise InputError(f'expected {{"rows": [[...], ...]}}, got {got}')
    rows = values["rows"]
    if not isinstance(rows, list) or not 1 <= len(rows) <= ROWS:
        got = f"{len(rows):,} rows" if isinstance(rows, list) else f"a {type(rows).__name__}"
        raise InputError(f"rows is a list of 1 to {ROWS:,} rows, got {got}")
    if isinstance(m, Chain):
        X = matrix(rows, m.inputs.columns, m.architecture.n_in)
        outputs = m(bounded(X, largest_of(m), m.inputs.columns))
        finite = np.isfinite(outputs).all(axis=1)
        if not finite.all():
            raise NonFiniteInputError(f"row {finite.argmin()} has no finite answer: its numbers are too large")
        return [answer_of(m, output, kind) for output in outputs]
    reads = _reads(m)
    return answers_of(m, table(rows, reads) if reads else _numbers(m, rows))


def _numbers(m: Any, rows: list[Any]) -> Frame | NDArray[np.float64]:
    """Return rows of numbers as an estimator takes them: with names where it was fitted with names."""
    names = tuple(map(str, getattr(m, "feature_names_in_", ())))
    found = bounded(matrix(rows, names, m.n_features_in_), largest_of(m), names)
    if not names:
        return found
    return Frame(tuple(Series(name, "number", found[:, j]) for j, name in enumerate(names)), len(found))


def largest_of(m: Any) -> float:
    """Return the largest number that a model takes: a network has its own type, an estimator scales in float64."""
    return float(np.finfo(m.dtype if isinstance(m, Chain) else np.float64).max)


def bounded(X: NDArray[np.float64], largest: float, columns: tuple[str, ...] = ()) -> NDArray[np.float64]:
    """Return the same rows, of which none holds a number that is larger.

    Raises
    ------
    NonFiniteInputError
        With row and column of the first that does.

    Examples
    --------
    >>> bounded(np.array([[1.0, -2.0]]), 2.0)
    array([[ 1., -2.]])
    """
    fits = np.abs(X) <= largest
    if not fits.all():
        i, j = np.argwhere(~fits)[0]
        column = repr(columns[j]) if columns else j
        size = f" and at most {largest:.3g} in size" if largest < LARGEST else ""
        raise NonFiniteInputError(f"row {i}, column {column}: a number must be finite{size}, got {X[i, j]:.3g}")
    return X


def matrix(rows: list[Any], columns: tuple[str, ...], width: int) -> NDArray[np.float64]:
    """Return rows of numbers, lists in order or objects by the names of columns, as (n, width).

    Raises
    ------
    InputError
        With the number of the first row that is neither.

    Examples
    --------
    >>> matrix([{"b": 2, "a": 1}, [3, 4.5]], ("a", "b"), 2)
    array([[1. , 2. ],
           [3. , 4.5]])
    """
    if any(isinstance(row, dict) for row in rows):
        rows = [in_order(row, i, columns) if isinstance(row, dict) else row for i, row in enumerate(rows)]
    for i, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != width:
            got = f"{len(row)} numbers" if isinstance(row, list) else f"a {type(row).__name__}"
            raise InputError(f"row {i} must be a list of {width} numbers, got {got}")
    kinds: set[type] = set().union(*(map(type, row) for row in rows))  # NumPy would take true for a number
    try:
        if kinds <= {int, float}:
            return np.array(rows, np.float64)
    except OverflowError:
        pass
    i, column = next(
        (i, j) for i, row in enumerate(rows) for j, x in enumerate(row) if type(x) not in (int, float) or _huge(x)
    )
    raise InputError(f"row {i}, column {column} must be a number, got {rows[i][column]!r:.40}")


def _huge(x: float) -> bool:
    return isinstance(x, int) and abs(x) > LARGEST
