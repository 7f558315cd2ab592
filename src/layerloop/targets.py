"""Targets as an engine takes them, by what a loss wants: classes, shares, values or counts."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from layerloop.errors import InputError, LabelError, ShapeError
from layerloop.finite import all_finite

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray


def check_length(y: NDArray[np.generic], rows: int) -> None:
    """Raise ShapeError unless y has one target per row, of which there must be one: no rows have no mean loss."""
    if rows < 1:
        raise ShapeError("X has no rows; at least one is needed")
    if y.ndim == 0 or len(y) != rows:
        raise ShapeError(f"{rows:,} rows of X want as many targets, got y of shape {y.shape}")


def checked_targets(
    y: NDArray[np.generic], width: int, dtype: str, *, kind: str, rows: int, levels: int = 1
) -> NDArray[np.generic]:
    """Return targets as an engine takes them: int64 class indices (n,), or float rows (n, width).

    Parameters
    ----------
    y : ndarray
        Indices (n,), one-hot or probability rows (n, width), or values: (n,) where width is 1.
    width : int
        Number of outputs.
    dtype : str
        Float type of the rows.
    kind : str
        Row of :data:`TARGETS`: "classes" (indices, or rows that are distributions), "shares" (entries in [0, 1]; class
        indices become one-hot rows), "values", "counts" (from 0 on).
    rows : int
        How many rows there must be.
    levels : int
        Where there are as many quantiles as outputs, one value a row serves all of them.

    Raises
    ------
    ShapeError
        A wrong length or width.
    LabelError
        Indices outside 0 .. width - 1 or not whole, rows that do not sum to 1, shares outside [0, 1], negative counts.
    InputError
        NaN, infinity, or not numbers.
    """
    check_length(y, rows)
    if y.dtype.kind not in "fiub":
        raise LabelError(
            f"y must hold numbers, got dtype {y.dtype}: "
            "turn names into class indices (np.unique(y, return_inverse=True))"
        )
    if y.shape == (rows, 1) and width > 1:
        y = y[:, 0]  # a column of a table
    if y.ndim == 1 and levels == width > 1:
        y = np.repeat(y[:, np.newaxis], width, axis=1)
    return TARGETS[kind](y, width, dtype)


def _rows(y: NDArray[np.generic], width: int, dtype: str) -> NDArray[np.floating]:
    """Return rows (n, width) of finite numbers."""
    if y.ndim == 1 and width == 1:
        y = y[:, np.newaxis]
    if y.shape != (len(y), width):
        hint = "; onehotbatch(y, labels) turns class indices into rows" if y.ndim == 1 else ""
        raise ShapeError(f"the network gives {width} outputs, so y must be ({len(y)}, {width}), got {y.shape}{hint}")
    with np.errstate(over="ignore"):  # too large a number becomes infinity, which is refused
        targets: NDArray[np.floating] = y.astype(dtype)
    if not all_finite(targets):
        raise InputError(f"y holds NaN, infinity or a number too large for {dtype}: remove or fill such rows first")
    return targets


def _classes(y: NDArray[np.generic], width: int, dtype: str) -> NDArray[np.generic]:
    return _indices(y, width) if y.ndim == 1 else _distributions(_rows(y, width, dtype))


def _shares(y: NDArray[np.generic], width: int, dtype: str) -> NDArray[np.generic]:
    """Return rows of shares; class indices (n,) of several outputs become one-hot rows, one class against the rest."""
    if y.ndim == 1 and width > 1:
        return np.eye(width, dtype=dtype)[_indices(y, width)]
    targets = _rows(y, width, dtype)
    wrong = targets[(targets < 0) | (targets > 1)]
    if wrong.size:
        raise LabelError(f"for a binary cross-entropy every entry of y must lie in [0, 1], got {wrong[0]:g}")
    return targets


def _counts(y: NDArray[np.generic], width: int, dtype: str) -> NDArray[np.generic]:
    targets = _rows(y, width, dtype)
    if (targets < 0).any():
        raise LabelError(f"for a Poisson loss y holds counts, from 0 on, got {targets.min():g}")
    return targets


def _indices(y: NDArray[np.generic], width: int) -> NDArray[np.int64]:
    if y.dtype.kind == "f" and not np.array_equal(y, np.floor(y)):
        found = "NaN" if np.isnan(y).any() else f"{y[y != np.floor(y)][0]:g}"
        raise LabelError(f"y must hold whole class indices for a cross-entropy, got {found}; for values use loss=mse")
    low, high = y.min(), y.max()
    if low < 0 or high >= width:
        wrong = low if low < 0 else high
        raise LabelError(f"y holds class {wrong}, but the network has {width} outputs: classes 0 to {width - 1}")
    return y.astype(np.int64)


def _distributions(targets: NDArray[np.floating]) -> NDArray[np.generic]:
    """Check rows of probabilities; rows that are exactly one-hot become indices, the cheap form of the same fact."""
    if (targets < 0).any() or not np.allclose(targets.sum(axis=1), 1, atol=1e-4):
        raise LabelError("for a cross-entropy every row of y must be a distribution: entries >= 0 that sum to 1")
    return targets.argmax(axis=1) if np.isin(targets, (0, 1)).all() else targets


TARGETS: Mapping[str, Callable[[NDArray[np.generic], int, str], NDArray[np.generic]]] = MappingProxyType(
    {"classes": _classes, "shares": _shares, "values": _rows, "counts": _counts}
)
