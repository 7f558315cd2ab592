"""Sparse rows in their one form, whatever SciPy stored; and every door that takes them, or says why not."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from layerloop import Chain, DataLoader, Dense, Inputs, activations, evaluate, softmax, standardised, train
from layerloop.csr import Csr, as_csr, is_sparse
from layerloop.errors import InputError, NonFiniteInputError, ShapeError

FULL = np.array([[0, 2.0, 0, -1], [0, 0, 0, 0], [3, 0, 0.5, 0], [0, 0, 0, 0], [0, 0, 0, 4]])
M = Chain(Dense(4, 2), softmax)
FORMATS = ("csr", "csc", "coo", "lil", "dok", "bsr", "dia")


def stored(
    values: list[float], columns: list[int], starts: list[int], width: int = 4, kind: Any = sparse.csr_array
) -> Any:
    return kind((np.array(values), np.array(columns), np.array(starts)), shape=(len(starts) - 1, width))


@pytest.mark.parametrize("kind", [sparse.csr_array, sparse.csr_matrix])
@pytest.mark.parametrize("form", FORMATS)
def test_every_format_becomes_the_same_rows(form: str, kind: type) -> None:
    X = as_csr(kind(FULL).asformat(form), "X")
    assert is_sparse(kind(FULL))
    assert (X.starts.dtype, X.columns.dtype, X.dtype) == (np.int64, np.int32, np.float64)
    assert (X.starts.tolist(), X.columns.tolist()) == ([0, 2, 2, 4, 4, 5], [1, 3, 0, 2, 3])
    np.testing.assert_array_equal(X.toarray(), FULL)


def test_unsorted_columns_duplicates_and_stored_zeros_become_the_one_form_and_the_matrix_stays_as_it_is() -> None:
    S = stored([1.0, 5, 2, 0, 1, -1, 7], [3, 0, 3, 1, 2, 2, 0], [0, 4, 4, 7])
    before = (S.data.copy(), S.indices.copy(), S.indptr.copy())
    X = as_csr(S, "X")
    assert (X.starts.tolist(), X.columns.tolist(), X.values.tolist()) == ([0, 2, 2, 3], [0, 3, 0], [5, 3, 7])
    np.testing.assert_array_equal(X.toarray(), S.toarray())
    for array, old in zip((S.data, S.indices, S.indptr), before, strict=True):
        np.testing.assert_array_equal(array, old)


@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize(
    ("given", "kept"),
    [("float32", "float32"), ("float64", "float64"), ("int64", "float64"), ("bool", "float64"), ("uint8", "uint8")],
)
def test_types_of_values_and_indices(given: str, kept: str, index: type) -> None:
    S = sparse.csr_array(np.abs(FULL).astype(given))
    S.indices, S.indptr = S.indices.astype(index), S.indptr.astype(index)
    X = as_csr(S, "X")
    assert X.dtype == kept
    np.testing.assert_array_equal(X.toarray(), np.abs(FULL).astype(given))


@pytest.mark.parametrize(
    "rows", [slice(1, 4), slice(0, 0), slice(None, None, 2), [4, 0, 0], np.array([], int), np.arange(5) > 2]
)
def test_rows_are_taken_as_of_an_array(rows: Any) -> None:
    X = as_csr(sparse.csr_array(FULL), "X")[rows]
    np.testing.assert_array_equal(X.toarray(), FULL[rows])
    assert X.shape == FULL[rows].shape


def test_a_single_row_is_no_sparse_row() -> None:
    with pytest.raises(ShapeError, match="by a slice, row numbers or a mask, not by 1"):
        as_csr(sparse.csr_array(FULL), "X")[1]


def broken(**parts: Any) -> Any:
    S = sparse.csr_array(FULL)
    for name, value in parts.items():
        setattr(S, name, np.array(value))
    return S


@pytest.mark.parametrize(
    ("S", "said"),
    [
        (broken(indices=[1, 3, 0, 2, 4]), "a column number lies outside its 4 columns"),
        (broken(indices=[1, -1, 0, 2, 3]), "a column number lies outside its 4 columns"),
        (broken(indptr=[0, 2, 1, 4, 4, 5]), "its indptr does not fit its 5 rows"),
        (broken(indptr=[0, 2, 2, 4, 4, 6]), "its indptr does not fit its 5 rows"),
        (broken(indptr=[1, 2, 2, 4, 4, 5]), "its indptr does not fit its 5 rows"),
        (sparse.csr_array(FULL * 1j), "must hold real numbers, got dtype complex128"),
    ],
)
def test_a_damaged_matrix_is_refused_before_memory_is_touched(S: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        as_csr(S, "X")


def test_a_sparse_vector_and_too_many_columns_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"two-dimensional, .*this sparse one is \(5,\)"):
        as_csr(sparse.coo_array(FULL[:, 3]), "X")
    with pytest.raises(ShapeError, match="3,000,000,000 columns; sparse rows have at most 2,147,483,647"):
        as_csr(sparse.csr_array((2, 3_000_000_000)), "X")


# -- the doors ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e200])
def test_numbers_that_are_not_finite_are_refused_with_their_place(bad: float) -> None:
    S = sparse.csr_array(FULL.copy())
    S.data[3] = bad
    with pytest.raises(NonFiniteInputError, match="in row 2, column 2"):
        M(S)
    if bad != 1e200:  # which float64 holds, and a network in float32 does not
        with pytest.raises(NonFiniteInputError, match="in row 2, column 2"):
            DataLoader((S, range(5)))


def test_a_wrong_width_and_sparse_targets_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"takes 4 numbers per sample.*got 3 in shape \(5, 3\)"):
        M(sparse.csr_array(FULL[:, :3]))
    with pytest.raises(ShapeError, match="X has 5 rows but y has 2"):
        DataLoader((sparse.csr_array(FULL), [0, 1]))
    with pytest.raises(ShapeError, match="at least one of each"):
        DataLoader(sparse.csr_array((0, 4)))
    with pytest.raises(InputError, match=r"y is a sparse matrix, and only rows of X may be sparse: pass y.toarray"):
        DataLoader((FULL, sparse.csr_array(FULL)))


def test_batches_of_a_loader_stay_sparse() -> None:
    loader = DataLoader((sparse.csr_array(FULL), range(5)), batchsize=2, shuffle=False)
    assert repr(loader) == "DataLoader(5 rows x 4 float64, batchsize=2, 3 batches, shuffle=False)"
    parts = list(loader)
    assert all(isinstance(X, Csr) for X, _ in parts)
    np.testing.assert_array_equal(np.concatenate([X.toarray() for X, _ in parts]), FULL)
    assert evaluate(M, parts[0][0], [0, 1])["loss"] > 0


def test_inputs_may_scale_sparse_columns_but_not_centre_them() -> None:
    S, spread = sparse.csr_array(FULL), (1.0, 2.0, 0.5, 4.0)
    m = Chain(Dense(4, 2), softmax, inputs=Inputs(spread=spread))
    np.testing.assert_allclose(m(S), m(FULL), rtol=1e-6)
    np.testing.assert_allclose(m(S), M(FULL / spread), rtol=1e-6)
    centred = Chain(Dense(4, 2), softmax, inputs=Inputs(center=(0.0, 0.0, 1.0, 0.0), spread=spread))
    with pytest.raises(InputError, match=r"centres its columns.*Inputs\(spread=...\) alone, or pass X.toarray"):
        centred(S)
    with pytest.raises(InputError, match=r"a sparse X is not centred.*Inputs\(spread=...\)"):
        standardised(S)


def test_sparse_bytes_want_a_scale_as_all_bytes_do() -> None:
    S = sparse.csr_array(np.abs(FULL).astype(np.uint8))
    with pytest.raises(InputError, match="raw bytes"):
        M(S)
    with pytest.raises(InputError, match="raw bytes"):
        DataLoader((S, range(5)))
    m = Chain(Dense(4, 2), softmax)
    train(m, DataLoader((S, [0, 1, 0, 1, 0]), scale=0.5))
    np.testing.assert_allclose(m(S), m(S.toarray()), rtol=1e-6)


def test_a_head_alone_takes_sparse_scores() -> None:
    head = M[1:]
    np.testing.assert_allclose(head(sparse.csr_array(FULL[:, :2])), head(FULL[:, :2]), rtol=1e-6)
    assert activations(head, sparse.csr_array(FULL[:, :2]))[0].shape == (5, 2)


def test_the_library_takes_sparse_rows_without_importing_scipy_itself() -> None:
    code = """
import sys
from layerloop.csr import Csr
from layerloop import Chain, DataLoader, Dense, softmax, train
import numpy as np
X = Csr(np.array([0, 1, 2]), np.array([0, 2], np.int32), np.ones(2), 3)
m = Chain(Dense(3, 2), softmax)
train(m, DataLoader((X, [0, 1])), epochs=2)
m(X)
print([name for name in sys.modules if name.startswith("scipy")])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stderr
