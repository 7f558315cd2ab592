"""Weights of rows: given one by one, or by the class of each row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from layerloop.errors import InputError, LabelError, SettingError, ShapeError, did_you_mean

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

ClassWeight: TypeAlias = "str | Mapping[Any, float] | Sequence[float]"


def checked_weights(weights: ArrayLike, rows: int) -> NDArray[np.float64]:
    """Return weights of rows as float64 (n,), as they are given.

    Raises
    ------
    ShapeError
        Not one for each row.
    InputError
        Not numbers, negative ones, NaN or infinity, or none above 0.

    Examples
    --------
    >>> checked_weights([1, -1], 2)
    Traceback (most recent call last):
    layerloop.errors.InputError: weights must be finite and not negative, got -1
    """
    found = np.asarray(weights)
    if found.shape != (rows,):
        raise ShapeError(f"{rows:,} rows want as many weights, got weights of shape {found.shape}")
    if found.dtype.kind not in "fiub":
        raise InputError(f"weights must be numbers, got dtype {found.dtype}")
    wrong = found[~(np.isfinite(found) & (found >= 0))]
    if wrong.size:
        raise InputError(f"weights must be finite and not negative, got {wrong[0]:g}")
    if not found.any():
        raise InputError("every weight is 0: no row would count")
    return found.astype(np.float64)


def normalised(weights: ArrayLike, rows: int) -> NDArray[np.float64]:
    """Return weights divided by their mean, so that those of a whole data set have the mean 1.

    Examples
    --------
    >>> normalised([1, 3], 2)
    array([0.5, 1.5])
    """
    found = checked_weights(weights, rows)
    found /= found.max()  # so that no sum overflows
    return np.asarray(found / found.mean())


def class_weights(y: NDArray[np.generic], given: ClassWeight) -> NDArray[np.float64]:
    """Return the weight of each row by its class.

    Parameters
    ----------
    y : ndarray
        Labels (n,) or (n, 1), whole numbers or names; or one-hot rows (n, K), whose class is the place of the 1.
    given : "balanced", {label: weight}, or a sequence with one weight for each class index
        "balanced" gives every class the same total; a label that the mapping does not name has the weight 1.

    Raises
    ------
    LabelError
        Targets that are no classes, or a label that does not occur.
    SettingError
        Something else than the three forms.

    Examples
    --------
    >>> class_weights(np.array([0, 0, 0, 1]), "balanced")
    array([0.66666667, 0.66666667, 0.66666667, 2.        ])
    >>> class_weights(np.array(["a", "b"]), {"b": 3.0})
    array([1., 3.])
    """
    labels, index, counts = np.unique(_labels(y), return_inverse=True, return_counts=True)
    if isinstance(given, str):
        if given != "balanced":
            raise SettingError(f"class_weight must be 'balanced', a mapping or a sequence, got {given!r}")
        return np.asarray(len(index) / (len(labels) * counts))[index]
    names = labels.tolist()
    table = given if isinstance(given, Mapping) else _by_index(given, names)
    unknown = [label for label in table if label not in names]
    if unknown and isinstance(given, Mapping):
        raise LabelError(
            f"class_weight names {unknown[0]!r}, which is no label of y.{did_you_mean(unknown[0], map(str, names))}"
        )
    return np.array([float(table.get(name, 1.0)) for name in names])[index]


def _labels(y: NDArray[np.generic]) -> NDArray[np.generic]:
    """Return one label for each row."""
    if y.ndim == 2 and y.shape[1] > 1:
        if y.dtype.kind not in "fiub" or not (np.isin(y, (0, 1)).all() and (y.sum(axis=1) == 1).all()):
            raise LabelError("class_weight wants one class a row: indices, names or one-hot rows; else give weights=")
        return np.asarray(y.argmax(axis=1))
    labels = y.reshape(len(y))
    if labels.dtype.kind == "f" and not np.array_equal(labels, np.floor(labels)):
        raise LabelError("class_weight wants classes, but y holds values that are not whole: give weights= instead")
    return labels.astype(np.int64) if labels.dtype.kind == "f" else labels


def _by_index(given: object, names: Sequence[object]) -> Mapping[object, float]:
    """Return a sequence as weights by class index, for the whole numbers that y holds."""
    values = np.asarray(given)
    if values.ndim != 1 or values.dtype.kind not in "fiub":
        raise SettingError(f"class_weight must be 'balanced', a mapping or a sequence, got {given!r}")
    outside = [name for name in names if not isinstance(name, int) or not 0 <= name < len(values)]
    if outside:
        raise LabelError(
            f"class_weight has {len(values)} entries, for the classes 0 to {len(values) - 1}; y holds {outside[0]!r}"
        )
    return dict(enumerate(values.tolist()))
