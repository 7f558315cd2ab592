"""One record for data that were read, whatever they were read from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from layerloop.csr import Csr
from layerloop.errors import NonFiniteInputError
from layerloop.finite import all_finite

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Dataset:
    """Data as they were read, before any scaling.

    Attributes
    ----------
    name : str
        The set's name, or the file's path.
    X : (n, d) array, or Csr
        Raw: uint8 for pictures, float32 or float64 for all else.
    y : (n,) array, or (n, k)
        int64 class indices, or float64 values; of several targets int64 labels, each 0 or 1, or values.
    kind : "classes", "labels" or "values"
    classes : tuple of str
        The name of every class index or label; empty for values.
    scale : float or None
        What one unit of a uint8 X is worth.
    image : (h, w), (h, w, 3) or None
        The shape of a row, when rows are pictures.
    box : int or None
        The length in pixels of the ink's longer side in these pictures (see `prepare_image`).
    columns : tuple of str
        The names of a table's feature columns.
    target : str or None
        The name or number of the target column.
    guessed : bool
        Whether `target` was taken from the header instead of being stated.
    fit : "stretch" or None
        How a picture of another size is brought to `image`: whole (see `prepare_photo`), or by its ink.
    first_column : int or None
        What svmlight's text calls its first column, 0 or 1.
    """

    name: str
    X: NDArray[np.generic] | Csr
    y: NDArray[np.generic]
    kind: str
    classes: tuple[str, ...] = ()
    scale: float | None = None
    image: tuple[int, ...] | None = None
    box: int | None = None
    columns: tuple[str, ...] = ()
    target: str | None = None
    guessed: bool = False
    fit: str | None = None
    first_column: int | None = None


def scaled(data: Dataset) -> NDArray[np.float32] | Csr:
    """Return the rows as float32, pictures in units of their scale."""
    if isinstance(data.X, Csr):
        return data.X
    if data.scale is not None:
        rows: NDArray[np.float32] = np.multiply(data.X, np.float32(data.scale), dtype=np.float32)
        return rows
    with np.errstate(over="ignore"):
        X = data.X.astype(np.float32, copy=False)
    if not all_finite(X):
        row, column = (int(i) for i in np.argwhere(~np.isfinite(X))[0])
        named = repr(data.columns[column]) if data.columns else str(column)
        raise NonFiniteInputError(
            f"{data.name}: {data.X[row, column]!s} in row {row}, column {named} is beyond float32: rescale it"
        )
    return X
