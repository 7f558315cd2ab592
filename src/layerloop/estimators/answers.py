"""What a fitted estimator says of rows: as columns for a table, and as plain data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def columns_of_answers(model: Any, X: Any) -> dict[str, NDArray[Any]]:
    """Return `prediction`, and `probability_...` of each class or, where there are intervals, `lower` and `upper`.

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
    return {"prediction": np.asarray(model.classes_)[p.argmax(axis=1)], **shares}


def answers_of(model: Any, X: Any) -> list[dict[str, Any]]:
    """Return a dict a row: `prediction`, and `probability` and `probabilities`, or `lower` and `upper`.

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
    return [
        {"prediction": chosen, "probability": max(p), "probabilities": dict(zip(names, p, strict=True))}
        for chosen, *p in rows
    ]
