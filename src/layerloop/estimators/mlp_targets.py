"""Rows and targets as the two estimators take them: scikit-learn's checks, and the place of what is refused."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import column_or_1d
from sklearn.utils.class_weight import compute_class_weight, compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets, unique_labels
from sklearn.utils.validation import _check_sample_weight, validate_data

from layerloop.errors import InputError, LabelError, NonFiniteInputError
from layerloop.frames import Frame, as_kind

if TYPE_CHECKING:
    from numpy.typing import NDArray

FLOATS = (np.float64, np.float32)
SPARSE = ("csr", "csc")


def rows_of(est: Any, X: Any) -> Any:
    """Return rows to predict for, checked against those of the fit."""
    if isinstance(X, Frame):
        X, est = numbers_of(est, X), copy.copy(est)
        est.__dict__.pop("feature_names_in_", None)  # these columns were chosen by their names already
    try:
        return validate_data(est, X, accept_sparse=SPARSE, dtype=FLOATS, reset=False)
    except ValueError as error:
        raise _placed(error, X, None) from None


def numbers_of(est: Any, frame: Frame) -> NDArray[np.float64]:
    """Return the columns of a table that the fit knew by name, or all of them where it knew none, as (n, d).

    Raises
    ------
    InputError
        A column is missing, or holds what is no number.
    """
    names = getattr(est, "feature_names_in_", frame.names)
    columns = [as_kind(frame.column(str(name)), "number").values for name in names]
    return np.column_stack(columns) if columns else np.empty((len(frame), 0))


def rows_and_targets(est: Any, X: Any, y: Any, *, reset: bool, numeric: bool) -> tuple[Any, Any]:
    """Return rows and targets to fit, checked by scikit-learn's rules; a column of targets becomes (n,)."""
    try:
        X_checked, y_checked = validate_data(
            est,
            X,
            y,
            accept_sparse=SPARSE,
            multi_output=True,
            y_numeric=numeric,
            dtype=FLOATS,
            reset=reset,
        )
    except ValueError as error:
        raise _placed(error, X, y) from None
    if y_checked.ndim == 2 and y_checked.shape[1] == 1:
        y_checked = column_or_1d(y_checked, warn=True)
    return X_checked, y_checked


def weights_of(sample_weight: Any, X: Any) -> NDArray[np.floating] | None:
    """Return the weights of rows, none negative and one of them above 0; None where there are none.

    Raises
    ------
    InputError
        With the row of the first weight that cannot be.
    """
    if sample_weight is None:
        return None
    try:
        found = _check_sample_weight(sample_weight, X, ensure_non_negative=True)
    except ValueError as error:
        values = np.asarray(sample_weight)
        wrong: Any = np.flatnonzero(~(values >= 0) | ~np.isfinite(values)) if values.dtype.kind in "fiu" else ()
        place = f"; the first is {values[wrong[0]]:g} in row {wrong[0]}" if len(wrong) and values.ndim == 1 else ""
        raise InputError(f"{error}{place}") from None
    return np.asarray(found)


def weights_by_class(given: Any, y: NDArray[Any], classes: NDArray[Any], weights: Any) -> NDArray[np.float64]:
    """Return the weight that each row has by its class; "balanced" counts rows by their weights."""
    if y.ndim == 2 or given != "balanced":
        return np.asarray(compute_sample_weight(given, y), np.float64)
    there = np.intersect1d(classes, y) if weights is None else np.intersect1d(classes, y[weights > 0])
    balanced = np.zeros(len(classes))
    place = np.searchsorted(classes, there)
    balanced[place] = compute_class_weight("balanced", classes=there, y=y, sample_weight=weights)
    return balanced[np.searchsorted(classes, y)]


def _placed(error: ValueError, X: Any, y: Any) -> ValueError:
    """Return an error of scikit-learn's as ours, with row and column of the number at fault where it is one."""
    text = str(error)
    if not any(word in text for word in ("NaN", "infinity", "too large")):
        return InputError(text)
    values, what = (y, "y") if "Input y" in text else (X, "X")
    place = first_bad(values)
    if place is None:
        return InputError(text)
    row, column, value = place
    named = getattr(values, "columns", None)
    name = f" ({str(named[column])!r})" if column is not None and named is not None else ""
    where = f"row {row}" + ("" if column is None else f", column {column}{name}")
    return NonFiniteInputError(f"{text}\nThe first in {what} is {value} in {where}, counted from 0.")


def first_bad(values: Any) -> tuple[int, int | None, object] | None:
    """Return row, column (None in a vector) and value of the first NaN or infinity, or None where none is found."""
    if hasattr(values, "tocsr"):
        entries = values.tocoo()
        at = np.flatnonzero(~np.isfinite(entries.data))
        return (int(entries.row[at[0]]), int(entries.col[at[0]]), entries.data[at[0]]) if len(at) else None
    try:
        numbers = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        return None
    bad = np.argwhere(~np.isfinite(numbers))
    if not len(bad) or numbers.ndim > 2:
        return None
    row, *rest = bad[0].tolist()
    return row, rest[0] if rest else None, numbers[tuple(bad[0])]


def binarizer_of(y: Any) -> LabelBinarizer:
    """Return scikit-learn's binarizer of these labels; `y_type_` says which kind they are."""
    check_classification_targets(y)
    return LabelBinarizer().fit(y)


def kind_of(binarizer: LabelBinarizer) -> str:
    """Return "binary", "multiclass" or "multilabel"."""
    return {"multiclass": "multiclass", "multilabel-indicator": "multilabel"}.get(binarizer.y_type_, "binary")


def encoded(y: Any, binarizer: LabelBinarizer) -> NDArray[Any]:
    """Return class indices (n,) of several classes, or yes and no (n, 1), (n, K)."""
    kind, classes = kind_of(binarizer), binarizer.classes_
    if kind == "multilabel":
        return np.asarray(binarizer.transform(y)).astype(bool)
    index = np.searchsorted(classes, y)
    codes: NDArray[Any] = index.astype(np.int64) if kind == "multiclass" else (index > 0)[:, np.newaxis]
    return codes


def refuse_unknown(y: Any, classes: NDArray[Any], kind: str) -> None:
    """Raise LabelError with the row of the first label that is none of the classes."""
    if kind == "multilabel":
        return
    unknown = np.flatnonzero(~np.isin(y, classes))
    if len(unknown):
        row = unknown[0]
        raise LabelError(
            f"`y` has classes not in `self.classes_`. `self.classes_` has {classes}. 'y' has {unique_labels(y)}; the "
            f"first unknown one is {y[row]!r} in row {row}"
        )
