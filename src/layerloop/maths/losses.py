"""Losses ell_y of one sample and their gradients, and the fused forms of head and loss.

Letters: z the outputs z_{L+2} of the network (where the docstring says so, the scores z_{L+1}); y the label,
one-hot for a class; both of shape (K,). A value is a number, a gradient has the shape of z.

Exact first, shortcut second: :func:`crossentropy` and its gradient -y/z are the notes' (section 7.2), and are
infinite where a probability with y_k > 0 underflowed to 0. :func:`softmax_crossentropy` and
:func:`modified_softmax_crossentropy` fuse head and loss, and stay finite; so do :func:`sigmoid_binarycrossentropy` and
:func:`exp_poisson`.

mae and quantile have a kink where z_k = y_k; their gradient there is 0. Huber's has none: its two pieces meet in value
and slope.
"""

from __future__ import annotations

from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from layerloop.errors import ShapeError, look_up
from layerloop.maths.activations import sigma, softplus
from layerloop.maths.heads import append_zero, as_vector, log_softmax, softmax

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import ArrayLike

    from layerloop.maths.activations import Array


class Loss(NamedTuple):
    """One row of :data:`LOSSES`, or a loss of one's own: two functions of (z, y).

    Attributes
    ----------
    value : callable
        (z, y) -> ell_y(z), a number.
    gradient : callable
        (z, y) -> gradient with respect to z, shape of z.
    """

    value: Callable[[Array, Array], float]
    gradient: Callable[[Array, Array], Array]


def smoothed(y: ArrayLike, smoothing: float) -> Array:
    """Return the label of which a share is spread evenly over all K classes, (1 - s) y + s / K.

    Examples
    --------
    >>> smoothed([1, 0, 0, 0], 0.1)
    array([0.925, 0.025, 0.025, 0.025])
    """
    y = as_vector(y, "y")
    return (1.0 - smoothing) * y + smoothing / y.size


def _pair(z: ArrayLike, y: ArrayLike) -> tuple[Array, Array]:
    z = as_vector(z)
    return z, as_vector(y, "y", z.size)


def _minus_sum(y: Array, logs: Array) -> float:
    """Return -sum_k y_k logs_k with 0 log 0 = 0; a NaN among the logs stays."""
    # 0.0 - ... here and in the gradient below: a minus sign would give -0.0, which prints badly.
    value: float = 0.0 - (y * np.where((y == 0) & np.isinf(logs), 0.0, logs)).sum()
    return value


@np.errstate(divide="ignore", invalid="ignore")
def crossentropy(z: ArrayLike, y: ArrayLike, smoothing: float = 0.0) -> float:
    """Cross-entropy ell_y(z) = -sum_k y_k log z_k, with 0 log 0 = 0.

    Parameters
    ----------
    z : array, shape (K,)
        Probabilities. z_k = 0 with y_k > 0 gives infinity; a negative z_k gives NaN.
    y : array, shape (K,)
    smoothing : float
        Share s of the label that is spread over all classes: y is taken as (1 - s) y + s / K.

    Raises
    ------
    ShapeError
        When z and y are not vectors of one length.

    Examples
    --------
    >>> float(crossentropy([1.0, 0.0], [1, 0]))
    0.0
    >>> float(crossentropy([1.0, 0.0], [0, 1]))
    inf

    Notes
    -----
    H(y, z_{L+2}) of section 7.1 (printed there with z_{L+1}).
    """
    z, y = _pair(z, y)
    return _minus_sum(smoothed(y, smoothing), np.log(z))


@np.errstate(divide="ignore", over="ignore", under="ignore")
def crossentropy_gradient(z: ArrayLike, y: ArrayLike, smoothing: float = 0.0) -> Array:
    """Gradient of the cross-entropy, -y / z entry by entry, with 0 / 0 = 0.

    Examples
    --------
    >>> crossentropy_gradient([0.5, 0.5, 0.0], [0, 1, 0])
    array([ 0., -2.,  0.])
    >>> crossentropy_gradient([1.0, 0.0], [0, 1])
    array([  0., -inf])

    Notes
    -----
    q_{L+2} of section 7.2.
    """
    z, y = _pair(z, y)
    y = smoothed(y, smoothing)
    return (0.0 - y) / np.where((y == 0) & (z == 0), 1.0, z)


def mse(z: ArrayLike, y: ArrayLike) -> float:
    """Mean squared error, the mean of (z_k - y_k)^2 over the n entries, as Flux's `mse`.

    Examples
    --------
    >>> float(mse([1.0, 3.0], [0.0, 1.0]))
    2.5
    """
    z, y = _pair(z, y)
    value: float = ((z - y) ** 2).mean()
    return value


def mse_gradient(z: ArrayLike, y: ArrayLike) -> Array:
    """Gradient of the mean squared error, (2/n) (z - y).

    Examples
    --------
    >>> mse_gradient([1.0, 3.0], [0.0, 1.0])
    array([1., 2.])
    """
    z, y = _pair(z, y)
    return 2.0 * (z - y) / z.size


def logitcrossentropy(z: ArrayLike, y: ArrayLike, smoothing: float = 0.0) -> float:
    """Cross-entropy of *scores* z, -sum_k y_k log gamma_k(z), as Flux's `logitcrossentropy`.

    Examples
    --------
    >>> float(logitcrossentropy([1e4, -1e4], [0, 1]))
    20000.0
    """
    z, y = _pair(z, y)
    return _minus_sum(smoothed(y, smoothing), log_softmax(z))


def logitcrossentropy_gradient(z: ArrayLike, y: ArrayLike, smoothing: float = 0.0) -> Array:
    """Gradient with respect to the scores, (sum_k y_k) gamma(z) - y.

    Examples
    --------
    >>> logitcrossentropy_gradient([1e4, -1e4], [0, 1])
    array([ 1., -1.])
    """
    z, y = _pair(z, y)
    y = smoothed(y, smoothing)
    return np.asarray(y.sum() * softmax(z) - y)


def softmax_crossentropy(z: ArrayLike, y: ArrayLike, smoothing: float = 0.0) -> tuple[float, Array]:
    """Fuse softmax and cross-entropy: return (value, gradient with respect to the scores).

        value    = -sum_k y_k log gamma_k(z)
        gradient = J_gamma(z)^T (-y / gamma(z)) = (sum_k y_k) gamma(z) - y

    Parameters
    ----------
    z : array, shape (K,)
        Scores z_{L+1}.
    y : array, shape (K,)

    Examples
    --------
    >>> value, gradient = softmax_crossentropy([0.0, 0.0], [1, 0])
    >>> gradient
    array([-0.5,  0.5])
    """
    return logitcrossentropy(z, y, smoothing), logitcrossentropy_gradient(z, y, smoothing)


def modified_softmax_crossentropy(z: ArrayLike, y: ArrayLike, smoothing: float = 0.0) -> tuple[float, Array]:
    """Fuse modified softmax and cross-entropy: return (value, gradient with respect to the scores).

        value    = -sum_k y_k log gamma~_k(z)
        gradient = C_K[z]^T (-y / g) = (g - y)_{1..K-1}        for sum_k y_k = 1

    Parameters
    ----------
    z : array, shape (K-1,)
        Scores z_{L+1}.
    y : array, shape (K,)

    Examples
    --------
    >>> value, gradient = modified_softmax_crossentropy([0.0], [1, 0])
    >>> gradient
    array([-0.5])
    """
    value, gradient = softmax_crossentropy(append_zero(z), y, smoothing)
    return value, gradient[:-1]


def mae(z: ArrayLike, y: ArrayLike) -> float:
    """Mean absolute error, the mean of |z_k - y_k| over the n entries.

    Examples
    --------
    >>> float(mae([1.0, 3.0], [0.0, 5.0]))
    1.5
    """
    z, y = _pair(z, y)
    value: float = _absolute(z - y).mean()
    return value


def mae_gradient(z: ArrayLike, y: ArrayLike) -> Array:
    """Gradient of the mean absolute error, sign(z - y) / n; 0 at the kink z_k = y_k.

    Examples
    --------
    >>> mae_gradient([1.0, 3.0], [0.0, 5.0])
    array([ 0.5, -0.5])
    """
    z, y = _pair(z, y)
    return np.asarray(np.sign((z - y).real) / z.size)


def _absolute(d: Array) -> Array:
    """Return d or -d by the sign of its real part, so that a complex step sees the slope; |NaN| = NaN."""
    return np.where(d.real < 0, -d, d)


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
    z, y = _pair(z, y)
    d, delta = _absolute(z - y), np.asarray(delta)
    value: float = np.where(d.real > delta, delta * (d - 0.5 * delta), 0.5 * d * d).mean()
    return value


def huber_gradient(z: ArrayLike, y: ArrayLike, delta: ArrayLike = 1.0) -> Array:
    """Gradient of Huber's loss, z - y held between -delta and delta, over n.

    Examples
    --------
    >>> huber_gradient([0.5, 3.0], [0.0, 0.0])
    array([0.25, 0.5 ])
    """
    z, y = _pair(z, y)
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
    z, y = _pair(z, y)
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
    z, y = _pair(z, y)
    tau, d = _levels(levels, z.size), (z - y).real
    slope = np.where(d < 0, -tau, np.where(d > 0, 1.0 - tau, d))  # 0 and NaN stay
    return np.asarray(slope / z.size)


@np.errstate(divide="ignore", invalid="ignore")
def poisson(z: ArrayLike, y: ArrayLike) -> float:
    """Poisson loss of rates z, the mean of z_k - y_k log z_k with 0 log 0 = 0: -log-likelihood without log y_k!.

    Examples
    --------
    >>> float(poisson([1.0, 2.0], [3.0, 0.0]))
    1.5
    """
    z, y = _pair(z, y)
    value: float = (z.sum() + _minus_sum(y, np.log(z))) / z.size
    return value


@np.errstate(divide="ignore", over="ignore", under="ignore")
def poisson_gradient(z: ArrayLike, y: ArrayLike) -> Array:
    """Gradient of the Poisson loss, (1 - y / z) / n with 0 / 0 = 0.

    Examples
    --------
    >>> poisson_gradient([1.0, 2.0], [3.0, 0.0])
    array([-1. ,  0.5])
    """
    z, y = _pair(z, y)
    return (1.0 + crossentropy_gradient(z, y)) / z.size


@np.errstate(divide="ignore", invalid="ignore")
def binarycrossentropy(z: ArrayLike, y: ArrayLike) -> float:
    """Binary cross-entropy, the mean over the entries of -y_k log z_k - (1 - y_k) log(1 - z_k), with 0 log 0 = 0.

    Parameters
    ----------
    z : array, shape (K,)
        Probabilities, each of a yes of its own: they need not sum to 1.
    y : array, shape (K,)
        Entries in [0, 1].

    Examples
    --------
    >>> round(float(binarycrossentropy([0.25], [1])), 4)  # log 4
    1.3863
    """
    z, y = _pair(z, y)
    value: float = (_minus_sum(y, np.log(z)) + _minus_sum(1.0 - y, np.log(1.0 - z))) / z.size
    return value


def binarycrossentropy_gradient(z: ArrayLike, y: ArrayLike) -> Array:
    """Gradient of the binary cross-entropy, (-y / z + (1 - y) / (1 - z)) / n with 0 / 0 = 0.

    Examples
    --------
    >>> binarycrossentropy_gradient([0.25, 0.5], [1, 0])
    array([-2.,  1.])
    """
    z, y = _pair(z, y)
    return (crossentropy_gradient(z, y) - crossentropy_gradient(1.0 - z, 1.0 - y)) / z.size


@np.errstate(under="ignore", invalid="ignore")
def logitbinarycrossentropy(z: ArrayLike, y: ArrayLike) -> float:
    """Binary cross-entropy of scores, the mean of log(1 + e^-|z|) + y max(-z, 0) + (1 - y) max(z, 0).

    Equal to -y log sigma(z) - (1 - y) log sigma(-z), without taking a logarithm of what underflowed.

    Examples
    --------
    >>> float(logitbinarycrossentropy([1e4, 1e4], [0, 1]))
    5000.0
    """
    z, y = _pair(z, y)
    far = np.where(z.real < 0, _times(y, -z), _times(1.0 - y, z))
    value: float = (softplus(-_absolute(z)) + far).mean()
    return value


def _times(y: Array, z: Array) -> Array:
    """Return y z with 0 inf = 0; 0 NaN stays NaN."""
    return np.where((y == 0) & ~np.isnan(z), 0.0, y * z)


def logitbinarycrossentropy_gradient(z: ArrayLike, y: ArrayLike) -> Array:
    """Gradient with respect to the scores, (sigma(z) - y) / n, as ((1 - y) sigma(z) - y sigma(-z)) / n.

    Examples
    --------
    >>> logitbinarycrossentropy_gradient([0.0, 0.0], [1, 0])
    array([-0.25,  0.25])
    """
    z, y = _pair(z, y)
    return np.asarray(((1.0 - y) * sigma(z) - y * sigma(-z)) / z.size)


def sigmoid_binarycrossentropy(z: ArrayLike, y: ArrayLike) -> tuple[float, Array]:
    """Fuse sigmoid and binary cross-entropy: return (value, gradient with respect to the scores).

        gradient = (sigma(z) - y) / n

    Examples
    --------
    >>> value, gradient = sigmoid_binarycrossentropy([0.0], [1])
    >>> gradient
    array([-0.5])
    """
    return logitbinarycrossentropy(z, y), logitbinarycrossentropy_gradient(z, y)


@np.errstate(under="ignore", over="ignore", invalid="ignore")
def exp_poisson(z: ArrayLike, y: ArrayLike) -> tuple[float, Array]:
    """Fuse exp and Poisson loss: return (value, gradient with respect to the scores, the logarithms of the rates).

        value    = mean of e^{z_k} - y_k z_k
        gradient = (e^z - y) / n

    Examples
    --------
    >>> value, gradient = exp_poisson([0.0], [3])
    >>> gradient
    array([-2.])
    """
    z, y = _pair(z, y)
    rates = np.exp(z)
    value: float = (rates - _times(y, z)).mean()
    return value, (rates - y) / z.size


LOSSES: Mapping[str, Loss] = MappingProxyType(
    {
        "crossentropy": Loss(crossentropy, crossentropy_gradient),
        "logitcrossentropy": Loss(logitcrossentropy, logitcrossentropy_gradient),
        "binarycrossentropy": Loss(binarycrossentropy, binarycrossentropy_gradient),
        "logitbinarycrossentropy": Loss(logitbinarycrossentropy, logitbinarycrossentropy_gradient),
        "mse": Loss(mse, mse_gradient),
        "mae": Loss(mae, mae_gradient),
        "huber": Loss(huber, huber_gradient),
        "quantile": Loss(quantile, quantile_gradient),
        "poisson": Loss(poisson, poisson_gradient),
    }
)
# (head, loss) -> (scores, y) -> (value, gradient with respect to the scores)
FUSED: Mapping[tuple[str, str], Callable[..., tuple[float, Array]]] = MappingProxyType(
    {
        ("softmax", "crossentropy"): softmax_crossentropy,
        ("modified_softmax", "crossentropy"): modified_softmax_crossentropy,
        ("sigmoid", "binarycrossentropy"): sigmoid_binarycrossentropy,
        ("exp", "poisson"): exp_poisson,
    }
)


def loss_named(name: str, **settings: object) -> Loss:
    """Return a loss of the table with its settings bound.

    Raises
    ------
    UnknownNameError
        When the table has no such loss.

    Examples
    --------
    >>> float(loss_named("huber", delta=2.0).value([3.0], [0.0]))
    4.0
    """
    row = look_up(LOSSES, name, "loss")
    return Loss(partial(row.value, **settings), partial(row.gradient, **settings))
