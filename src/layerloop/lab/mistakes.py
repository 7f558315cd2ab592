"""Rows that a network gets wrong, the most confident first; of values, those that are farthest off."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from layerloop.data.pixels import to_bytes
from layerloop.data.shown import as_grey
from layerloop.inspection import kind_of, outcomes
from layerloop.lab.pictures import text_of
from layerloop.network import class_indices
from layerloop.vocabulary import softmax

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from layerloop.network import Chain

MOST = 60


def mistakes(m: Chain, X: NDArray[np.generic], y: NDArray[np.generic], most: int = MOST) -> dict[str, Any]:
    """Return the worst mistakes as the report has them, classes by name, each with its picture or columns.

    Examples
    --------
    >>> from layerloop import Chain, Dense, softmax
    >>> m = Chain(Dense(2, 2), softmax, seed=1)
    >>> found = mistakes(m, np.zeros((3, 2)), np.array([0, 0, 1]))
    >>> found["rows"], found["wrong"], [row["row"] for row in found["mistakes"]]
    (3, 1, [2])
    """
    if kind_of(m) == "values":
        return _of_values(m, X, y, most)
    outputs = m(X)
    if m.architecture.head == "identity":
        outputs = softmax(outputs)
    if outputs.shape[1] == 1:  # a single yes or no
        outputs = np.hstack([1 - outputs, outputs])
    truth = class_indices(m, y, len(y))
    names = m.classes or tuple(map(str, range(outputs.shape[1])))
    rows = outcomes.mistakes(outputs, truth, most)
    found = [{**row, "label": names[row["label"]], "predicted": names[row["predicted"]]} for row in rows]
    wrong = int((outputs.argmax(axis=1) != truth).sum())
    return {"kind": "classes", "rows": len(y), "wrong": wrong, "mistakes": _with_rows(m, X, found)}


def _of_values(m: Chain, X: NDArray[np.generic], y: NDArray[np.generic], most: int) -> dict[str, Any]:
    found = outcomes.farthest(m(X)[:, 0], np.asarray(y, np.float64).reshape(-1), most)
    return {"kind": "values", "rows": len(y), "wrong": len(y), "mistakes": _with_rows(m, X, found)}


def _with_rows(m: Chain, X: NDArray[np.generic], found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return mistakes with what is shown of their rows."""
    return [{**row, **_shown(m, X[row["row"]])} for row in found]


def _shown(m: Chain, row: NDArray[np.generic]) -> dict[str, Any]:
    """Return a row as a picture of bytes, or its first columns."""
    if m.inputs.image is None:
        names = m.inputs.columns or tuple(f"column {i + 1}" for i in range(len(row)))
        return {"columns": {name: float(value) for name, value in zip(names[:8], row[:8].tolist(), strict=True)}}
    scale = 255 * (m.inputs.scale or 1 / 255) if row.dtype == np.uint8 else 255.0
    picture = np.clip(row.astype(np.float64) * scale / 255, 0, 1).reshape(m.inputs.image)
    return {"picture": {"size": list(picture.shape[:2]), "pixels": text_of(to_bytes(as_grey(picture)))}}
