"""What a network looks like at one moment, as plain data: confusion, first-layer weights, decision surface.

Pixels go as base64 of bytes, row after row. Letters: `counts[i][j]` is how many rows of class i are taken for class j.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import numpy as np

from layerloop.decision import likeliest
from layerloop.inspection import kind_of, outcomes
from layerloop.network import class_indices, params

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from layerloop.network import Chain

    Held = tuple[NDArray[np.generic], NDArray[np.generic]]

UNITS = 36  # first-layer rows that are shown
FINE = 64  # pixels of a side of the decision surface
POINTS = 300
MARGIN = 0.08
MOST = 2000  # rows that a picture of the confusion looks at while training goes on


def picture_of_run(m: Chain, held: Held | None, points: Held | None, *, most: int = MOST) -> dict[str, Any]:
    """Return what is drawn of a network while it is trained; a key is None where there is nothing to draw.

    Parameters
    ----------
    m : Chain
    held : (X, y), optional
        Rows that it is not trained on, of which the first `most` are looked at.
    points : (X, y), optional
        The training rows, where they lie in the plane.

    Examples
    --------
    >>> from layerloop import Chain, Dense, softmax
    >>> m = Chain(Dense(2, 2), softmax)
    >>> picture = picture_of_run(m, (np.eye(2), np.array([0, 1])), None)
    >>> sorted(picture), picture["confusion"]["rows"]
    (['confusion', 'points', 'surface', 'weights'], 2)
    """
    classes = kind_of(m) == "classes"
    flat = points is not None and classes and m.architecture.n_in == 2
    return {
        "confusion": confusion(m, *(part[:most] for part in held)) if held and classes else None,
        "weights": first_weights(m) if m.inputs.image else None,
        "surface": surface(m, points[0]) if flat and points else None,
        "points": points_of(m, *points) if flat and points else None,
    }


def confusion(m: Chain, X: NDArray[np.generic], y: NDArray[np.generic]) -> dict[str, Any]:
    """Return how many rows of each class are taken for each.

    Examples
    --------
    >>> from layerloop import Chain, Dense, softmax
    >>> m = Chain(Dense(2, 2), softmax, seed=1)
    >>> confusion(m, np.zeros((3, 2)), np.array([0, 0, 1]))["counts"]
    [[2, 0], [1, 0]]
    """
    n = max(m.architecture.n_out, 2)  # a single yes or no has two classes
    counts = outcomes.confusion(likeliest(m(X)), class_indices(m, y, len(y)), n)
    names = list(m.classes or map(str, range(n)))
    return {"classes": names, "counts": counts.tolist(), "rows": len(y)}


def first_weights(m: Chain) -> dict[str, Any] | None:
    """Return the rows of W_1 as pictures of bytes: 128 is zero, 0 and 255 minus and plus the largest of its row.

    None for a first layer that is no dense one.
    """
    parts = params(m)
    weight = parts.get("layer1.weight")
    if m.inputs.image is None or weight is None or weight.shape[0] != np.prod(m.inputs.image):
        return None
    rows = np.stack([m.inputs.in_plane(unit).ravel() for unit in weight.T[:UNITS].astype(np.float64)])
    largest = np.maximum(np.abs(rows).max(axis=1, keepdims=True), 1e-30)
    units = np.rint(127.5 + 127.5 * rows / largest).astype(np.uint8)
    return {"image": list(m.inputs.image[:2]), "of": weight.shape[1], "units": [text_of(unit) for unit in units]}


def surface(m: Chain, X: NDArray[np.generic], fine: int = FINE) -> dict[str, Any]:
    """Return the largest probability over the plane, and whose it is, row after row from the top.

    Examples
    --------
    >>> from layerloop import Chain, Dense, softmax
    >>> found = surface(Chain(Dense(2, 2), softmax), np.array([[0.0, 0.0], [1.0, 2.0]]), fine=4)
    >>> [round(x, 2) for x in found["box"]], len(base64.b64decode(found["winner"]))
    ([-0.08, 1.08, -0.16, 2.16], 16)
    """
    left, bottom, right, top = box_of(X)
    x, y = np.meshgrid(np.linspace(left, right, fine), np.linspace(top, bottom, fine))
    outputs = m(np.c_[x.ravel(), y.ravel()].astype(np.float32))
    if outputs.shape[1] == 1:  # a single yes or no
        outputs = np.hstack([1 - outputs, outputs])
    sure = np.rint(255 * np.clip(outputs.max(axis=1), 0, 1)).astype(np.uint8)
    winner = outputs.argmax(axis=1).astype(np.uint8)
    return {"side": fine, "box": [left, right, bottom, top], "winner": text_of(winner), "sure": text_of(sure)}


def points_of(m: Chain, X: NDArray[np.generic], y: NDArray[np.generic], most: int = POINTS) -> dict[str, Any]:
    """Return the first points to be drawn over the surface, and the names of their classes."""
    x, up = X[:most].astype(np.float64).round(4).T.tolist()
    return {"x": x, "y": up, "label": y[:most].tolist(), "classes": list(m.classes)}


def box_of(X: NDArray[np.generic]) -> tuple[float, float, float, float]:
    """Return left, bottom, right, top of points, with a margin."""
    low, high = X.astype(np.float64).min(axis=0), X.astype(np.float64).max(axis=0)
    room = MARGIN * (high - low)
    (left, bottom), (right, top) = (low - room).tolist(), (high + room).tolist()
    return left, bottom, right, top


def text_of(values: NDArray[np.uint8]) -> str:
    """Return bytes as base64."""
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode()
