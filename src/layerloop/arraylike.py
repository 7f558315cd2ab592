"""From what a caller passes as numbers to a NumPy array, or an error that says why it is none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from layerloop.errors import InputError, ShapeError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def as_array(values: Any, what: str) -> NDArray[Any]:
    """Return `values` as an array; `what` is what errors call them.

    Raises
    ------
    InputError
        A sparse matrix: those come with the sparse engine.
    ShapeError
        Rows of different lengths.

    Examples
    --------
    >>> as_array([[1, 2], [3]], "X")
    Traceback (most recent call last):
    layerloop.errors.ShapeError: X must be an array; its rows have different lengths
    """
    if hasattr(values, "toarray") and hasattr(values, "nnz"):
        raise InputError(f"{what} is a sparse matrix, which is not taken yet: pass {what}.toarray()")
    try:
        return np.asarray(values)
    except ValueError:
        raise ShapeError(f"{what} must be an array; its rows have different lengths") from None
