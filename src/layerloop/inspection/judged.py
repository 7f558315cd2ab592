"""What a report says of a model's answers, as plain data: of classes, of several labels at once, of values."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from layerloop.decision import says_yes
from layerloop.errors import InputError, LabelError, ShapeError
from layerloop.inspection import outcomes
from layerloop.inspection.intervals import Figure, bootstrapped, share
from layerloop.inspection.subject import Subject, loss_of, names_of_values
from layerloop.losses import spec_of
from layerloop.metrics import all_figures, figures_of_each
from layerloop.network import Chain, class_indices
from layerloop.plain import plain
from layerloop.vocabulary import softmax

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

PICTURES, ROWS = 24, 12  # worst rows that are shown: as pictures, as lines of a table
POINTS = 800  # rows of a scatter


def answers_to(model: Any, X: Any, kind: str) -> NDArray[np.float64]:
    """Return the model's probabilities (n, K), or its values: one a row (n,), or several."""
    if kind == "classes":
        return _probabilities(model, X)
    if isinstance(model, Chain):
        return np.asarray(model(X), np.float64)
    return np.asarray(model.predict(X) if kind == "values" else model.predict_proba(X), np.float64)


def _of_classes(model: Any, subject: Subject, P: NDArray[np.float64], y: ArrayLike, seed: int) -> dict[str, Any]:
    """Return what is said of a classifier."""
    K = P.shape[1]
    classes = subject.classes if len(subject.classes) == K else tuple(map(str, range(K)))
    labels = _labels(model, subject, y, K, len(P))
    counts = outcomes.confusion(P.argmax(axis=1), labels, K)
    most = PICTURES if subject.chain.inputs.image is not None else ROWS
    worst = outcomes.mistakes(P, labels, most)
    for row in worst:
        row.update(label=classes[row["label"]], predicted=classes[row["predicted"]])
    return {
        "classes": list(classes),
        "figures": [figure.as_dict() for figure in outcomes.class_figures(P, labels, seed)],
        "confusion": counts.tolist(),
        "per_class": outcomes.per_class(counts, classes),
        "calibration": outcomes.calibration(P, labels),
        "mistakes": worst,
        "residuals": None,
    }


def _probabilities(model: Any, X: Any) -> NDArray[np.float64]:
    """Return probabilities (n, K): of scores their softmax, of a single yes or no both."""
    if not isinstance(model, Chain):
        return np.asarray(model.predict_proba(X), np.float64)
    P = np.asarray(model(X), np.float64)
    if model.architecture.head == "identity":
        P = np.asarray(softmax(P) if P.shape[1] > 1 else 1 / (1 + np.exp(-P)), np.float64)
    return np.hstack([1 - P, P]) if P.shape[1] == 1 else P


def _labels(model: object, subject: Subject, y: ArrayLike, K: int, n: int) -> NDArray[np.int64]:
    """Return class indices (n,)."""
    values = np.asarray(subject.targets(y))
    if isinstance(model, Chain) and model.architecture.n_out == K:
        return class_indices(model, values, n)
    labels = values.reshape(n) if values.size == n else values
    if labels.shape != (n,) or not np.isin(labels, range(K)).all():
        raise LabelError(f"a report wants one class a row, 0 to {K - 1}, got y of shape {values.shape}")
    return labels.astype(np.int64)


def _of_values(model: Any, subject: Subject, outputs: NDArray[np.float64], y: ArrayLike, seed: int) -> dict[str, Any]:
    """Return what is said of a regressor."""
    levels = _levels(subject.chain) if isinstance(model, Chain) else ()
    if levels and len(levels) != outputs.shape[1]:
        raise InputError(f"a report is of the quantiles of one value; this model has {outputs.shape[1]} values a row")
    predicted, true = outputs[:, _middle(levels)] if levels else outputs, np.asarray(y, np.float64)
    n = len(predicted)
    if true.ndim > 1 and true.shape == predicted.shape and true.shape[1] > 1:
        return _of_several_values(subject, predicted, true, seed)
    if predicted.size != n or true.size != n:
        raise ShapeError(f"a report wants a value for each that is predicted, {predicted.shape}, got y of {true.shape}")
    predicted, true = predicted.reshape(n), true.reshape(n)
    figures = [] if levels and 0.5 not in levels else outcomes.value_figures(predicted, true, seed)
    figures += _quantile_figures(outputs, true, levels, seed) if levels else []
    chosen = np.sort(np.random.default_rng(seed).permutation(n)[:POINTS])
    return {
        "classes": [],
        "figures": [figure.as_dict() for figure in figures],
        "confusion": None,
        "per_class": [],
        "calibration": None,
        "mistakes": outcomes.farthest(predicted, true, ROWS),
        "residuals": {
            "rows": n,
            "true": true[chosen].tolist(),
            "predicted": predicted[chosen].tolist(),
            **_histogram(predicted - true),
        },
    }


def _of_several_values(
    subject: Subject, predicted: NDArray[np.float64], true: NDArray[np.float64], seed: int
) -> dict[str, Any]:
    """Return what is said of several values a row: the means over them, and each by itself."""
    names = names_of_values(subject.chain, true.shape[1])
    return {
        "classes": [],
        "figures": [figure.as_dict() for figure in outcomes.means_of_several(predicted, true, seed)],
        "confusion": None,
        "per_class": [],
        "per_target": plain(figures_of_each(names, true, predicted)),
        "calibration": None,
        "mistakes": outcomes.farthest_of_several(predicted, true, names, ROWS),
        "residuals": None,
    }


def _levels(m: Chain) -> tuple[float, ...]:
    """Return the levels of the quantiles that a network was trained for; none for everything else."""
    loss = spec_of(loss_of(m))
    return loss.columns(1) if loss.name == "quantile" else ()


def _middle(levels: Sequence[float]) -> int:
    """Return the place of the quantile that is the nearest to the median."""
    return int(np.argmin(np.abs(np.asarray(levels) - 0.5)))


def _quantile_figures(
    outputs: NDArray[np.float64], true: NDArray[np.float64], levels: Sequence[float], seed: int
) -> list[Figure]:
    """Return which share of the rows lies at or below each quantile, which is to be its level, and the mean loss."""
    below = [(true <= column, level) for column, level in zip(outputs.T, levels, strict=True)]
    shares = [share(f"at or below the {level:g} quantile", int(under.sum()), len(true)) for under, level in below]
    missed = true[:, np.newaxis] - outputs
    losses = np.maximum(np.asarray(levels) * missed, (np.asarray(levels) - 1) * missed).mean(axis=1)
    return [*shares, bootstrapped("quantile loss", np.mean, [losses], seed)]


def _of_labels(model: Any, subject: Subject, P: NDArray[np.float64], y: ArrayLike, seed: int) -> dict[str, Any]:
    """Return what is said of a model of several labels at once."""
    del model
    true, K = np.asarray(y), P.shape[1]
    if true.shape != P.shape or not np.isin(true, (0, 1)).all():
        raise LabelError(f"a report wants {K} labels a row, each 0 or 1, got y of shape {true.shape}")
    names = subject.classes if len(subject.classes) == K else tuple(map(str, range(K)))
    said, true = says_yes(P).astype(int), true.astype(int)
    counts = [outcomes.confusion(said[:, k], true[:, k], 2) for k in range(K)]
    return {
        "classes": list(names),
        "figures": [figure.as_dict() for figure in _label_figures(P, true, seed)],
        "confusion": None,
        "per_class": [outcomes.per_class(of, ("no", name))[1] for of, name in zip(counts, names, strict=True)],
        "calibration": None,
        "mistakes": _worst_labels(P, true, names),
        "residuals": None,
    }


def _label_figures(P: NDArray[np.float64], true: NDArray[np.int64], seed: int) -> list[Figure]:
    wrong = says_yes(P) != true
    own = np.maximum(np.where(true == 1, P, 1 - P), np.finfo(np.float64).tiny)
    found = all_figures("labels", true, P)
    return [
        share("subset accuracy", int((~wrong.any(axis=1)).sum()), len(P)),
        Figure("micro F1", found["micro_f1"], np.nan, np.nan, "over all labels together"),
        Figure("macro F1", found["macro_f1"], np.nan, np.nan, "mean over the labels"),
        bootstrapped("log-loss", np.mean, [-np.log(own).mean(axis=1)], seed),
        bootstrapped("Hamming loss", np.mean, [wrong.mean(axis=1)], seed),
    ]


def _worst_labels(P: NDArray[np.float64], true: NDArray[np.int64], names: Sequence[str]) -> list[dict[str, Any]]:
    """Return the rows with a wrong label, the most confident of all wrong ones first."""
    said = says_yes(P)
    sure = np.where(said != true, np.abs(P - 0.5) + 0.5, 0.0)
    order = np.argsort(-sure.max(axis=1), kind="stable")[:ROWS]

    def named(row: NDArray[Any]) -> str:
        return ", ".join(name for name, there in zip(names, row, strict=True) if there) or "none"

    return [
        {"row": int(i), "label": named(true[i]), "predicted": named(said[i]), "probability": float(sure[i].max())}
        for i in order
        if sure[i].any()
    ]


def _histogram(errors: NDArray[np.float64]) -> dict[str, list[float]]:
    counts, edges = np.histogram(errors, bins=min(40, max(5, int(np.sqrt(errors.size)))))
    return {"counts": counts.tolist(), "edges": edges.tolist()}


JUDGES: Mapping[str, Callable[[Any, Subject, NDArray[np.float64], ArrayLike, int], dict[str, Any]]] = MappingProxyType(
    {"classes": _of_classes, "labels": _of_labels, "values": _of_values}
)
