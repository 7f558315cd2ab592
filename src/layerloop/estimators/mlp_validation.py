"""Data that watch over training: their loss and score after each pass, by scikit-learn's measure or any scorer."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.metrics import check_scoring, r2_score

from layerloop.csr import as_csr, is_sparse
from layerloop.data.weights import normalised
from layerloop.decision import says_yes
from layerloop.engine import Rows
from layerloop.errors import SettingError
from layerloop.prediction import blocks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from layerloop.estimators.mlp_losses import Objective
    from layerloop.network import Chain
    from layerloop.plan import Plan

    Floats = NDArray[np.floating]


def engine_rows(X: Any, dtype: str) -> Any:
    """Return checked rows as an engine takes them; sparse ones of any format stay sparse."""
    if is_sparse(X):
        rows = as_csr(X, "X")
        return rows.with_values(np.ascontiguousarray(rows.values, dtype))
    return np.ascontiguousarray(X, dtype)


@dataclass
class Validation:
    """Rows to validate on.

    Attributes
    ----------
    X, y : as the user gave them, y as labels
        For a scorer.
    Y : ndarray
        Targets as `Objective.targets` takes them.
    weights : ndarray or None
        Of the rows, for the score.
    """

    X: Any
    y: Any
    Y: NDArray[Any]
    weights: NDArray[Any] | None
    rows: Rows
    scoring: Any

    @classmethod
    def of(
        cls, X: Any, y: Any, Y: NDArray[Any], weights: Any, objective: Objective, dtype: str, scoring: Any
    ) -> Validation:
        """Return rows ready for an engine."""
        own = None if weights is None else normalised(weights, len(Y)).astype(dtype)
        rows = Rows(engine_rows(X, dtype), objective.targets(Y, dtype), weights=own)
        return cls(X, y, Y, weights, rows, scoring)

    def figures(self, est: Any, network: Chain, plan: Plan, objective: Objective) -> tuple[float, float]:
        """Return loss (without the penalty) and score of the network as it is now."""
        n, rows = len(self.Y), self.rows
        outputs, total = np.empty((n, network.architecture.n_out), network.dtype), 0.0
        for part in blocks(n):
            weights = None if rows.weights is None else rows.weights[part]
            some = Rows(rows.X[part], rows.targets[part], weights=weights)
            outputs[part], mean = network.engine.outputs_and_loss(network.flat, some, plan)
            total += mean * len(some.targets)
        constants = objective.constants(self.Y)
        loss = objective.factor * total / n
        if constants is not None:
            loss += float(np.average(constants, weights=self.weights))
        return loss, self.score(est, objective.public(outputs), loss)

    def score(self, est: Any, outputs: Floats, loss: float) -> float:
        """Return the score, higher is better; NaN for outputs that are not finite."""
        if not np.isfinite(outputs).all():
            return float("nan")
        if self.scoring is None:
            return float(score_of(self.Y, outputs, self.weights, classes=hasattr(est, "classes_")))
        if isinstance(self.scoring, str) and self.scoring == "loss":
            return -loss
        scorer = check_scoring(est, scoring=self.scoring)
        seen = copy.copy(est)
        seen.__dict__.pop("feature_names_in_", None)  # these rows have lost their names already
        weights = {} if self.weights is None else {"sample_weight": self.weights}
        value = scorer(seen, self.X, self.y, **weights)
        if np.ndim(value) or not isinstance(value, float | int | np.number):
            raise SettingError(f"scoring must give one number, got {value!r}")
        return float(value)


def score_of(Y: NDArray[Any], outputs: Floats, weights: NDArray[Any] | None, *, classes: bool) -> float:
    """Return accuracy of classes (of several labels: all of them right), or R2, as the estimators' `score`."""
    if not classes:
        return float(r2_score(Y, outputs, sample_weight=weights))
    several = Y.ndim == 2
    right = (says_yes(outputs) == Y.astype(bool)).all(axis=1) if several else outputs.argmax(axis=1) == Y
    return float(np.average(right, weights=weights))
