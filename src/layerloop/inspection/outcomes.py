"""What a model's answers are worth, row by row and class by class: confusion, calibration, mistakes, residuals.

Letters: P (n, K) probabilities, y (n,) class indices; for values, predicted and true (n,). All returns are plain data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from layerloop.inspection.intervals import Figure, bootstrapped, share

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.floating]
    Indices = NDArray[np.integer]

BINS = 15
LEAST = np.finfo(np.float64).tiny  # a probability of 0 is taken as this, so that a mean loss stays finite


def class_figures(P: Floats, y: Indices, seed: int = 0) -> list[Figure]:
    """Return accuracy, cross-entropy, Brier score, calibration error and, of two classes, the area under the ROC curve.

    Examples
    --------
    >>> P = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    >>> [(figure.name, round(figure.value, 3)) for figure in class_figures(P, np.array([0, 1, 1]))][:2]
    [('accuracy', 0.667), ('cross-entropy', 0.415)]
    """
    own = P[np.arange(len(y)), y].astype(np.float64)
    brier = np.square(P.astype(np.float64)).sum(axis=1) - 2 * own + 1
    found = [
        share("accuracy", int((P.argmax(axis=1) == y).sum()), len(y)),
        bootstrapped("cross-entropy", np.mean, [-np.log(np.maximum(own, LEAST))], seed),
        bootstrapped("Brier score", np.mean, [brier], seed),
    ]
    if P.shape[1] == 2 and 0 < y.sum() < len(y):
        found.append(_auc(P[:, 1], y))
    error = calibration(P, y)["ece"]
    return [*found, Figure("expected calibration error", error, np.nan, np.nan, f"{BINS} bins of equal width")]


def _auc(score: Floats, y: Indices) -> Figure:
    """Return the area under the ROC curve: the share of pairs that the score has in order; ties count half."""
    from scipy.stats import rankdata

    positive = int(y.sum())
    ranks = float(rankdata(score)[y == 1].sum())
    area = (ranks - positive * (positive + 1) / 2) / (positive * (len(y) - positive))
    return Figure("area under the ROC curve", area, np.nan, np.nan, "of the second class")


def value_figures(predicted: Floats, true: Floats, seed: int = 0) -> list[Figure]:
    """Return R2, the root of the mean squared error, and the mean absolute error, each with its interval.

    Examples
    --------
    >>> found = value_figures(np.array([1.0, 2.0, 4.0]), np.array([1.0, 2.0, 3.0]))
    >>> [(figure.name, round(figure.value, 3)) for figure in found]
    [('R2', 0.5), ('root mean squared error', 0.577), ('mean absolute error', 0.333)]
    """
    errors = (predicted - true).astype(np.float64)
    return [
        bootstrapped("R2", r2, [predicted.astype(np.float64), true.astype(np.float64)], seed),
        bootstrapped("root mean squared error", root_mean_square, [errors], seed),
        bootstrapped("mean absolute error", np.mean, [np.abs(errors)], seed),
    ]


def means_of_several(predicted: Floats, true: Floats, seed: int = 0) -> list[Figure]:
    """Return the figures of `value_figures` as means over several values a row (n, K), each with its interval.

    Constant ones have no R2 and are left out of its mean.

    Examples
    --------
    >>> found = means_of_several(np.array([[1.0, 2.0], [2.0, 2.0]]), np.array([[1.0, 3.0], [2.0, 1.0]]))
    >>> [(figure.name, round(figure.value, 3)) for figure in found]
    [('mean R2', 0.5), ('mean root mean squared error', 0.5), ('mean absolute error', 0.5)]
    """
    varying = np.flatnonzero(true.max(axis=0) > true.min(axis=0))
    errors = (predicted - true).astype(np.float64)
    pairs = [column for k in varying for column in (predicted[:, k], true[:, k])]

    def mean_r2(*columns: Floats, axis: int) -> Floats:
        halves = zip(columns[::2], columns[1::2], strict=True)
        return np.asarray(np.mean([r2(*pair, axis=axis) for pair in halves], axis=0))

    def mean_root(*columns: Floats, axis: int) -> Floats:
        return np.asarray(np.mean([root_mean_square(column, axis) for column in columns], axis=0))

    return [
        *([bootstrapped("mean R2", mean_r2, pairs, seed)] if pairs else []),
        bootstrapped("mean root mean squared error", mean_root, list(errors.T), seed),
        bootstrapped("mean absolute error", np.mean, [np.abs(errors).mean(axis=1)], seed),
    ]


def r2(predicted: Floats, true: Floats, axis: int = -1) -> Floats:
    """Return 1 - sum (y - yhat)^2 / sum (y - mean y)^2, NaN where y is constant."""
    missed = np.square(true - predicted).sum(axis=axis)
    around = np.square(true - true.mean(axis=axis, keepdims=True)).sum(axis=axis)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(around > 0, 1 - missed / around, np.nan)


def root_mean_square(errors: Floats, axis: int = -1) -> Floats:
    """Return the root of the mean square."""
    return np.asarray(np.sqrt(np.square(errors).mean(axis=axis)))


def confusion(predicted: Indices, y: Indices, K: int) -> NDArray[np.int64]:
    """Return the counts (K, K): row by true class, column by predicted class.

    Examples
    --------
    >>> confusion(np.array([0, 1, 1]), np.array([0, 0, 1]), 2).tolist()
    [[1, 1], [0, 1]]
    """
    counts = np.zeros((K, K), np.int64)
    np.add.at(counts, (y, predicted), 1)
    return counts


def per_class(counts: NDArray[np.int64], classes: Sequence[str]) -> list[dict[str, Any]]:
    """Return a row for each class: how many, recall with Wilson's interval, precision, F1; None where there are none.

    Examples
    --------
    >>> per_class(np.array([[1, 1], [0, 1]]), ["a", "b"])[0]["recall"]
    0.5
    """
    rows = []
    for k, name in enumerate(classes):
        right, true, said = int(counts[k, k]), int(counts[k].sum()), int(counts[:, k].sum())
        recall = share("recall", right, true).as_dict()
        rows.append(
            {
                "class": name,
                "rows": true,
                "recall": recall["value"],
                "recall_low": recall["low"],
                "recall_high": recall["high"],
                "predicted": said,
                "precision": right / said if said else None,
                "f1": 2 * right / (true + said) if true + said else None,
            }
        )
    return rows


def calibration(P: Floats, y: Indices, bins: int = BINS) -> dict[str, Any]:
    """Return how often the predicted class is right against how probable it was said to be, by bins of equal width.

    The expected calibration error is the mean over rows of |right - said| of their bin (Guo et al. 2017).

    Examples
    --------
    >>> round(calibration(np.array([[0.9, 0.1], [0.9, 0.1]]), np.array([0, 1]))["ece"], 12)
    0.4
    """
    said, right = P.max(axis=1).astype(np.float64), P.argmax(axis=1) == y
    place = np.minimum((said * bins).astype(int), bins - 1)
    rows: list[dict[str, Any]] = []
    error = 0.0
    for k in range(bins):
        own = place == k
        row: dict[str, Any] = {
            "from": k / bins,
            "to": (k + 1) / bins,
            "rows": int(own.sum()),
            "said": None,
            "right": None,
        }
        if own.any():
            row |= {"said": float(said[own].mean()), "right": float(right[own].mean())}
            error += row["rows"] / len(y) * abs(row["right"] - row["said"])
        rows.append(row)
    return {"ece": error, "bins": rows}


def mistakes(P: Floats, y: Indices, most: int) -> list[dict[str, Any]]:
    """Return the rows that are wrong, the most confident first: `row`, `label`, `predicted` (indices), probabilities.

    Examples
    --------
    >>> mistakes(np.array([[0.9, 0.1], [0.4, 0.6]]), np.array([1, 1]), 5)
    [{'row': 0, 'label': 1, 'predicted': 0, 'probability': 0.9, 'probability_of_label': 0.1}]
    """
    predicted = P.argmax(axis=1)
    wrong = np.flatnonzero(predicted != y)
    worst = wrong[np.argsort(-P[wrong, predicted[wrong]], kind="stable")][:most]
    return [
        {
            "row": int(i),
            "label": int(y[i]),
            "predicted": int(predicted[i]),
            "probability": float(P[i, predicted[i]]),
            "probability_of_label": float(P[i, y[i]]),
        }
        for i in worst
    ]


def farthest_of_several(predicted: Floats, true: Floats, names: Sequence[str], most: int) -> list[dict[str, Any]]:
    """Return the single values with the largest errors in deviations of their column; a constant column has none."""
    errors, spread = predicted.astype(np.float64) - true, true.std(axis=0)
    varying = true.max(axis=0) > true.min(axis=0)  # the deviation of a constant 0.1 is rounding, not 0
    deviations = errors / np.where(varying, spread, np.inf)
    worst = np.argsort(-np.abs(deviations).ravel(), kind="stable")[:most]
    places = [divmod(int(place), len(names)) for place in worst]
    return [
        {
            "row": i,
            "target": names[k],
            "true": float(true[i, k]),
            "predicted": float(predicted[i, k]),
            "error": float(errors[i, k]),
            "deviations": float(deviations[i, k]),
        }
        for i, k in places
    ]


def farthest(predicted: Floats, true: Floats, most: int) -> list[dict[str, Any]]:
    """Return the rows with the largest errors, the largest first."""
    errors = predicted.astype(np.float64) - true
    worst = np.argsort(-np.abs(errors), kind="stable")[:most]
    return [
        {"row": int(i), "true": float(true[i]), "predicted": float(predicted[i]), "error": float(errors[i])}
        for i in worst
    ]
