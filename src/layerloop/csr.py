"""Sparse rows: what is stored of a matrix that is mostly zeros, without SciPy, which whoever has one has loaded."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from layerloop.errors import InputError, ShapeError

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_COLUMNS = 2**31 - 1  # column numbers are kept in 32 bits: half the memory of the usual 64


@dataclass(frozen=True, eq=False)
class Csr:
    """Rows in compressed form, in one way only: columns ascend within a row, none twice, and no zero is stored.

    Row i has `values[starts[i]:starts[i + 1]]` in `columns[starts[i]:starts[i + 1]]`; everything else in it is 0.
    What is computed from it is thereby a function of the numbers, not of how they came to be stored.

    Attributes
    ----------
    starts : ndarray (n + 1,) of int64
    columns : ndarray (nnz,) of int32
    values : ndarray (nnz,)
    width : int
        Number of columns.

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> X = as_csr(csr_array([[0.0, 2.0, 0.0], [0.0, 0.0, 0.0], [1.0, 0.0, 3.0]]), "X")
    >>> X.shape, X.starts.tolist(), X.columns.tolist(), X[[2]].toarray().tolist()
    ((3, 3), [0, 1, 1, 3], [1, 0, 2], [[1.0, 0.0, 3.0]])
    """

    starts: NDArray[np.int64]
    columns: NDArray[np.int32]
    values: NDArray[Any]
    width: int

    ndim = 2

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return len(self), self.width

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the values."""
        return self.values.dtype

    @property
    def size(self) -> int:
        """The number of entries that are stored."""
        return len(self.values)

    @cached_property
    def occurring(self) -> NDArray[np.intp]:
        """The columns with an entry in any row, ascending."""
        occurs = np.zeros(self.width, bool)
        occurs[self.columns] = True
        return np.flatnonzero(occurs)

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, rows: Any) -> Csr:
        """Return the rows of a slice, of row numbers or of a mask, in that order."""
        index = np.arange(len(self))[rows]
        if index.ndim != 1:
            raise ShapeError(f"sparse rows are taken by a slice, row numbers or a mask, not by {rows!r}")
        if isinstance(rows, slice) and index.size and rows.step in (None, 1):
            starts = self.starts[index[0] : index[-1] + 2]
            part = slice(starts[0], starts[-1])
            return Csr(starts - starts[0], self.columns[part], self.values[part], self.width)
        counts = np.diff(self.starts)[index]
        starts = np.concatenate([[0], np.cumsum(counts)])
        at = np.repeat(self.starts[index] - starts[:-1], counts) + np.arange(starts[-1])
        return Csr(starts, self.columns[at], self.values[at], self.width)

    def __abs__(self) -> Csr:
        return self.with_values(np.abs(self.values))

    def max(self) -> Any:
        """Return the largest entry, those that are not stored counting as 0."""
        return self.values.max(initial=0)

    def row_numbers(self) -> NDArray[np.intp]:
        """Return the row of each entry."""
        return np.repeat(np.arange(len(self)), np.diff(self.starts))

    def with_values(self, values: NDArray[Any]) -> Csr:
        """Return the same places with other values."""
        return Csr(self.starts, self.columns, values, self.width)

    def to_scipy(self) -> Any:
        """Return the rows as SciPy's `csr_array`, which scikit-learn's and this library's estimators take."""
        from scipy.sparse import csr_array

        return csr_array((self.values, self.columns, self.starts), shape=self.shape)

    def toarray(self) -> NDArray[Any]:
        """Return the rows with their zeros, (n, width)."""
        full = np.zeros(self.shape, self.dtype)
        full[self.row_numbers(), self.columns] = self.values
        return full


class SparseMatrix(Protocol):
    """A sparse matrix or array of SciPy, in any of its formats."""

    def tocsr(self) -> Any:
        """Return it in compressed rows."""
        ...


def is_sparse(values: object) -> bool:
    """Whether this is a sparse matrix or array, of SciPy in any of its formats or of this library."""
    return isinstance(values, Csr) or (hasattr(values, "tocsr") and hasattr(values, "nnz"))


def as_csr(matrix: Any, what: str) -> Csr:
    """Return a sparse matrix or array of any format in the one form; duplicates are summed, as everywhere.

    Values of float32, float64 and uint8 keep their type, other numbers become float64; the matrix is left as it is.

    Raises
    ------
    ShapeError
        Not two-dimensional, or more columns than 32 bits count.
    InputError
        Not real numbers, or a damaged matrix: indices that lead outside.
    """
    if isinstance(matrix, Csr):
        return matrix
    if len(matrix.shape) != 2:
        raise ShapeError(f"{what} must be two-dimensional, (n_samples, n_features); this sparse one is {matrix.shape}")
    if matrix.shape[1] > MOST_COLUMNS:
        raise ShapeError(f"{what} has {matrix.shape[1]:,} columns; sparse rows have at most {MOST_COLUMNS:,}")
    if matrix.dtype.kind not in "fiub":
        raise InputError(f"{what} must hold real numbers, got dtype {matrix.dtype}")
    rows = matrix.tocsr()
    starts, columns = np.asarray(rows.indptr, np.int64), np.asarray(rows.indices)
    _check_places(starts, columns, rows.shape, len(rows.data), what)
    kept = rows.data.dtype.name in ("float32", "float64", "uint8")
    values = rows.data if kept else rows.data.astype(np.float64)
    found = Csr(starts, columns[: starts[-1]].astype(np.int32, copy=False), values[: starts[-1]], rows.shape[1])
    return found if _is_canonical(found) else _canonical(found)


def _check_places(
    starts: NDArray[np.int64], columns: NDArray[Any], shape: tuple[int, int], stored: int, what: str
) -> None:
    """Raise InputError where an index leads outside."""
    ordered = starts.shape == (shape[0] + 1,) and starts[0] == 0 and not (np.diff(starts) < 0).any()
    if not ordered or starts[-1] > min(len(columns), stored):
        raise InputError(f"{what} is a damaged sparse matrix: its indptr does not fit its {shape[0]:,} rows")
    if starts[-1] and not 0 <= columns[: starts[-1]].min() <= columns[: starts[-1]].max() < shape[1]:
        raise InputError(f"{what} is a damaged sparse matrix: a column number lies outside its {shape[1]:,} columns")


def _is_canonical(X: Csr) -> bool:
    ascends = np.diff(X.columns) > 0
    borders = X.starts[1:-1]
    ascends[borders[(borders > 0) & (borders < X.size)] - 1] = True
    return bool(ascends.all() and (X.values != 0).all())


def _canonical(X: Csr) -> Csr:
    """Return the rows with their columns sorted, duplicates summed, zeros gone."""
    rows = X.row_numbers()
    order = np.lexsort((X.columns, rows))
    rows, columns, values = rows[order], X.columns[order], X.values[order]
    first = np.flatnonzero(np.concatenate([[True], (np.diff(rows) != 0) | (np.diff(columns) != 0)]))
    with np.errstate(over="ignore"):  # a sum too large for the type is infinite, and refused later
        values = np.add.reduceat(values, first)
    kept = values != 0
    counts = np.bincount(rows[first][kept], minlength=len(X))
    return Csr(np.concatenate([[0], np.cumsum(counts)]), columns[first][kept], values[kept], X.width)
