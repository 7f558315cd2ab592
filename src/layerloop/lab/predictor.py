"""`layerloop serve MODEL`: one model behind JSON, and the page that says how to ask it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from starlette.applications import Starlette

from layerloop.answer import answer_of
from layerloop.errors import InputError
from layerloop.lab.endpoints import asked, told
from layerloop.lab.guards import Guards, Limits
from layerloop.lab.openapi import description
from layerloop.lab.pages import page_routes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from layerloop.lab.guards import Site
    from layerloop.network import Chain

ROWS = 10_000  # of one request


def prediction_app(m: Chain, kind: str, site: Site, limits: Limits | None = None) -> Guards:
    """Return the application that predicts with one network.

        POST /predict      {"rows": [[...], ...]} -> {"predictions": [{"prediction": ..., ...}, ...]}
        GET  /model        what the network takes and answers
        GET  /openapi.json the same for programs;  GET /  for people;  GET /healthz  that it is there

    Parameters
    ----------
    m : Chain
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
    api = description(m, about, ROWS)
    m(np.zeros((1, m.architecture.n_in), m.dtype))  # the engine is made now, not by two requests at once
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


def model_facts(m: Chain, kind: str) -> dict[str, Any]:
    """Return what a network takes and answers, as plain data.

    Examples
    --------
    >>> from layerloop import Chain, Dense, softmax
    >>> facts = model_facts(Chain(Dense(3, 2), softmax), "classes")
    >>> facts["inputs"], facts["outputs"], facts["parameters"]
    (3, 2, 8)
    """
    inputs = m.inputs
    return {
        "model": repr(m).partition("  #")[0],
        "predicts": kind,
        "inputs": m.architecture.n_in,
        "outputs": m.architecture.n_out,
        "parameters": m.architecture.size,
        "columns": list(inputs.columns),
        "image": None if inputs.image is None else list(inputs.image),
        "classes": list(m.classes),
    }


def predictions(m: Chain, kind: str, values: dict[str, Any]) -> list[dict[str, Any]]:
    """Return an answer for each of the rows of a request.

    Raises
    ------
    InputError
        Rows that are none, are too many, or do not fit the network.

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
    outputs = m(matrix(rows, m.inputs.columns, m.architecture.n_in))
    return [answer_of(m, output, kind) for output in outputs]


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
        rows = [_in_order(row, i, columns) if isinstance(row, dict) else row for i, row in enumerate(rows)]
    for i, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != width:
            got = f"{len(row)} numbers" if isinstance(row, list) else f"a {type(row).__name__}"
            raise InputError(f"row {i} must be a list of {width} numbers, got {got}")
    try:
        found = np.array(rows)
    except (ValueError, OverflowError):
        found = np.array(rows, dtype=object)
    if found.dtype.kind not in "fiu" or found.ndim != 2:
        i, column = next(
            (i, j) for i, row in enumerate(rows) for j, x in enumerate(row) if type(x) not in (int, float) or _huge(x)
        )
        raise InputError(f"row {i}, column {column} must be a number, got {rows[i][column]!r:.40}")
    return found.astype(np.float64)


def _huge(x: float) -> bool:
    return isinstance(x, int) and abs(x) >= 1 << 63


def _in_order(row: dict[str, Any], i: int, columns: tuple[str, ...]) -> list[Any]:
    if not columns:
        raise InputError(f"row {i} names columns, but this model was trained without names: send lists of numbers")
    for name in columns:
        if name not in row:
            raise InputError(f"row {i} lacks the column {name!r}")
    return [row[name] for name in columns]
