"""Rows of whatever a model takes: arrays, sparse matrices, data frames of pandas, polars and pyarrow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from layerloop.csr import is_sparse
from layerloop.frames import Frame, is_frame
from layerloop.frames import shuffled as with_column_shuffled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def as_table(X: Any) -> Any:
    """Return rows that have a shape: nested lists become an array."""
    return X if hasattr(X, "shape") else np.array(X)


def take(X: Any, rows: Sequence[int] | NDArray[np.integer]) -> Any:
    """Return some rows, in the form in which all are.

    Examples
    --------
    >>> take(np.eye(3), [2])
    array([[0., 0., 1.]])
    """
    if isinstance(X, Frame) or (is_sparse(X) and not hasattr(X, "tocsr")):
        return X[np.asarray(rows)]
    from sklearn.utils import _safe_indexing

    return _safe_indexing(X.tocsr() if is_sparse(X) else X, np.asarray(rows))


def shuffled(X: Any, j: int, rng: np.random.Generator) -> Any:
    """Return X with the values of column j in another order.

    Examples
    --------
    >>> X = np.arange(20.0).reshape(10, 2)
    >>> found = shuffled(X, 1, np.random.default_rng(0))
    >>> bool((found[:, 0] == X[:, 0]).all()), sorted(found[:, 1]) == sorted(X[:, 1]), bool((found == X).all())
    (True, True, False)
    """
    return with_column_shuffled(X, j, rng.permutation(X.shape[0]))


def cells(X: Any, i: int) -> list[Any]:
    """Return the values of one row.

    Examples
    --------
    >>> cells(np.eye(2), 1)
    [0.0, 1.0]
    """
    row = take(X, [i])
    if isinstance(row, Frame):
        return [series.values.tolist()[0] for series in row.series]
    if is_frame(row):
        import narwhals

        return list(narwhals.from_native(row, eager_only=True).row(0))
    return (row.toarray() if is_sparse(row) else np.asarray(row))[0].tolist()  # type: ignore[no-any-return]
