"""Softmax gamma and modified softmax gamma~: values, logarithms, Jacobians, and the heads, with sigma and exp by entry.

Letters: z scores, (K,) for the softmax and (K-1,) for the modified one; g their probabilities, (K,); q a
vector of the outputs' shape, (K,), that a Jacobian's transpose pulls back to the scores.

The modified softmax (notes, section 7.1 and the chapter on logistic regression) gives the last class score 0:

    gamma~_k(z) = e^{z_k} / (1 + sum_{j<K} e^{z_j}),  k < K,        gamma~_K(z) = 1 / (1 + sum_{j<K} e^{z_j})

so it is the softmax of (z; 0), and its Jacobian C_K is that softmax's without the last column. With K = 2 it
is logistic regression, and sigma(z_1) belongs to the *first* class.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from layerloop.errors import ShapeError
from layerloop.maths.activations import as_numbers, sigma, sigma_prime, softplus

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import ArrayLike

    from layerloop.maths.activations import Array


class Head(NamedTuple):
    """One row of :data:`HEADS`: what turns the scores z_{L+1} into the outputs z_{L+2}.

    Attributes
    ----------
    f : callable
        z (n,) -> outputs (n + extra,).
    jacobian : callable
        z -> dense Jacobian B_{L+1}, (n + extra, n).
    vjp : callable
        (z, q) -> B_{L+1}^T q, (n,), without the dense matrix.
    log_f : callable or None
        z -> log f(z) without forming f(z); None where the outputs have no logarithm.
    extra : int
        How many outputs there are beyond the scores.
    """

    f: Callable[[ArrayLike], Array]
    jacobian: Callable[[ArrayLike], Array]
    vjp: Callable[[ArrayLike, ArrayLike], Array]
    log_f: Callable[[ArrayLike], Array] | None
    extra: int


def as_vector(z: ArrayLike, what: str = "z", n: int | None = None) -> Array:
    """Return z as a vector of float64 or complex128 numbers, of length n where n is given.

    Raises
    ------
    ShapeError
        When z is not a vector, or has another length.

    Examples
    --------
    >>> as_vector([1, 2], "x", 3)
    Traceback (most recent call last):
    layerloop.errors.ShapeError: x: expected shape (3,), got (2,)
    """
    vector = as_numbers(z)
    if vector.ndim != 1 or (n is not None and vector.size != n):
        raise ShapeError(f"{what}: expected shape {'(n,)' if n is None else (n,)}, got {vector.shape}")
    return vector


def _scores(z: ArrayLike) -> Array:
    z = as_vector(z, "scores z")
    if z.size == 0:
        raise ShapeError("scores z: expected at least one score, got none")
    return z


def append_zero(z: ArrayLike) -> Array:
    """Return (z; 0), the scores with the last class's score 0.

    Examples
    --------
    >>> append_zero([1.0, 2.0])
    array([1., 2., 0.])
    """
    return np.append(as_vector(z, "scores z"), 0.0)


@np.errstate(invalid="ignore", over="ignore")
def _below_max(z: Array) -> Array:
    """Return z - max(z); the largest entry's difference with itself is 0 even when it is infinite."""
    k = np.argmax(z.real)
    d: Array = z - z.real[k]
    if not np.isnan(z[k]):
        d.real[k] = 0.0
    return d


@np.errstate(under="ignore")
def logsumexp(z: ArrayLike) -> Array:
    """Return log sum_k e^{z_k} = m + log sum_k e^{z_k - m} with m the largest score.

    Examples
    --------
    >>> float(logsumexp([1e4, -1e4]))
    10000.0
    """
    z = _scores(z)
    m = z.real.max()
    return m if np.isinf(m) else np.asarray(m + np.log(np.exp(z - m).sum()))[()]


@np.errstate(under="ignore")
def softmax(z: ArrayLike) -> Array:
    """Softmax gamma_k(z) = e^{z_k} / sum_j e^{z_j}, stable: the largest score is subtracted first.

    Parameters
    ----------
    z : array, shape (K,)
        Scores. One infinite score gives the limit; several have none and give NaN.

    Returns
    -------
    array, shape (K,)

    Raises
    ------
    ShapeError
        When z is not a vector of at least one score.

    Examples
    --------
    >>> softmax([0.0, 0.0, -1e4])
    array([0.5, 0.5, 0. ])

    Notes
    -----
    The head of the notes' program, section 7.3. :func:`softmax_as_written` is the formula without the shift.
    """
    e = np.exp(_below_max(_scores(z)))
    return np.asarray(e / e.sum())


def softmax_as_written(z: ArrayLike) -> Array:
    """Return gamma(z) as the formula stands, e^{z_k} / sum_j e^{z_j}: overflows for scores above 709."""
    e = np.exp(_scores(z))
    return np.asarray(e / e.sum())


@np.errstate(under="ignore")
def log_softmax(z: ArrayLike) -> Array:
    """Return log gamma(z) = z - logsumexp(z), finite where gamma itself underflows to 0.

    Examples
    --------
    >>> log_softmax([1e4, -1e4])
    array([     0., -20000.])
    """
    d = _below_max(_scores(z))
    return np.asarray(d - np.log(np.exp(d).sum()))


def modified_softmax(z: ArrayLike) -> Array:
    """Return gamma~(z), the modified softmax R^{K-1} -> R^K: the softmax of (z; 0).

    Parameters
    ----------
    z : array, shape (K-1,)

    Returns
    -------
    array, shape (K,)

    Examples
    --------
    >>> modified_softmax([np.log(3.0)])
    array([0.75, 0.25])

    Notes
    -----
    Layer L+1 of the notes, section 7.1.
    """
    return softmax(append_zero(z))


def modified_softmax_as_written(z: ArrayLike) -> Array:
    """Return gamma~(z) as the formula stands, (e^z; 1) / (1 + sum_j e^{z_j}): overflows above 709."""
    e = np.exp(_scores(z))
    return np.asarray(np.append(e, 1.0) / (1.0 + e.sum()))


def log_modified_softmax(z: ArrayLike) -> Array:
    """Return log gamma~(z), shape (K,), finite where gamma~ itself underflows to 0."""
    return log_softmax(append_zero(z))


@np.errstate(under="ignore")
def softmax_jacobian(z: ArrayLike) -> Array:
    """Return the Jacobian of the softmax, diag(g) - g g^T with g = gamma(z), shape (K, K).

    Examples
    --------
    >>> softmax_jacobian([0.0, 0.0])
    array([[ 0.25, -0.25],
           [-0.25,  0.25]])
    """
    g = softmax(z)
    return np.diag(g) - np.outer(g, g)


@np.errstate(under="ignore", invalid="ignore")
def softmax_vjp(z: ArrayLike, q: ArrayLike) -> Array:
    """Return J^T q = g o (q - <g, q>) for the softmax's Jacobian J, shape (K,).

    An infinite q where g underflowed gives 0 * inf = NaN, as the dense product does.
    """
    g = softmax(z)
    q = as_vector(q, "q", g.size)
    return g * (q - g @ q)


def C_K(z: ArrayLike) -> Array:
    """Return the Jacobian of the modified softmax: the first K-1 columns of diag(g) - g g^T, shape (K, K-1).

    Examples
    --------
    >>> C_K([0.0])
    array([[ 0.25],
           [-0.25]])

    Notes
    -----
    C_K[z_{L+1}] of section 7.2. C_K^T (-y / g) = (g - y)_{1..K-1} when the y_k sum to 1.
    """
    return softmax_jacobian(append_zero(z))[:, :-1]


def C_K_vjp(z: ArrayLike, q: ArrayLike) -> Array:
    """Return C_K[z]^T q, shape (K-1,), without the dense matrix."""
    return softmax_vjp(append_zero(z), q)[:-1]


def _identity(z: ArrayLike) -> Array:
    return _scores(z).copy()


def _identity_jacobian(z: ArrayLike) -> Array:
    return np.eye(_scores(z).size)


def _identity_vjp(z: ArrayLike, q: ArrayLike) -> Array:
    return as_vector(q, "q", _scores(z).size).copy()


@np.errstate(over="ignore", under="ignore")
def _exp(z: ArrayLike) -> Array:
    return np.exp(_scores(z))


def _by_entry(
    f: Callable[[ArrayLike], Array], df: Callable[[ArrayLike], Array], log_f: Callable[[Array], Array]
) -> Head:
    """Return the head of a function taken entry by entry, whose Jacobian is diag(f'(z))."""
    return Head(
        lambda z: f(_scores(z)),
        lambda z: np.diag(df(_scores(z))),
        lambda z, q: df(_scores(z)) * as_vector(q, "q", _scores(z).size),
        lambda z: log_f(_scores(z)),
        0,
    )


HEADS: Mapping[str, Head] = MappingProxyType(
    {
        "identity": Head(_identity, _identity_jacobian, _identity_vjp, None, 0),
        "softmax": Head(softmax, softmax_jacobian, softmax_vjp, log_softmax, 0),
        "modified_softmax": Head(modified_softmax, C_K, C_K_vjp, log_modified_softmax, 1),
        "sigmoid": _by_entry(sigma, sigma_prime, lambda z: -softplus(-z)),
        "exp": _by_entry(_exp, _exp, lambda z: z.copy()),
    }
)
