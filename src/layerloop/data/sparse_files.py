"""Files of sparse rows: `.npz` as SciPy's `save_npz` writes them, and svmlight's text, as scikit-learn reads it."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from layerloop.csr import Csr, as_csr
from layerloop.data.arrays import MOST_BYTES, opened_zip, read_column, read_member
from layerloop.errors import DataFormatError, InputError, NonFiniteInputError, ShapeError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

SVMLIGHT = (".svm", ".svmlight", ".libsvm", ".svm.gz", ".svmlight.gz", ".libsvm.gz")
STORED = ("data", "shape", "format")  # what every matrix has that `save_npz` wrote
LABELS = ("y", "target", "labels")


class SparseRows(NamedTuple):
    """Sparse rows, their targets where there are any, and of svmlight's text the number of its first column."""

    X: Csr
    y: NDArray[np.generic] | None
    first: int | None = None


def is_sparse_npz(path: Path) -> bool:
    """Whether a `.npz` file holds a sparse matrix (only its table of contents is read)."""
    if path.suffix.lower() != ".npz":
        return False
    with opened_zip(path) as archive:
        return {f"{name}.npy" for name in STORED} <= set(archive.namelist())


def is_svmlight(path: Path) -> bool:
    """Whether a name ends as that of svmlight's text.

    Examples
    --------
    >>> from pathlib import Path
    >>> is_svmlight(Path("news20.SVM.gz")), is_svmlight(Path("news20.csv"))
    (True, False)
    """
    return path.name.lower().endswith(SVMLIGHT)


def read_sparse(
    path: Path, target: str | None = None, first: int | None = None, width: int | None = None
) -> SparseRows:
    """Read sparse rows from either kind of file.

    Parameters
    ----------
    path : Path
    target : str, optional
        Of a `.npz` file without an array y: a `.npy` file with an entry for each row.
    first : 0 or 1, optional
        What svmlight's text calls its first column; by default 1, unless a column 0 occurs.
    width : int, optional
        How many columns there are at least: the last ones may not occur in a text.

    Raises
    ------
    DataFormatError
        A damaged file.
    ShapeError
        Not as many targets as rows.
    NonFiniteInputError
        NaN or infinity.
    """
    rows = _read_svmlight(path, target, first, width) if is_svmlight(path) else _read_npz(path, target)
    wrong = np.flatnonzero(~np.isfinite(rows.X.values))
    if len(wrong):
        row, column = rows.X.row_numbers()[wrong[0]], rows.X.columns[wrong[0]]
        raise NonFiniteInputError(
            f"{path} holds {rows.X.values[wrong[0]]} in row {row}, column {column} (both counted from 0)"
        )
    if rows.y is not None and rows.y.shape[0] != len(rows.X):
        raise ShapeError(f"{path} has {len(rows.X):,} rows, but {len(rows.y):,} targets")
    return rows


def _read_npz(path: Path, target: str | None) -> SparseRows:
    """Read a matrix of `save_npz`, and y from it or from a file of its own; never pickle."""
    from scipy.sparse import load_npz

    with opened_zip(path) as archive:
        size = sum(entry.file_size for entry in archive.infolist())
        if size > MOST_BYTES:
            raise DataFormatError(f"{path} unpacks to {size:,} bytes, more than the {MOST_BYTES:,} that are read")
        keys = [key for key in LABELS if f"{key}.npy" in archive.namelist()]
        y = read_member(archive, keys[0], str(path)) if keys and target is None else None
    try:
        X = as_csr(load_npz(path), str(path))
    except (ValueError, TypeError, KeyError, IndexError, OSError, zipfile.BadZipFile) as error:
        raise DataFormatError(f"{path} is no sound sparse matrix: {error}") from None
    return SparseRows(_floats(X), read_column(target) if target is not None else y)


def _read_svmlight(path: Path, target: str | None, first: int | None, width: int | None) -> SparseRows:
    """Read text of lines such as `1 3:0.5 7:1`: the target, then the columns that are not 0."""
    from sklearn.datasets import load_svmlight_file

    if target is not None:
        raise InputError(f"{path}: a line of svmlight's text begins with its target; leave out target={target!r}")
    try:
        X, y = load_svmlight_file(str(path), zero_based=True)
    except (ValueError, OverflowError, OSError, EOFError) as error:
        raise DataFormatError(f"{path} is no sound svmlight text: {error}") from None
    if not X.shape[0]:
        raise DataFormatError(f"{path} has no rows")
    found = _floats(as_csr(X, str(path)))
    lowest = int(found.columns.min(initial=1))
    start = min(lowest, 1) if first is None else first
    if lowest < start:
        raise DataFormatError(f"{path} has a column 0, but columns were counted from 1 where the model was trained")
    wide = max(found.width - start, width or 1)
    return SparseRows(Csr(found.starts, found.columns - np.int32(start), found.values, wide), y, start)


def _floats(X: Csr) -> Csr:
    """Return whole numbers and bytes as floats; float32 and float64 stay."""
    return X if X.dtype.kind == "f" else X.with_values(X.values.astype(np.float32 if X.dtype.itemsize < 4 else float))
