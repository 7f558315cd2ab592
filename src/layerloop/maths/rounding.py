"""What rounding leaves of a gradient, eps the distance from 1 to the next number: where a check can know no better.

slopes in the scores   p - t, z - y: differences, known to eps of what they are differences of
central differences    f(w + s e_j) - f(w - s e_j), known to eps of f and of the outputs that f is made of
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from layerloop.maths.loops import loops

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from layerloop.maths.net import Net

EPS = float(np.finfo(np.float64).eps)


class Rounding(NamedTuple):
    """What rounding does to one sample's numbers.

    Attributes
    ----------
    cancellation : float
        max(|z_{L+2}|, |y|) / max |q_{L+1}|, how many times as large as the slopes in the scores is what they are
        differences of: large where a network is sure and right, or a value nearly met. 1 where there are no slopes.
    last_digit : float
        eps max(|f|, |z_{L+2}|), by how much f_{x,y} may be off in float64.
    """

    cancellation: float
    last_digit: float


def rounding(net: Net, w: ArrayLike, x: ArrayLike, y: ArrayLike) -> Rounding:
    """Run both loops and return what rounding does to their numbers.

    Examples
    --------
    >>> from layerloop.maths.net import program
    >>> net = program(1, [], 2)
    >>> rounding(net, [0.0, 0.0, 0.0, 0.0], [3.0], [1, 0]).cancellation
    2.0
    >>> sure = rounding(net, [0.0, 20.0, 0.0, 0.0], [3.0], [1, 0])  # its loss is about 2e-9
    >>> 1e8 < sure.cancellation < 1e9, f"{sure.last_digit:.3g}"
    (True, '2.22e-16')
    """
    forward, backward = loops(net, w, x, y, dense=False)
    outputs, value = (float(np.abs(forward.z[net.L + k]).max()) for k in (2, 3))
    slopes = float(np.abs(backward.q[net.L + 1]).max())
    terms = max(outputs, float(np.abs(np.asarray(y, np.float64)).max()))
    return Rounding(terms / slopes if 0 < slopes < np.inf else 1.0, EPS * max(value, outputs))
