"""Figures by which a model is judged, by name: a table of functions over scikit-learn's, and the calibration error.

For classes a metric sees y (n,) as indices and the probabilities (n, K); for values y (n,) and the predictions (n,).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from layerloop.decision import says_yes
from layerloop.errors import SettingError, look_up

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    Numbers = NDArray[np.floating]
    Weights = NDArray[np.floating] | None
    Figure = Callable[[NDArray[Any], Numbers, Weights], float]

BINS = 15  # of the calibration error (Guo et al. 2017)


@dataclass(frozen=True)
class Metric:
    """A row of the table: what it judges ("classes" or "values"), whether higher is better, and its function."""

    name: str
    kind: str
    higher: bool
    figure: Figure

    def gain(self, y: NDArray[Any], predicted: Numbers, weights: Weights = None) -> float:
        """Return the figure with the sign that makes higher better."""
        value = self.figure(y, predicted, weights)
        return value if self.higher else -value


def _accuracy(y: NDArray[Any], p: Numbers, weights: Weights) -> float:
    return float(np.average(p.argmax(axis=1) == y, weights=weights))


def _balanced_accuracy(y: NDArray[Any], p: Numbers, weights: Weights) -> float:
    """The mean over the classes that occur of the share of their rows that is right."""
    right, w = p.argmax(axis=1) == y, np.ones(len(y)) if weights is None else weights
    shares = [np.average(right[y == k], weights=w[y == k]) for k in np.unique(y) if w[y == k].any()]
    return float(np.mean(shares))


def _log_loss(y: NDArray[Any], p: Numbers, weights: Weights) -> float:
    least = np.finfo(p.dtype).tiny
    return float(np.average(-np.log(np.maximum(p[np.arange(len(y)), y], least)), weights=weights))


def _auc(y: NDArray[Any], p: Numbers, weights: Weights) -> float:
    """The area under the ROC curve; of more than two classes the mean of one against the rest, of those that occur."""
    from sklearn.metrics import roc_auc_score

    classes = [1] if p.shape[1] == 2 else [k for k in np.unique(y) if (y != k).any()]
    if len(np.unique(y)) < 2:
        return float("nan")
    return float(np.mean([roc_auc_score(y == k, p[:, k], sample_weight=weights) for k in classes]))


def _f1(y: NDArray[Any], p: Numbers, weights: Weights) -> float:
    """2 precision recall / (precision + recall) of the second of two classes, or the mean over more."""
    from sklearn.metrics import f1_score

    average = "binary" if p.shape[1] == 2 else "macro"
    return float(f1_score(y, p.argmax(axis=1), average=average, sample_weight=weights, zero_division=0.0))


def _brier(y: NDArray[Any], p: Numbers, weights: Weights) -> float:
    """The mean squared distance of the probabilities from the truth; of two classes, of the second one's alone."""
    if p.shape[1] == 2:
        return float(np.average((p[:, 1] - y) ** 2, weights=weights))
    return float(np.average(((p - np.eye(p.shape[1])[y]) ** 2).sum(axis=1), weights=weights))


def _ece(y: NDArray[Any], p: Numbers, weights: Weights) -> float:
    """The mean over 15 bins of confidence of |share right - mean confidence|, weighed by the rows in each."""
    w = np.ones(len(y)) if weights is None else weights
    confidence, right = p.max(axis=1), p.argmax(axis=1) == y
    place = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = np.bincount(place, w * (right - confidence), BINS)
    return float(np.abs(gaps).sum() / w.sum())


def _r2(y: NDArray[Any], predicted: Numbers, weights: Weights) -> float:
    center = np.average(y, weights=weights)
    rest, spread = (np.average((y - other) ** 2, weights=weights) for other in (predicted, center))
    return float(1 - rest / spread) if spread > 0 and y.max() > y.min() else float("nan")


def _mae(y: NDArray[Any], predicted: Numbers, weights: Weights) -> float:
    return float(np.average(np.abs(y - predicted), weights=weights))


def _rmse(y: NDArray[Any], predicted: Numbers, weights: Weights) -> float:
    return float(np.sqrt(np.average((y - predicted) ** 2, weights=weights)))


METRICS: Mapping[str, Metric] = {
    row.name: row
    for row in (
        Metric("accuracy", "classes", True, _accuracy),
        Metric("balanced_accuracy", "classes", True, _balanced_accuracy),
        Metric("log_loss", "classes", False, _log_loss),
        Metric("auc", "classes", True, _auc),
        Metric("f1", "classes", True, _f1),
        Metric("brier", "classes", False, _brier),
        Metric("ece", "classes", False, _ece),
        Metric("r2", "values", True, _r2),
        Metric("mae", "values", False, _mae),
        Metric("rmse", "values", False, _rmse),
    )
}


def _judged(figure: Callable[[NDArray[Any], NDArray[Any]], float]) -> Figure:
    """Return a figure of labels that looks at which are said to be there, those that are more likely than not."""
    return lambda y, p, _: figure(y, says_yes(p).astype(np.int64))


def _f1_of_labels(average: str) -> Callable[[NDArray[Any], NDArray[Any]], float]:
    def figure(y: NDArray[Any], said: NDArray[Any]) -> float:
        from sklearn.metrics import f1_score

        return float(f1_score(y, said, average=average, zero_division=0.0))

    return figure


def _log_loss_of_labels(y: NDArray[Any], p: Numbers, weights: Weights) -> float:
    """The mean over rows and labels of -log of what is said of the truth."""
    del weights
    return float(-np.log(np.maximum(np.where(y == 1, p, 1 - p), np.finfo(p.dtype).tiny)).mean())


# Of labels of which a row has any number: y and the probabilities are (n, K), and no metric takes weights.
LABEL_METRICS: Mapping[str, Metric] = {
    row.name: row
    for row in (
        Metric("subset_accuracy", "labels", True, _judged(lambda y, said: float((y == said).all(axis=1).mean()))),
        Metric("micro_f1", "labels", True, _judged(_f1_of_labels("micro"))),
        Metric("macro_f1", "labels", True, _judged(_f1_of_labels("macro"))),
        Metric("log_loss", "labels", False, _log_loss_of_labels),
        Metric("hamming_loss", "labels", False, _judged(lambda y, said: float((y != said).mean()))),
    )
}


def metric_named(name: str, kind: str) -> Metric:
    """Return a metric by its name.

    Raises
    ------
    UnknownNameError, SettingError
        There is none of that name; it judges the other kind of target.

    Examples
    --------
    >>> metric_named("rmse", "values").higher
    False
    """
    metric = look_up(METRICS, name, "metric")
    if metric.kind != kind:
        known = ", ".join(row.name for row in METRICS.values() if row.kind == kind)
        raise SettingError(f"the metric {name!r} judges {metric.kind}, and the target is of {kind}: use one of {known}")
    return metric


def all_figures(kind: str, y: NDArray[Any], predicted: Numbers, weights: Weights = None) -> dict[str, float]:
    """Return every metric of a kind, "classes", "labels" or "values", by name.

    Of several values a row, each is the mean over them; constant ones have no R2 and are left out of its mean.

    Examples
    --------
    >>> all_figures("values", np.array([1.0, 3.0]), np.array([1.0, 2.0]))["mae"]
    0.5
    """
    if kind == "values" and y.ndim > 1:
        each = [all_figures(kind, *pair, weights) for pair in zip(y.T, predicted.T, strict=True)]
        return {name: _mean([found[name] for found in each]) for name in each[0]}
    rows = LABEL_METRICS if kind == "labels" else METRICS
    return {name: row.figure(y, predicted, weights) for name, row in rows.items() if row.kind == kind}


def figures_of_each(names: Sequence[str], y: NDArray[Any], predicted: Numbers) -> list[dict[str, Any]]:
    """Return a row for each of several values (n, K): `target`, its name, and every metric of it alone.

    Examples
    --------
    >>> [row["mae"] for row in figures_of_each(("u", "v"), np.eye(2), np.array([[1.0, 0.0], [1.0, 1.0]]))]
    [0.5, 0.0]
    """
    columns = zip(names, y.T, predicted.T, strict=True)
    return [{"target": name, **all_figures("values", *pair)} for name, *pair in columns]


def _mean(values: list[float]) -> float:
    """The mean of those that are numbers; NaN where none is."""
    known = [value for value in values if value == value]
    return float(np.mean(known)) if known else float("nan")


def trivial_figures(kind: str, y: NDArray[Any]) -> dict[str, float]:
    """Return every metric of the answer that looks at no column: classes, labels with their shares, or the mean value.

    Examples
    --------
    >>> trivial_figures("classes", np.array([0, 0, 1, 0]))["accuracy"]
    0.75
    """
    if kind == "values":
        return all_figures(kind, y, np.broadcast_to(y.mean(axis=0), y.shape))
    if kind == "labels":
        return all_figures(kind, y, np.tile(y.mean(axis=0), (len(y), 1)))
    shares = np.bincount(y) / len(y)
    return all_figures(kind, y, np.tile(shares, (len(y), 1)))
