"""The first layer of the NumPy engine on sparse rows: what it costs follows the entries that are stored.

Letters: X (n, d) sparse rows, W (d, n_out) the weights of layer 1, D (n, n_out) the gradient in its pre-activations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from layerloop.optim.rules import LazyAdam

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from layerloop.csr import Csr
    from layerloop.optim import State

    Batch = NDArray[np.floating]
    Vector = NDArray[np.floating]

MOST_TERMS = 1 << 22  # products that are held at once; a batch with more is taken in parts


def product(X: Csr, W: Batch, out: Batch) -> None:
    """Fill out = X W: row i is the sum of x_ij times row j of W over the entries of row i; an empty row is 0."""
    n = len(X)
    parts = max(1, -(-X.size * W.shape[1] // MOST_TERMS))
    for part in range(parts):
        cut = slice(part * n // parts, (part + 1) * n // parts)
        rows = X[cut]
        filled = np.flatnonzero(np.diff(rows.starts))
        out[cut] = 0
        if len(filled):
            terms = rows.values[:, np.newaxis] * W[rows.columns]
            out[cut][filled] = np.add.reduceat(terms, rows.starts[filled], axis=0)


def fill_columns(X: Csr, D: Batch, dW: Batch) -> None:
    """Fill the rows of dW = X^T D whose columns occur in X; the others are left as they are, and belong at 0."""
    if not X.size:
        return
    order = np.argsort(X.columns, kind="stable")
    columns = X.columns[order]
    begins = np.flatnonzero(np.concatenate([[True], np.diff(columns) != 0]))
    rows, values = X.row_numbers()[order], X.values[order]
    parts = max(1, -(-X.size * D.shape[1] // MOST_TERMS))
    for part in range(parts):
        some = begins[part * len(begins) // parts : (part + 1) * len(begins) // parts]
        if not len(some):
            continue
        after = begins[(part + 1) * len(begins) // parts :]
        cut = slice(some[0], after[0] if len(after) else len(columns))
        terms = values[cut, np.newaxis] * D[rows[cut]]
        dW[columns[some]] = np.add.reduceat(terms, some - some[0], axis=0)


def is_lazy(state: State, table: tuple[int, ...]) -> bool:
    """Whether the rule leaves alone rows of the first layer, whose weights are a table of this shape (d, n_out)."""
    return isinstance(state.rule, LazyAdam) and state.rows == table


def step(w: Vector, gradient: Vector, state: State, X: Csr, dW: Batch) -> None:
    """One step along the gradient of sparse rows; dW, its part for the first layer, is 0 again afterwards."""
    columns = np.unique(X.columns)
    if isinstance(state.rule, LazyAdam) and is_lazy(state, dW.shape):
        state.rule.step_rows(w, gradient, state, columns)
    else:
        state.rule.step(w, gradient, state)
    dW[columns] = 0
