"""The head over a batch: scores S become outputs P, and a gradient Q in P becomes one in S.

Shapes: S (n, k) and P (n, K), with K = k + 1 for the modified softmax and K = k otherwise. Both are kept class-major
(each class contiguous over the samples): a maximum or a sum over ten classes then runs along the samples, 1.2 us for
128 of them against 6.7 us the other way round.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from layerloop.engine.activations import ACTIVATIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Batch = NDArray[np.floating]


class Head(NamedTuple):
    """`forward(S, P, m)` fills P; `backward(P, Q, D, m)` fills D = J(S)^T Q; m (n,) is working memory."""

    forward: Callable[[Batch, Batch, Batch], None]
    backward: Callable[[Batch, Batch, Batch, Batch], None]
    extra: int = 0


def _identity(S: Batch, P: Batch, m: Batch) -> None:
    np.copyto(P, S)


def _identity_back(P: Batch, Q: Batch, D: Batch, m: Batch) -> None:
    np.copyto(D, Q)


def shift(S: Batch, P: Batch, m: Batch) -> None:
    """P <- S - max S, so that no exponential overflows; the softmax does not see the difference."""
    np.maximum.reduce(S, axis=1, out=m)
    np.subtract(S, m[:, np.newaxis], out=P)


def shift_modified(S: Batch, P: Batch, m: Batch) -> None:
    """P <- (S, 0) - max (S, 0): the score of class K is 0."""
    np.copyto(P[:, :-1], S)
    P[:, -1] = 0
    shift(P, P, m)


def normalise(P: Batch, m: Batch) -> None:
    """P <- exp(P) / sum(exp(P)), with the sums left in m."""
    np.exp(P, out=P)
    np.add.reduce(P, axis=1, out=m)
    np.divide(P, m[:, np.newaxis], out=P)


def _softmax(S: Batch, P: Batch, m: Batch) -> None:
    shift(S, P, m)
    normalise(P, m)


def _softmax_back(P: Batch, Q: Batch, D: Batch, m: Batch) -> None:
    """(diag(g) - g g^T) q = g * (q - <g, q>)."""
    np.multiply(P, Q, out=D)
    np.add.reduce(D, axis=1, out=m)
    np.subtract(Q, m[:, np.newaxis], out=D)
    np.multiply(D, P, out=D)


def _modified_softmax(S: Batch, P: Batch, m: Batch) -> None:
    shift_modified(S, P, m)
    normalise(P, m)


def _modified_softmax_back(P: Batch, Q: Batch, D: Batch, m: Batch) -> None:
    """C_K^T q: the softmax's product without its last entry."""
    G, R = P[:, :-1], Q[:, :-1]
    np.multiply(P[:, -1], Q[:, -1], out=m)
    np.multiply(G, R, out=D)
    np.add(m, D.sum(axis=1), out=m)
    np.subtract(R, m[:, np.newaxis], out=D)
    np.multiply(D, G, out=D)


def _sigmoid(S: Batch, P: Batch, m: Batch) -> None:
    np.copyto(P, S)
    ACTIVATIONS["sigmoid"].f(P, P, P)


def _sigmoid_back(P: Batch, Q: Batch, D: Batch, m: Batch) -> None:
    np.subtract(1, P, out=D)
    np.multiply(D, P, out=D)
    np.multiply(D, Q, out=D)


def _exp(S: Batch, P: Batch, m: Batch) -> None:
    np.exp(S, out=P)


def _exp_back(P: Batch, Q: Batch, D: Batch, m: Batch) -> None:
    np.multiply(P, Q, out=D)


HEADS: Mapping[str, Head] = {
    "identity": Head(_identity, _identity_back),
    "softmax": Head(_softmax, _softmax_back),
    "modified_softmax": Head(_modified_softmax, _modified_softmax_back, extra=1),
    "sigmoid": Head(_sigmoid, _sigmoid_back),
    "exp": Head(_exp, _exp_back),
}
