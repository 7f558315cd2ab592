"""Losses ell_y of one sample and their gradients, and the fused forms of softmax and cross-entropy.

Letters: z the outputs z_{L+2} of the network (where the docstring says so, the scores z_{L+1}); y the label,
one-hot for a class; both of shape (K,). A value is a number, a gradient has the shape of z.

Exact first, shortcut second: :func:`crossentropy` and its gradient -y/z are the notes' (section 7.2), and are
infinite where a probability with y_k > 0 underflowed to 0. :func:`softmax_crossentropy` and
:func:`modified_softmax_crossentropy` fuse head and loss, and stay finite.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

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


def _pair(z: ArrayLike, y: ArrayLike) -> tuple[Array, Array]:
    z = as_vector(z)
    return z, as_vector(y, "y", z.size)


def _minus_sum(y: Array, logs: Array) -> float:
    """Return -sum_k y_k logs_k with 0 log 0 = 0; a NaN among the logs stays."""
    # 0.0 - ... here and in the gradient below: a minus sign would give -0.0, which prints badly.
    value: float = 0.0 - (y * np.where((y == 0) & np.isinf(logs), 0.0, logs)).sum()
    return value


@np.errstate(divide="ignore", invalid="ignore")
def crossentropy(z: ArrayLike, y: ArrayLike) -> float:
    """Cross-entropy ell_y(z) = -sum_k y_k log z_k, with 0 log 0 = 0.

    Parameters
    ----------
    z : array, shape (K,)
        Probabilities. z_k = 0 with y_k > 0 gives infinity; a negative z_k gives NaN.
    y : array, shape (K,)

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
    return _minus_sum(y, np.log(z))


@np.errstate(divide="ignore", over="ignore", under="ignore")
def crossentropy_gradient(z: ArrayLike, y: ArrayLike) -> Array:
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


def logitcrossentropy(z: ArrayLike, y: ArrayLike) -> float:
    """Cross-entropy of *scores* z, -sum_k y_k log gamma_k(z), as Flux's `logitcrossentropy`.

    Examples
    --------
    >>> float(logitcrossentropy([1e4, -1e4], [0, 1]))
    20000.0
    """
    z, y = _pair(z, y)
    return _minus_sum(y, log_softmax(z))


def logitcrossentropy_gradient(z: ArrayLike, y: ArrayLike) -> Array:
    """Gradient with respect to the scores, (sum_k y_k) gamma(z) - y.

    Examples
    --------
    >>> logitcrossentropy_gradient([1e4, -1e4], [0, 1])
    array([ 1., -1.])
    """
    z, y = _pair(z, y)
    return np.asarray(y.sum() * softmax(z) - y)


def softmax_crossentropy(z: ArrayLike, y: ArrayLike) -> tuple[float, Array]:
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
    return logitcrossentropy(z, y), logitcrossentropy_gradient(z, y)


def modified_softmax_crossentropy(z: ArrayLike, y: ArrayLike) -> tuple[float, Array]:
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
    value, gradient = softmax_crossentropy(append_zero(z), y)
    return value, gradient[:-1]


LOSSES: Mapping[str, Loss] = MappingProxyType(
    {
        "crossentropy": Loss(crossentropy, crossentropy_gradient),
        "mse": Loss(mse, mse_gradient),
        "logitcrossentropy": Loss(logitcrossentropy, logitcrossentropy_gradient),
    }
)
# (head, loss) -> (scores, y) -> (value, gradient with respect to the scores)
FUSED: Mapping[tuple[str, str], Callable[[ArrayLike, ArrayLike], tuple[float, Array]]] = MappingProxyType(
    {
        ("softmax", "crossentropy"): softmax_crossentropy,
        ("modified_softmax", "crossentropy"): modified_softmax_crossentropy,
    }
)
