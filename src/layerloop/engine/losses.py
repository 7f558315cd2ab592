"""Losses over a batch: the mean over its samples, and the gradient of that mean.

Targets are class indices (n,) or rows (n, K). Outputs P, scores S and gradients are class-major; see heads.py.
A loss of the table works on outputs, `LOSSES[name](P, targets, Q) -> value` with the gradient put into Q. A fused
form works on scores, `FUSED[name](S, targets, P, D, m) -> value` with the gradient in the scores put into D.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from layerloop.engine.heads import normalise, shift, shift_modified

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Batch = NDArray[np.floating]
Targets = NDArray[Any]


@lru_cache(maxsize=8)
def _counting(n: int) -> NDArray[np.intp]:
    """0, 1, ..., n - 1: the row numbers that go with a batch of class indices."""
    return np.arange(n)


def crossentropy(P: Batch, targets: Targets, Q: Batch) -> float:
    """-1/n sum_i sum_k y_ik log P_ik with 0 log 0 = 0; gradient -y / (n P), 0 where y is 0."""
    n = len(P)
    Q.fill(0)
    if targets.ndim == 1:
        at = (_counting(n), targets)
        chosen = P[at]
        Q[at] = -1 / (n * chosen)
        return float(-np.log(chosen).sum() / n)
    there = targets != 0
    chosen = P[there]
    Q[there] = -targets[there] / (n * chosen)
    return float(-(targets[there] * np.log(chosen)).sum() / n)


def mse(P: Batch, targets: Targets, Q: Batch) -> float:
    """The mean of (P - y)^2 over all entries; gradient 2 (P - y) / (n K)."""
    np.subtract(P, targets, out=Q)
    value = float(np.square(Q).sum() / Q.size)
    np.multiply(Q, 2 / Q.size, out=Q)
    return value


LOSSES: Mapping[str, Callable[[Batch, Targets, Batch], float]] = {"crossentropy": crossentropy, "mse": mse}


def _fused(shift: Callable[[Batch, Batch, Batch], None]) -> Callable[[Batch, Targets, Batch, Batch, Batch], float]:
    def fused(S: Batch, targets: Targets, P: Batch, D: Batch, m: Batch) -> float:
        """1/n sum_i (log sum_k exp S_ik - S_iy), stable for any finite scores; gradient (g - y) / n. P is used up."""
        n, k = S.shape
        shift(S, P, m)
        if targets.ndim == 1:
            at = (_counting(n), targets)
            score = P[at].sum()
            normalise(P, m)
            value = float((np.log(m).sum() - score) / n)
            P[at] = 0  # g_y - 1 as minus the sum of the others: exact to the last bits also where g_y is nearly 1
            np.add.reduce(P, axis=1, out=m)
            P[at] = np.negative(m, out=m)
        else:
            score = (targets * P).sum()
            normalise(P, m)
            weight = targets.sum(axis=1)
            value = float(((weight * np.log(m)).sum() - score) / n)
            np.multiply(P, weight[:, np.newaxis], out=P)
            np.subtract(P, targets, out=P)
        np.multiply(P[:, :k], 1 / n, out=D)
        return value

    return fused


FUSED: Mapping[str, Callable[[Batch, Targets, Batch, Batch, Batch], float]] = {
    "softmax_crossentropy": _fused(shift),
    "modified_softmax_crossentropy": _fused(shift_modified),
}
