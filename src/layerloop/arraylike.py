"""From what a caller passes as numbers to a NumPy array, or an error that says why it is none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from layerloop.csr import Csr, SparseMatrix, as_csr, is_sparse
from layerloop.errors import InputError, ShapeError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

# What X may be: an array or nested sequences, or sparse rows.
Samples: TypeAlias = "ArrayLike | Csr | SparseMatrix"


def as_array(values: Any, what: str) -> NDArray[Any]:
    """Return `values` as an array; `what` is what errors call them.

    Raises
    ------
    InputError
        A sparse matrix, which only X may be.
    ShapeError
        Rows of different lengths.

    Examples
    --------
    >>> as_array([[1, 2], [3]], "X")
    Traceback (most recent call last):
    layerloop.errors.ShapeError: X must be an array; its rows have different lengths
    """
    if is_sparse(values):
        raise InputError(f"{what} is a sparse matrix, and only rows of X may be sparse: pass {what}.toarray()")
    try:
        return np.asarray(values)
    except ValueError:
        raise ShapeError(f"{what} must be an array; its rows have different lengths") from None


def as_samples(values: Any, what: str) -> NDArray[Any] | Csr:
    """Return rows as an array, or as sparse rows where they came as a sparse matrix."""
    return as_csr(values, what) if is_sparse(values) else as_array(values, what)
