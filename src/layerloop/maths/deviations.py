"""Losses ell_y of values, by how far they are from the label, and their gradients.

Letters: z the outputs z_{L+2} of the network, y the label, both of shape (K,). A value is a number, a gradient has the
shape of z.

mae and quantile have a kink where z_k = y_k; their gradient there is 0. Huber's has none: its two pieces meet in value
and slope.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from layerloop.errors import ShapeError
from layerloop.maths.labels import absolute, pair

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from layerloop.maths.activations import Array


def mse(z: ArrayLike, y: ArrayLike) -> float:
    """Mean squared error, the mean of (z_k - y_k)^2 over the n entries, as Flux's `mse`.

    Examples
    --------
    >>> float(mse([1.0, 3.0], [0.0, 1.0]))
    2.5
    """
    z, y = pair(z, y)
    value: float = ((z - y) ** 2).mean()
    return value


def mse_gradient(z: ArrayLike, y: ArrayLike) -> Array:
    """Gradient of the mean squared error, (2/n) (z - y).

    Examples
    --------
    >>> mse_gradient([1.0, 3.0], [0.0, 1.0])
    array([1., 2.])
    """
    z, y = pair(z, y)
    return 2.0 * (z - y) / z.size


def mae(z: ArrayLike, y: ArrayLike) -> float:
    """Mean absolute error, the mean of |z_k - y_k| over the n entries.

    Examples
    --------
    >>> float(mae([1.0, 3.0], [0.0, 5.0]))
    1.5
    """
    z, y = pair(z, y)
    value: float = absolute(z - y).mean()
    return value


def mae_gradient(z: ArrayLike, y: ArrayLike) -> Array:
    """Gradient of the mean absolute error, sign(z - y) / n; 0 at the kink z_k = y_k.

    Examples
    --------
    >>> mae_gradient([1.0, 3.0], [0.0, 5.0])
    array([ 0.5, -0.5])
    """
    z, y = pair(z, y)
    return np.asarray(np.sign((z - y).real) / z.size)


def huber(z: ArrayLike, y: ArrayLike, delta: ArrayLike = 1.0) -> float:
    """Huber's loss, the mean of d^2/2 where |d| <= delta and of delta (|d| - delta/2) beyond, d = z_k - y_k.

    Parameters
    ----------
    delta : float, or one for each k
        Where the parabola becomes a straight line, in the unit of z and y.

    Examples
    --------
    >>> float(huber([0.5, 3.0], [0.0, 0.0]))  # (0.125 + 2.5) / 2
    1.3125
    """
    z, y = pair(z, y)
    d, delta = absolute(z - y), np.asarray(delta)
    value: float = np.where(d.real > delta, delta * (d - 0.5 * delta), 0.5 * d * d).mean()
    return value


def huber_gradient(z: ArrayLike, y: ArrayLike, delta: ArrayLike = 1.0) -> Array:
    """Gradient of Huber's loss, z - y held between -delta and delta, over n.

    Examples
    --------
    >>> huber_gradient([0.5, 3.0], [0.0, 0.0])
    array([0.25, 0.5 ])
    """
    z, y = pair(z, y)
    delta = np.asarray(delta)
    return np.asarray(np.clip((z - y).real, -delta, delta) / z.size)


def _levels(levels: ArrayLike, n: int) -> Array:
    """Return one level for each of n columns."""
    tau = np.atleast_1d(np.asarray(levels, np.float64))
    if tau.shape not in ((1,), (n,)):
        raise ShapeError(f"levels: expected one, or one for each of the {n} outputs, got {tau.size}")
    return np.broadcast_to(tau, (n,))


def quantile(z: ArrayLike, y: ArrayLike, levels: ArrayLike = 0.5) -> float:
    """Pinball loss of quantiles, the mean of max(tau (y_k - z_k), (tau - 1) (y_k - z_k)); tau is the output's level.

    The constant that makes its mean over a sample least is the sample's tau-quantile.

    Parameters
    ----------
    levels : float or sequence of float
        tau in (0, 1): one for all outputs, or one for each.

    Raises
    ------
    ShapeError
        When there are not as many levels as outputs.

    Examples
    --------
    >>> float(quantile([1.0, 1.0], [2.0, 0.0], levels=(0.9, 0.9)))  # (0.9 + 0.1) / 2
    0.5
    """
    z, y = pair(z, y)
    tau, d = _levels(levels, z.size), y - z
    value: float = np.where(d.real < 0, (tau - 1.0) * d, tau * d).mean()
    return value


def quantile_gradient(z: ArrayLike, y: ArrayLike, levels: ArrayLike = 0.5) -> Array:
    """Gradient of the pinball loss: -tau / n below the target, (1 - tau) / n above it, 0 at the kink z_k = y_k.

    Examples
    --------
    >>> quantile_gradient([1.0, 1.0], [2.0, 0.0], levels=(0.75, 0.75))
    array([-0.375,  0.125])
    """
    z, y = pair(z, y)
    tau, d = _levels(levels, z.size), (z - y).real
    slope = np.where(d < 0, -tau, np.where(d > 0, 1.0 - tau, d))  # 0 and NaN stay
    return np.asarray(slope / z.size)
