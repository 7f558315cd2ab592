"""What a fitted estimator says of rows: as columns for a table, and as plain data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from layerloop.decision import says_yes
from layerloop.errors import LabelError, ShapeError
from layerloop.metrics import all_figures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def kind_of_estimator(model: Any) -> str:
    """Return whether an estimator predicts "classes", "labels" (any number of them at once) or "values"."""
    if not hasattr(model, "classes_"):
        return "values"
    several = getattr(getattr(model, "_label_binarizer", None), "y_type_", "") == "multilabel-indicator"
    return "labels" if several else "classes"


def columns_of_answers(model: Any, X: Any) -> dict[str, NDArray[Any]]:
    """Return `prediction`, and `probability_...` of each class or, where there are intervals, `lower` and `upper`.

    Of several labels at once, or several values, there is a `prediction_...` for each; that of a label is 0 or 1.

    Parameters
    ----------
    model : fitted estimator
        One with `classes_` and `predict_proba`, or one of values.
    X : rows as it takes them

    Examples
    --------
    >>> from sklearn.dummy import DummyRegressor
    >>> columns_of_answers(DummyRegressor().fit([[0], [0]], [1.0, 3.0]), [[0]])
    {'prediction': array([2.])}
    """
    if not hasattr(model, "classes_"):
        predicted = np.asarray(model.predict(X))
        found = by_output(predicted) if predicted.ndim > 1 else {"prediction": predicted}
        if getattr(model, "interval_", None) is not None:
            found["lower"], found["upper"] = model.predict_interval(X).T
        return found
    p = model.predict_proba(X)
    classes = np.asarray(model.classes_)
    shares = {f"probability_{name}": p[:, k] for k, name in enumerate(classes)}
    if kind_of_estimator(model) == "labels":
        return by_output(says_yes(p).astype(int), classes.tolist()) | shares
    return {"prediction": classes[p.argmax(axis=1)], **shares}


def by_output(predicted: NDArray[Any], names: Sequence[Any] = ()) -> dict[str, NDArray[Any]]:
    """Return a column for each output (n, k), under its name or number.

    Examples
    --------
    >>> list(by_output(np.zeros((2, 2)))), list(by_output(np.zeros((2, 2)), ("low", "high")))
    (['prediction_0', 'prediction_1'], ['prediction_low', 'prediction_high'])
    """
    return {f"prediction_{name}": predicted[:, k] for k, name in enumerate(names or range(predicted.shape[1]))}


def answers_of(model: Any, X: Any) -> list[dict[str, Any]]:
    """Return a dict a row: `prediction`, and `probability` and `probabilities`, or `lower` and `upper`.

    Where a row may have several labels at once, `prediction` is their list, and there is no `probability` of it.

    Examples
    --------
    >>> from sklearn.dummy import DummyClassifier
    >>> answers_of(DummyClassifier().fit([[0], [0]], ["yes", "yes"]), [[0]])
    [{'prediction': 'yes', 'probability': 1.0, 'probabilities': {'yes': 1.0}}]
    """
    if not hasattr(model, "classes_"):
        found = {"prediction": np.asarray(model.predict(X))}
        if getattr(model, "interval_", None) is not None:
            found["lower"], found["upper"] = model.predict_interval(X).T
        rows = zip(*(values.tolist() for values in found.values()), strict=True)
        return [dict(zip(found, row, strict=True)) for row in rows]
    classes, shares = model.classes_.tolist(), np.asarray(model.predict_proba(X)).tolist()
    named = [dict(zip(map(str, classes), p, strict=True)) for p in shares]
    if kind_of_estimator(model) == "labels":
        several = ([name for name, share in zip(classes, p, strict=True) if says_yes(share)] for p in shares)
        return [{"prediction": some, "probabilities": of} for some, of in zip(several, named, strict=True)]
    likeliest = (classes[p.index(max(p))] for p in shares)
    return [
        {"prediction": one, "probability": max(p), "probabilities": of}
        for one, p, of in zip(likeliest, shares, named, strict=True)
    ]


def figures_of_estimator(model: Any, X: Any, y: Any) -> dict[str, float]:
    """Return every metric of a fitted estimator on rows with their classes, labels (n, k) or values.

    Of several values a row, each metric is the mean over them.

    Raises
    ------
    LabelError
        A label that is none of the model's classes.

    Examples
    --------
    >>> from sklearn.dummy import DummyRegressor
    >>> figures_of_estimator(DummyRegressor().fit([[0], [0]], [1.0, 3.0]), [[0], [0]], [1.0, 3.0])["mae"]
    1.0
    """
    if not hasattr(model, "classes_"):
        return _of_values(np.asarray(y, np.float64), np.asarray(model.predict(X), np.float64))
    labels = np.asarray(y)
    if kind_of_estimator(model) == "labels":
        return all_figures("labels", labels, np.asarray(model.predict_proba(X), np.float64))
    unknown = np.flatnonzero(~np.isin(labels, model.classes_))
    if len(unknown):
        raise LabelError(f"y, row {unknown[0]}: {labels.tolist()[unknown[0]]!r} is none of the model's classes")
    p = np.asarray(model.predict_proba(X), np.float64)
    return all_figures("classes", np.searchsorted(model.classes_, labels), p)


def _of_values(y: NDArray[np.float64], predicted: NDArray[np.float64]) -> dict[str, float]:
    """Return every metric of values, of which a row has as many as the model gives."""
    if y.shape != predicted.shape:
        raise ShapeError(f"the model gives predictions of shape {predicted.shape}, but y has {y.shape}")
    return all_figures("values", y, predicted)
