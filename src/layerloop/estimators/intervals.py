"""Prediction intervals: two quantiles by networks of their own, widened until they cover what they say.

Conformalised quantile regression (Romano, Patterson and Candes 2019): on rows that a network has not seen, the share of
values outside tells how far both ends have to move.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from layerloop.errors import SettingError
from layerloop.estimators.table_training import fit_folds
from layerloop.metrics import Metric

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from layerloop.estimators.table_training import Task
    from layerloop.network import Chain


@dataclass(frozen=True)
class Interval:
    """Networks of two outputs, and how far both ends are moved outwards; in the unit that the networks see."""

    networks: tuple[Chain, ...]
    widening: float

    def ends(self, encoded: Any) -> NDArray[np.float64]:
        """Return lower and upper end, (n, 2), never crossed."""
        total = sum(np.sort(m(encoded).astype(np.float64), axis=1) for m in self.networks)
        moved = np.asarray(total) / len(self.networks) + np.array([-self.widening, self.widening])
        return np.sort(moved, axis=1)


def fit_interval(task: Task, share: float) -> Interval:
    """Return intervals that cover this share of rows; `task` is the regression's own.

    Raises
    ------
    SettingError
        A share that is not between 0 and 1.
    """
    if not (isinstance(share, float) and 0 < share < 1):
        raise SettingError(f"interval must be a share of rows between 0 and 1, such as 0.9; got {share!r}")
    levels = ((1 - share) / 2, (1 + share) / 2)
    judge = Metric("pinball", "values", False, partial(_pinball, levels))
    fitted = fit_folds(replace(task, recipe=task.recipe.with_(loss="quantile", levels=levels), outputs=2, metric=judge))
    outside = [_outside(task.y[found.left_out, 0], np.sort(found.outputs, axis=1)) for found in fitted]
    return Interval(tuple(found.m for found in fitted), _quantile(np.concatenate(outside), share))


def _pinball(levels: tuple[float, float], y: NDArray[Any], q: NDArray[Any], weights: Any) -> float:
    """The mean pinball loss of both ends, (n, 2)."""
    gap, share = y[:, np.newaxis] - q, np.array(levels)
    return float(np.average(np.maximum(share * gap, (share - 1) * gap).mean(axis=1), weights=weights))


def _outside(y: NDArray[Any], ends: NDArray[Any]) -> NDArray[Any]:
    """Return how far each value lies outside its interval; negative inside."""
    return np.asarray(np.maximum(ends[:, 0] - y, y - ends[:, 1]))


def _quantile(outside: NDArray[Any], share: float) -> float:
    """Return the value that this share of n + 1 rows does not exceed: the next row is one of them."""
    n = len(outside)
    return float(np.quantile(outside, min(1.0, share * (n + 1) / n), method="higher"))
