"""What rounding leaves of a gradient, eps the distance from 1 to the next number: where a check can know no better.

slopes in the scores   p - t, z - y: differences, known to eps of what they are differences of
central differences    f(w + s e_j) - f(w - s e_j), known to eps of f and of the outputs that f is made of
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from layerloop.maths.loops import loops

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from layerloop.maths.net import Net


def cancellation(net: Net, w: ArrayLike, x: ArrayLike, y: ArrayLike) -> float:
    """Return how many times as large as the slopes in the scores is what they are differences of.

    max(|z_{L+2}|, |y|) / max |q_{L+1}|: large where a network is sure and right, or a value nearly met. 1 where there
    are no slopes to compare with.

    Examples
    --------
    >>> from layerloop.maths.net import program
    >>> net = program(1, [], 2)
    >>> cancellation(net, [0.0, 0.0, 0.0, 0.0], [3.0], [1, 0])
    2.0
    >>> 1e8 < cancellation(net, [0.0, 20.0, 0.0, 0.0], [3.0], [1, 0]) < 1e9
    True
    """
    forward, backward = loops(net, w, x, y, dense=False)
    slopes = float(np.abs(backward.q[net.L + 1]).max())
    terms = max(np.abs(forward.z[net.L + 2]).max(), np.abs(np.asarray(y, np.float64)).max())
    return float(terms) / slopes if 0 < slopes < np.inf else 1.0


def last_digit(net: Net, w: ArrayLike, x: ArrayLike, y: ArrayLike) -> float:
    """Return by how much f_{x,y} may be off in float64: eps max(|f|, |z_{L+2}|).

    Examples
    --------
    >>> from layerloop.maths.net import program
    >>> digit = last_digit(program(1, [], 2), [0.0, 20.0, 0.0, 0.0], [3.0], [1, 0])  # the loss itself is about 2e-9
    >>> f"{digit:.3g}"
    '2.22e-16'
    """
    forward, _ = loops(net, w, x, y, dense=False)
    terms = max(float(np.abs(forward.z[net.L + k]).max()) for k in (2, 3))
    return float(np.finfo(np.float64).eps * terms)
