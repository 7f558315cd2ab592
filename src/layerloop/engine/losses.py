"""Losses over a batch: the mean over its samples, and the gradient of that mean.

Targets are class indices (n,) or rows (n, K). Outputs P, scores S and gradients are class-major; see heads.py.
A loss of the table works on outputs, `LOSSES[name](P, targets, Q, term) -> value` with the gradient put into Q. A fused
form works on scores, `FUSED[name](S, targets, P, D, m, term) -> value` with the gradient in the scores put into D.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from layerloop.engine.heads import normalise, shift, shift_modified

if TYPE_CHECKING:
    from collections.abc import Mapping

Batch = NDArray[np.floating]
Targets = NDArray[Any]


class Term(NamedTuple):
    """What a loss knows besides outputs and targets.

    Attributes
    ----------
    columns : ndarray (K,)
        The number that a loss has for each output: the level of a quantile, Huber's delta.
    smoothing : float
        Share of every label that is spread over all classes.
    weights : ndarray (n,) or None
        Of the samples: the mean loss is sum_i w_i l_i / n.
    """

    columns: Batch
    smoothing: float = 0.0
    weights: Batch | None = None


@lru_cache(maxsize=8)
def _counting(n: int) -> NDArray[np.intp]:
    """0, 1, ..., n - 1: the row numbers that go with a batch of class indices."""
    return np.arange(n)


def _mean(losses: Batch, term: Term) -> float:
    """1/n sum_i w_i l_i."""
    return float((losses.sum() if term.weights is None else losses @ term.weights) / len(losses))


def _scale(D: Batch, count: int, term: Term, out: Batch) -> None:
    """out <- D / count, each sample's gradient times its weight."""
    np.multiply(D, 1 / count if term.weights is None else (term.weights / count)[:, np.newaxis], out=out)


def smoothed(targets: Targets, K: int, term: Term, dtype: Any) -> Targets:
    """Return the targets with a share of each spread over all classes, (1 - s) y + s / K; with none, as they are."""
    if not term.smoothing:
        return targets
    rows = np.eye(K, dtype=dtype)[targets] if targets.ndim == 1 else targets
    spread: Targets = (rows * (1 - term.smoothing) + term.smoothing / K).astype(dtype, copy=False)
    return spread


def crossentropy(P: Batch, targets: Targets, Q: Batch, term: Term) -> float:
    """-sum_k y_ik log P_ik with 0 log 0 = 0; gradient -y / P, 0 where y is 0."""
    n, K = P.shape
    targets = smoothed(targets, K, term, P.dtype)
    Q.fill(0)
    if targets.ndim == 1:
        at = (_counting(n), targets)
        chosen = P[at]
        Q[at] = -1 / chosen
        losses = -np.log(chosen)
    else:
        there = targets != 0
        logs = np.log(P, out=np.zeros_like(P), where=there)
        np.divide(-targets, P, out=Q, where=there)
        losses = -(targets * logs).sum(axis=1)
    _scale(Q, n, term, Q)
    return _mean(losses, term)


# -- losses that are a mean over the entries ---------------------------------------------------------------------------
# Each takes (P, Y, Q, columns), fills Q with the slopes in P and returns the losses of the entries.


def _mse(P: Batch, Y: Targets, Q: Batch, columns: Batch) -> Batch:
    """(P - y)^2."""
    np.subtract(P, Y, out=Q)
    losses: Batch = np.square(Q)
    np.multiply(Q, 2, out=Q)
    return losses


def _mae(P: Batch, Y: Targets, Q: Batch, columns: Batch) -> Batch:
    """|P - y|; slope 0 at the kink."""
    np.subtract(P, Y, out=Q)
    losses: Batch = np.abs(Q)
    np.sign(Q, out=Q)
    return losses


def _huber(P: Batch, Y: Targets, Q: Batch, columns: Batch) -> Batch:
    """(P - y)^2 / 2, a straight line beyond delta: with c = P - y held to +- delta it is c (P - y - c / 2)."""
    d = np.subtract(P, Y)
    np.clip(d, -columns, columns, out=Q)
    losses: Batch = Q * (d - Q / 2)
    return losses


def _quantile(P: Batch, Y: Targets, Q: Batch, columns: Batch) -> Batch:
    """max(tau (y - P), (tau - 1) (y - P)); slope 0 at the kink."""
    np.subtract(P, Y, out=Q)
    losses: Batch = Q * (1 - columns)
    np.multiply(Q, -columns, out=losses, where=Q < 0)
    np.copyto(Q, np.where(Q < 0, -columns, np.where(Q > 0, 1 - columns, Q)))  # 0 and NaN stay
    return losses


def _log_term(P: Batch, Y: Targets, Q: Batch) -> Batch:
    """-y log P with 0 log 0 = 0, and its slope -y / P added to Q."""
    there = Y != 0
    logs = np.log(P, out=np.zeros_like(P), where=there | np.isnan(P))
    Q -= np.divide(Y, P, out=np.zeros_like(P), where=there | np.isnan(P))
    losses: Batch = -(Y * logs)
    return losses


def _poisson(P: Batch, Y: Targets, Q: Batch, columns: Batch) -> Batch:
    """P - y log P."""
    Q.fill(1)
    return P + _log_term(P, Y, Q)


def _binarycrossentropy(P: Batch, Y: Targets, Q: Batch, columns: Batch) -> Batch:
    """-y log P - (1 - y) log(1 - P)."""
    Q.fill(0)
    losses = _log_term(1 - P, 1 - Y, Q)
    np.negative(Q, out=Q)
    return losses + _log_term(P, Y, Q)


def _of_logits(S: Batch, Y: Targets, Q: Batch, columns: Batch) -> Batch:
    """log(1 + e^-|s|) + y max(-s, 0) + (1 - y) max(s, 0); slope (1 - y) sigma(s) - y sigma(-s)."""
    e = np.exp(-np.abs(S))
    near, far = 1 / (1 + e), e / (1 + e)  # sigma(|s|) and sigma(-|s|)
    below = S < 0
    np.copyto(Q, np.where(below, (1 - Y) * far - Y * near, (1 - Y) * near - Y * far))
    wrong = np.where(below, Y, 1 - Y)
    losses: Batch = np.log1p(e) + np.where(wrong == 0, 0, wrong * np.abs(S))
    return losses


def _of_log_rates(S: Batch, Y: Targets, Q: Batch, columns: Batch) -> Batch:
    """e^s - y s; slope e^s - y."""
    rates = np.exp(S)
    np.subtract(rates, Y, out=Q)
    losses: Batch = rates - np.where((Y == 0) & ~np.isnan(S), 0, Y * S)
    return losses


Form = Callable[[Batch, Targets, Batch, Batch], Batch]


def _mean_over_entries(form: Form, P: Batch, targets: Targets, Q: Batch, term: Term) -> float:
    losses = form(P, targets, Q, term.columns)
    _scale(Q, losses.size, term, Q)
    return _mean(losses.mean(axis=1), term)


LOSSES: Mapping[str, Callable[[Batch, Targets, Batch, Term], float]] = {
    "crossentropy": crossentropy,
    **{
        name: partial(_mean_over_entries, form)
        for name, form in {
            "binarycrossentropy": _binarycrossentropy,
            "mse": _mse,
            "mae": _mae,
            "huber": _huber,
            "quantile": _quantile,
            "poisson": _poisson,
        }.items()
    },
}


# -- head and loss in one ----------------------------------------------------------------------------------------------


def _softmax_crossentropy(
    shift: Callable[[Batch, Batch, Batch], None], S: Batch, targets: Targets, P: Batch, D: Batch, m: Batch, term: Term
) -> float:
    """log sum_k exp S_ik - S_iy, stable for any finite scores; gradient g - y. P is used up."""
    n, k = S.shape
    targets = smoothed(targets, P.shape[1], term, P.dtype)
    shift(S, P, m)
    if targets.ndim == 1:
        at = (_counting(n), targets)
        score = P[at]
        normalise(P, m)
        losses = np.log(m) - score
        P[at] = 0  # g_y - 1 as minus the sum of the others: exact to the last bits also where g_y is nearly 1
        np.add.reduce(P, axis=1, out=m)
        P[at] = np.negative(m, out=m)
    else:
        score = (targets * P).sum(axis=1)
        normalise(P, m)
        weight = targets.sum(axis=1)
        losses = weight * np.log(m) - score
        np.multiply(P, weight[:, np.newaxis], out=P)
        np.subtract(P, targets, out=P)
    _scale(P[:, :k], n, term, D)
    return _mean(losses, term)


def _entries_of_scores(form: Form, S: Batch, targets: Targets, P: Batch, D: Batch, m: Batch, term: Term) -> float:
    return _mean_over_entries(form, S, targets, D, term)


FUSED: Mapping[str, Callable[[Batch, Targets, Batch, Batch, Batch, Term], float]] = {
    "softmax_crossentropy": partial(_softmax_crossentropy, shift),
    "modified_softmax_crossentropy": partial(_softmax_crossentropy, shift_modified),
    "sigmoid_binarycrossentropy": partial(_entries_of_scores, _of_logits),
    "exp_poisson": partial(_entries_of_scores, _of_log_rates),
}
