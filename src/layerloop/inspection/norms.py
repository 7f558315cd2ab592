"""The lengths of a layer's Jacobians, without the dense matrices where these are large.

|A| = sqrt(sum of all squared entries), the Frobenius norm; A (m, r) and B (m, n) as in `maths.kind`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from layerloop.maths.activations import ACTIVATIONS
from layerloop.maths.affine import Dense
from layerloop.maths.heads import HEADS
from layerloop.maths.layers import Blocks

if TYPE_CHECKING:
    from layerloop.maths.activations import Array
    from layerloop.maths.kind import Layer
    from layerloop.maths.net import Net

DENSE = 4_000_000  # numbers of a matrix that is formed to be measured: 32 MB


@np.errstate(over="ignore", invalid="ignore", under="ignore")
def norm(values: Array) -> float:
    """Return the root of the sum of squares, of all entries; without BLAS, whose threads wait where others compute.

    Examples
    --------
    >>> norm(np.array([3.0, 4.0]))
    5.0
    """
    return math.sqrt(np.square(values).sum())


def jacobian_norms(layer: Layer, w: Array, z: Array) -> tuple[float, float]:
    """Return (|A|, |B|) of a layer at (w; z).

    Of a dense layer |A~| = |sigma'(t)| |z^{;1}|, since row k of A~ is sigma'(t_k) z^{;1} in its block.

    Examples
    --------
    >>> jacobian_norms(Dense(1, 1, "identity"), np.array([3.0, 0.0]), np.array([2.0]))
    (2.23606797749979, 3.0)
    """
    if isinstance(layer, Blocks):
        pairs = [jacobian_norms(layer.layer, w, block) for block in np.split(z, layer.members)]
        return math.hypot(*(a for a, _ in pairs)), math.hypot(*(b for _, b in pairs))
    if isinstance(layer, Dense):
        return _of_dense(layer, w, z)
    r = max(layer.size, layer.takes)
    if layer.gives * r <= DENSE:
        return norm(layer.A(w, z)), norm(layer.B(w, z))
    return _by_rows(layer, w, z)


def head_norm(net: Net, scores: Array) -> float:
    """Return |B_{L+1}|, the norm of the head's Jacobian, row by row as B^T e_k.

    Examples
    --------
    >>> from layerloop.maths.net import Net
    >>> head_norm(Net((2,), (), head="identity"), np.zeros(2)) == math.sqrt(2)
    True
    """
    head, square = HEADS[net.head], 0.0
    for block in np.split(scores, net.k):
        square += sum(float(np.square(head.vjp(block, e)).sum()) for e in np.eye(net.K))
    return math.sqrt(square)


def _of_dense(layer: Dense, w: Array, z: Array) -> tuple[float, float]:
    slopes = np.split(ACTIVATIONS[layer.activation].df(layer.t(w, z)), layer.members)
    c = 1.0 / math.sqrt(layer.n_in) if layer.ntk else 1.0
    squares = np.zeros(2)
    for slope, W, z_j in zip(slopes, layer.split(w), np.split(z, layer.members), strict=True):
        own = np.square(slope)
        squares += (
            own.sum() * (c * c * np.square(z_j).sum() + 1.0),
            (own[:, np.newaxis] * np.square(c * W[:, :-1])).sum(),
        )
    a, b = np.sqrt(squares)
    return float(a), float(b)


def _by_rows(layer: Layer, w: Array, z: Array) -> tuple[float, float]:
    """Take row k of A and B as A^T e_k and B^T e_k, one after another."""
    squares = np.zeros(2)
    for k in range(layer.gives):
        e = np.zeros(layer.gives)
        e[k] = 1.0
        squares += np.square(layer.A_vjp(w, z, e)).sum(), np.square(layer.B_vjp(w, z, e)).sum()
    a, b = np.sqrt(squares)
    return float(a), float(b)
