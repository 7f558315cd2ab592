"""How good an estimator is on rows that it has not seen: every metric over folds, with its standard error."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from layerloop import describe
from layerloop.errors import InputError, ShapeError
from layerloop.estimators.answers import figures_of_estimator
from layerloop.frames import rows_of
from layerloop.metrics import metric_named
from layerloop.settings import whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import ArrayLike, NDArray

    Split = tuple[NDArray[np.intp], NDArray[np.intp]]


@dataclass(frozen=True)
class CrossValidation:
    """The figures of each fold.

    Attributes
    ----------
    folds : tuple of dict
        A metric's value by its name.
    """

    folds: tuple[dict[str, float], ...]

    def summary(self) -> list[dict[str, Any]]:
        """Return `metric`, `mean` and `standard error` (deviation over the folds / sqrt(folds)) of each."""
        rows = []
        for name in self.folds[0]:
            values = np.array([fold[name] for fold in self.folds])
            error = float(values.std(ddof=1) / np.sqrt(len(values)))
            rows.append({"metric": name, "mean": float(values.mean()), "standard error": error})
        return rows

    def as_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {"folds": list(self.folds), "summary": self.summary()}

    def __str__(self) -> str:
        return describe.table(self.summary(), left=("metric",))


def cross_validate(
    estimator: Any,
    X: Any,
    y: ArrayLike,
    *,
    folds: int = 5,
    metrics: Sequence[str] | None = None,
    groups: ArrayLike | None = None,
    seed: int = 0,
    progress: Callable[[int, dict[str, float]], object] | None = None,
    **fit_settings: Any,
) -> CrossValidation:
    """Fit an estimator anew on all folds but one, judge it on that one, and so for each.

    Parameters
    ----------
    estimator : estimator
        Of classes or of values; it stays unfitted.
    X : data frame, array, sparse matrix
    y : (n,)
    folds : int
        Of classes each has its share in every fold.
    metrics : sequence of str, optional
        By default all of `layerloop.metrics` for that kind of target.
    groups : (n,), optional
        Rows of one group, such as a patient, stay in one fold.
    seed : int
        Draws the folds.
    progress : function, optional
        Called with the number of folds done and the figures of the last.
    **fit_settings
        Go to `fit`.

    Raises
    ------
    ShapeError, InputError
        Targets of several columns, or fewer rows than folds.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> found = cross_validate(LogisticRegression(max_iter=500), *load_iris(return_X_y=True), metrics=["accuracy"])
    >>> len(found.folds), found.summary()[0]["mean"] > 0.9
    (5, True)
    """
    from sklearn.base import clone, is_classifier

    targets = np.asarray(y)
    if targets.ndim != 1:
        raise ShapeError(f"y must hold one label or value a row, got shape {targets.shape}")
    kind = "classes" if is_classifier(estimator) else "values"
    wanted = None if metrics is None else [metric_named(name, kind).name for name in metrics]
    found: list[dict[str, float]] = []
    for rows, left_out in _splits(kind, targets, whole(folds, "folds", least=2), groups, seed):
        model = clone(estimator).fit(rows_of(X, rows), targets[rows], **fit_settings)
        figures = figures_of_estimator(model, rows_of(X, left_out), targets[left_out])
        found.append(figures if wanted is None else {name: figures[name] for name in wanted})
        if progress is not None:
            progress(len(found), found[-1])
    return CrossValidation(tuple(found))


def _splits(kind: str, y: NDArray[Any], folds: int, groups: ArrayLike | None, seed: int) -> Iterator[Split]:
    """Return (rows to fit on, rows to judge on) of each fold."""
    from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold

    table = {
        ("classes", False): StratifiedKFold,
        ("classes", True): StratifiedGroupKFold,
        ("values", False): KFold,
        ("values", True): GroupKFold,
    }
    splitter = table[kind, groups is not None](folds, shuffle=True, random_state=seed)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of classes with fewer rows than folds
            yield from splitter.split(np.empty((len(y), 0)), y, groups)
    except ValueError as error:
        raise InputError(f"{len(y)} rows cannot be parted into {folds} folds: {error}") from None
