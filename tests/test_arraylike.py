"""What is no array is refused by name at every door, not by NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array, csr_matrix

from layerloop import Chain, DataLoader, Dense, softmax, value_and_gradient
from layerloop.arraylike import as_array
from layerloop.errors import InputError, ShapeError

M = Chain(Dense(3, 2), softmax)


def test_arrays_pass_without_a_copy() -> None:
    X = np.eye(3)
    assert as_array(X, "X") is X


@pytest.mark.parametrize("sparse", [csr_array, csr_matrix])
def test_a_sparse_matrix_where_none_can_be_is_told_what_to_do(sparse: type) -> None:
    with pytest.raises(InputError, match=r"y is a sparse matrix, and only rows of X may be sparse: pass y.toarray"):
        value_and_gradient(M, np.eye(3), sparse(np.eye(3)))


@pytest.mark.parametrize("door", [M, lambda X: DataLoader((X, [0, 1]))])
def test_rows_of_different_lengths_are_named(door: object) -> None:
    with pytest.raises(ShapeError, match="rows have different lengths"):
        door([[1.0, 2.0, 3.0], [1.0]])  # type: ignore[operator]
