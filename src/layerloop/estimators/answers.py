"""What a fitted estimator says of rows: as columns for a table, and as plain data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from layerloop.errors import LabelError
from layerloop.metrics import all_figures

if TYPE_CHECKING:
    from numpy.typing import NDArray


def columns_of_answers(model: Any, X: Any) -> dict[str, NDArray[Any]]:
    """Return `prediction`, and `probability_...` of each class or, where there are intervals, `lower` and `upper`.

    Where a row may have several labels at once, `prediction` is an object array of lists, those of more than one half.

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
        found = {"prediction": np.asarray(model.predict(X))}
        if getattr(model, "interval_", None) is not None:
            found["lower"], found["upper"] = model.predict_interval(X).T
        return found
    p = model.predict_proba(X)
    shares = {f"probability_{name}": p[:, k] for k, name in enumerate(model.classes_)}
    classes = np.asarray(model.classes_)
    return {"prediction": _of_several(classes, p) if _takes_several(model) else classes[p.argmax(axis=1)], **shares}


def _takes_several(model: Any) -> bool:
    """Whether a row may have several of the classes at once."""
    return getattr(getattr(model, "_label_binarizer", None), "y_type_", "") == "multilabel-indicator"


def _of_several(classes: NDArray[Any], p: NDArray[Any]) -> NDArray[Any]:
    found = np.empty(len(p), object)
    found[:] = [classes[row > 0.5].tolist() for row in p]
    return found


def answers_of(model: Any, X: Any) -> list[dict[str, Any]]:
    """Return a dict a row: `prediction`, and `probability` and `probabilities`, or `lower` and `upper`.

    Where a row may have several labels at once, `prediction` is their list, and there is no `probability` of it.

    Examples
    --------
    >>> from sklearn.dummy import DummyClassifier
    >>> answers_of(DummyClassifier().fit([[0], [0]], ["yes", "yes"]), [[0]])
    [{'prediction': 'yes', 'probability': 1.0, 'probabilities': {'yes': 1.0}}]
    """
    columns = columns_of_answers(model, X)
    rows = zip(*(values.tolist() for values in columns.values()), strict=True)
    if not hasattr(model, "classes_"):
        return [dict(zip(columns, row, strict=True)) for row in rows]
    names = [str(name) for name in model.classes_]
    if _takes_several(model):
        return [{"prediction": some, "probabilities": dict(zip(names, p, strict=True))} for some, *p in rows]
    return [
        {"prediction": chosen, "probability": max(p), "probabilities": dict(zip(names, p, strict=True))}
        for chosen, *p in rows
    ]


def figures_of_estimator(model: Any, X: Any, y: Any) -> dict[str, float]:
    """Return every metric of a fitted estimator on rows with their labels or values.

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
        return all_figures("values", np.asarray(y, np.float64), np.asarray(model.predict(X), np.float64))
    labels = np.asarray(y)
    unknown = np.flatnonzero(~np.isin(labels, model.classes_))
    if len(unknown):
        raise LabelError(f"y, row {unknown[0]}: {labels.tolist()[unknown[0]]!r} is none of the model's classes")
    p = np.asarray(model.predict_proba(X), np.float64)
    return all_figures("classes", np.searchsorted(model.classes_, labels), p)
