"""Losses ell_y that are negative log-likelihoods of classes, labels or counts, their gradients, and fused forms.

Letters: z the outputs z_{L+2} of the network (where the docstring says so, the scores z_{L+1}); y the label,
one-hot for a class; both of shape (K,). A value is a number, a gradient has the shape of z.

Exact first, shortcut second: :func:`crossentropy` and its gradient -y/z are the notes' (section 7.2), and are
infinite where a probability with y_k > 0 underflowed to 0. :func:`softmax_crossentropy` and
:func:`modified_softmax_crossentropy` fuse head and loss, and stay finite; so do :func:`sigmoid_binarycrossentropy` and
:func:`exp_poisson`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from layerloop.maths.activations import sigma, softplus
from layerloop.maths.heads import append_zero, log_softmax, softmax
from layerloop.maths.labels import absolute, pair, smoothed, times

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from layerloop.maths.activations import Array


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
    z, y = pair(z, y)
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
    z, y = pair(z, y)
    y = smoothed(y, smoothing)
    return (0.0 - y) / np.where((y == 0) & (z == 0), 1.0, z)


def logitcrossentropy(z: ArrayLike, y: ArrayLike, smoothing: float = 0.0) -> float:
    """Cross-entropy of *scores* z, -sum_k y_k log gamma_k(z), as Flux's `logitcrossentropy`.

    Examples
    --------
    >>> float(logitcrossentropy([1e4, -1e4], [0, 1]))
    20000.0
    """
    z, y = pair(z, y)
    return _minus_sum(smoothed(y, smoothing), log_softmax(z))


def logitcrossentropy_gradient(z: ArrayLike, y: ArrayLike, smoothing: float = 0.0) -> Array:
    """Gradient with respect to the scores, (sum_k y_k) gamma(z) - y.

    Examples
    --------
    >>> logitcrossentropy_gradient([1e4, -1e4], [0, 1])
    array([ 1., -1.])
    """
    z, y = pair(z, y)
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
    z, y = pair(z, y)
    value: float = (_minus_sum(y, np.log(z)) + _minus_sum(1.0 - y, np.log(1.0 - z))) / z.size
    return value


def binarycrossentropy_gradient(z: ArrayLike, y: ArrayLike) -> Array:
    """Gradient of the binary cross-entropy, (-y / z + (1 - y) / (1 - z)) / n with 0 / 0 = 0.

    Examples
    --------
    >>> binarycrossentropy_gradient([0.25, 0.5], [1, 0])
    array([-2.,  1.])
    """
    z, y = pair(z, y)
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
    z, y = pair(z, y)
    far = np.where(z.real < 0, times(y, -z), times(1.0 - y, z))
    value: float = (softplus(-absolute(z)) + far).mean()
    return value


def logitbinarycrossentropy_gradient(z: ArrayLike, y: ArrayLike) -> Array:
    """Gradient with respect to the scores, (sigma(z) - y) / n, as ((1 - y) sigma(z) - y sigma(-z)) / n.

    Examples
    --------
    >>> logitbinarycrossentropy_gradient([0.0, 0.0], [1, 0])
    array([-0.25,  0.25])
    """
    z, y = pair(z, y)
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


@np.errstate(divide="ignore", invalid="ignore")
def poisson(z: ArrayLike, y: ArrayLike) -> float:
    """Poisson loss of rates z, the mean of z_k - y_k log z_k with 0 log 0 = 0: -log-likelihood without log y_k!.

    Examples
    --------
    >>> float(poisson([1.0, 2.0], [3.0, 0.0]))
    1.5
    """
    z, y = pair(z, y)
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
    z, y = pair(z, y)
    return (1.0 + crossentropy_gradient(z, y)) / z.size


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
    z, y = pair(z, y)
    rates = np.exp(z)
    value: float = (rates - times(y, z)).mean()
    return value, (rates - y) / z.size
