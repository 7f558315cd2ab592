"""Activations sigma and their derivatives, componentwise: the notes' sigmoid first, then the usual others.

Letters: t is any array, in layer i the pre-activation W_i z_i^{;1}, shape (n_{i+1},); f(t) and f'(t) have the
shape of t.

The notes (section 7.1) take the sigmoid for every layer and say that there are many other choices; the table
:data:`ACTIVATIONS` holds both. Conventions of every row:

* float64 in, float64 out; complex128 passes through, for the complex-step derivative: a function in pieces takes
  the piece of the real part;
* infinities give the limit, NaN gives NaN, and no warning is raised for any t;
* at a kink the derivative is the one from the left, so relu'(0) = 0.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from layerloop.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import ArrayLike, NDArray

    Array = NDArray[np.float64]  # complex128 passes through too, on the way of a complex step

LEAKY_SLOPE = 0.01
# Klambauer et al. 2017, equation 14: the pair that keeps mean 0 and variance 1 from layer to layer.
SELU_ALPHA = 1.6732632423543772848170429916717
SELU_SCALE = 1.0507009873554804934193349852946


class Activation(NamedTuple):
    """One row of :data:`ACTIVATIONS`.

    Attributes
    ----------
    f, df : callable
        The function and its derivative, both componentwise.
    kinks : tuple of float
        Points where f is not twice differentiable, so that differences across them do not converge fast.
    analytic : bool
        Whether one formula holds everywhere; otherwise a complex step sees one side of a kink only.
    """

    f: Callable[[ArrayLike], Array]
    df: Callable[[ArrayLike], Array]
    kinks: tuple[float, ...]
    analytic: bool


def as_numbers(t: ArrayLike) -> Array:
    """Return t as a float64 array, or complex128 when it is complex; no copy when it is one already.

    Raises
    ------
    InputError
        When t does not hold numbers.

    Examples
    --------
    >>> as_numbers([1, 2])
    array([1., 2.])
    """
    array: Array = np.asarray(t)
    if array.dtype == np.float64:  # said first: the loops ask for every vector
        return array
    if array.dtype.kind not in "biufc":
        raise InputError(f"expected numbers, got an array of {array.dtype}")
    return array.astype(np.complex128 if array.dtype.kind == "c" else np.float64, copy=False)


def _minus_abs(t: Array) -> Array:
    """Return -|t|, or for complex t the one of t and -t that lies in the left half-plane."""
    return np.where(t.real > 0, -t, t)


def _negative_part(t: Array) -> Array:
    """Return t where its real part is at most 0 (or NaN), else 0: what an exponential may see without overflow."""
    return np.where(t.real > 0, 0.0, t)


def _keep_nan(t: Array, value: ArrayLike) -> Array:
    return np.where(np.isnan(t), t, value)[()]


def _times(t: Array, e: Array) -> Array:
    """Return t e where e falls faster than t grows: once e is 0 the product is 0, even for infinite t."""
    return np.asarray(np.where(e == 0, 0.0, t) * e)[()]


@np.errstate(under="ignore")
def sigma(t: ArrayLike) -> Array:
    """Sigmoid, sigma(t) = 1 / (1 + e^-t), written with e^-|t| so that nothing overflows.

    Examples
    --------
    >>> sigma([-1e4, 0, 1e4])
    array([0. , 0.5, 1. ])

    Notes
    -----
    Section 7.1.
    """
    t = as_numbers(t)
    e = np.exp(_minus_abs(t))
    return np.where(t.real > 0, 1.0, e) / (1.0 + e)


@np.errstate(under="ignore")
def sigma_prime(t: ArrayLike) -> Array:
    """Logistic differential equation, sigma'(t) = sigma(t) (1 - sigma(t)).

    1 - sigma(t) is taken as sigma(-t), which keeps its digits where sigma(t) is near 1.

    Examples
    --------
    >>> sigma_prime([-1e4, 0, 1e4])
    array([0.  , 0.25, 0.  ])

    Notes
    -----
    Section 7.1.
    """
    t = as_numbers(t)
    return sigma(t) * sigma(-t)


def identity(t: ArrayLike) -> Array:
    """Identity, f(t) = t: the layer stays affine, as the last one of the notes' program (section 7.3)."""
    return as_numbers(t).copy()


def identity_prime(t: ArrayLike) -> Array:
    """Return the derivative of the identity, f'(t) = 1."""
    t = as_numbers(t)
    return _keep_nan(t, 1.0)


def tanh(t: ArrayLike) -> Array:
    """Hyperbolic tangent, f(t) = (e^t - e^-t) / (e^t + e^-t) = 2 sigma(2t) - 1."""
    return np.tanh(as_numbers(t))


@np.errstate(over="ignore")
def tanh_prime(t: ArrayLike) -> Array:
    """Return the derivative of tanh, f'(t) = 1 - tanh(t)^2 = 4 sigma'(2t).

    The last form is used: it does not cancel in the tails.
    """
    return 4.0 * sigma_prime(2.0 * as_numbers(t))


def relu(t: ArrayLike) -> Array:
    """Rectifier, f(t) = max(t, 0)."""
    t = as_numbers(t)
    return np.where(t.real <= 0, 0.0, t)[()]  # asked this way round, NaN stays


def relu_prime(t: ArrayLike) -> Array:
    """Return the derivative of the rectifier, 1 for t > 0 and 0 for t <= 0.

    Examples
    --------
    >>> relu_prime([-1, 0, 2])
    array([0., 0., 1.])
    """
    t = as_numbers(t)
    return _keep_nan(t, np.where(t.real > 0, 1.0, 0.0))


def leaky_relu(t: ArrayLike) -> Array:
    """Leaky rectifier, f(t) = t for t > 0 and 0.01 t for t <= 0."""
    t = as_numbers(t)
    return np.where(t.real > 0, 1.0, LEAKY_SLOPE) * t


def leaky_relu_prime(t: ArrayLike) -> Array:
    """Return the derivative of the leaky rectifier, 1 for t > 0 and 0.01 for t <= 0."""
    t = as_numbers(t)
    return _keep_nan(t, np.where(t.real > 0, 1.0, LEAKY_SLOPE))


@np.errstate(under="ignore")
def elu(t: ArrayLike) -> Array:
    """Exponential linear unit with scale 1, f(t) = t for t > 0 and e^t - 1 for t <= 0."""
    t = as_numbers(t)
    return np.where(t.real > 0, t, np.expm1(_negative_part(t)))[()]


@np.errstate(under="ignore")
def elu_prime(t: ArrayLike) -> Array:
    """Return the derivative of the exponential linear unit, e^min(t, 0): continuous, with a bend at 0."""
    return np.exp(_negative_part(as_numbers(t)))


@np.errstate(under="ignore")
def selu(t: ArrayLike) -> Array:
    """Self-normalising unit, f(t) = s t for t > 0 and s a (e^t - 1) for t <= 0; s = 1.0507, a = 1.6733.

    The constants are :data:`SELU_SCALE` and :data:`SELU_ALPHA` (Klambauer et al. 2017).
    """
    t = as_numbers(t)
    return SELU_SCALE * np.where(t.real > 0, t, SELU_ALPHA * np.expm1(_negative_part(t)))


@np.errstate(under="ignore")
def selu_prime(t: ArrayLike) -> Array:
    """Return the derivative of the self-normalising unit, s for t > 0 and s a e^t for t <= 0, so s a at 0."""
    t = as_numbers(t)
    return SELU_SCALE * np.where(t.real > 0, 1.0, SELU_ALPHA * np.exp(_negative_part(t)))


def _normal_cdf(t: Array) -> Array:
    """Return Phi(t) = erfc(-t / sqrt 2) / 2; (1 + erf) / 2 would cancel in the left tail."""
    from scipy.special import erfc

    return np.asarray(0.5 * erfc(-t / np.sqrt(2.0)))[()]


def _normal_density(t: Array) -> Array:
    return np.asarray(np.exp(-0.5 * t * t) / np.sqrt(2.0 * np.pi))[()]


@np.errstate(under="ignore")
def gelu(t: ArrayLike) -> Array:
    """Gaussian error linear unit, exact form: f(t) = t Phi(t), Phi the normal distribution function."""
    t = as_numbers(t)
    return _times(t, _normal_cdf(t))


@np.errstate(under="ignore", over="ignore", invalid="ignore")
def gelu_prime(t: ArrayLike) -> Array:
    """Return the derivative of GELU, f'(t) = Phi(t) + t phi(t), phi the normal density."""
    t = as_numbers(t)
    return _normal_cdf(t) + _times(t, _normal_density(t))


@np.errstate(under="ignore")
def silu(t: ArrayLike) -> Array:
    """Sigmoid linear unit (swish), f(t) = t sigma(t)."""
    t = as_numbers(t)
    return _times(t, sigma(t))


@np.errstate(under="ignore")
def silu_prime(t: ArrayLike) -> Array:
    """Return the derivative of SiLU, f'(t) = sigma(t) + t sigma'(t)."""
    t = as_numbers(t)
    return sigma(t) + _times(t, sigma_prime(t))


def _log1p(e: Array) -> Array:
    """Return log(1 + e), also for complex e, where np.log1p loses the real part of a small e."""
    if e.dtype.kind != "c":
        return np.log1p(e)
    a, b = e.real, e.imag
    return as_numbers(0.5 * np.log1p(2.0 * a + a * a + b * b) + 1j * np.arctan2(b, 1.0 + a))[()]


@np.errstate(under="ignore")
def softplus(t: ArrayLike) -> Array:
    """Softplus, f(t) = log(1 + e^t) = max(t, 0) + log(1 + e^-|t|).

    Examples
    --------
    >>> softplus([-1e4, 1e4])
    array([    0., 10000.])
    """
    t = as_numbers(t)
    return np.where(t.real > 0, t, 0.0) + _log1p(np.exp(_minus_abs(t)))


def softplus_prime(t: ArrayLike) -> Array:
    """Return the derivative of softplus, f'(t) = sigma(t)."""
    return sigma(t)


@np.errstate(under="ignore")
def mish(t: ArrayLike) -> Array:
    """Mish, f(t) = t tanh(softplus(t))."""
    t = as_numbers(t)
    return _times(t, tanh(softplus(t)))


@np.errstate(under="ignore")
def mish_prime(t: ArrayLike) -> Array:
    """Return the derivative of mish, f'(t) = tanh(s) + t tanh'(s) sigma(t) with s = softplus(t)."""
    t = as_numbers(t)
    s = softplus(t)
    return tanh(s) + _times(t, tanh_prime(s) * sigma(t))


def hard_sigmoid(t: ArrayLike) -> Array:
    """Sigmoid in three straight pieces, f(t) = t/6 + 1/2 held between 0 and 1."""
    t = as_numbers(t)
    middle = np.where(t.real > 3.0, 1.0, t / 6.0 + 0.5)
    return np.where(t.real <= -3.0, 0.0, middle)[()]


def hard_sigmoid_prime(t: ArrayLike) -> Array:
    """Return the derivative of the hard sigmoid, 1/6 for -3 < t <= 3 and 0 elsewhere.

    By the convention of this table f'(3) is the derivative from the left, 1/6; PyTorch takes 0 there.
    """
    t = as_numbers(t)
    return _keep_nan(t, np.where((t.real > -3.0) & (t.real <= 3.0), 1.0 / 6.0, 0.0))


ACTIVATIONS: Mapping[str, Activation] = MappingProxyType(
    {
        "identity": Activation(identity, identity_prime, (), True),
        "sigmoid": Activation(sigma, sigma_prime, (), True),
        "tanh": Activation(tanh, tanh_prime, (), True),
        "relu": Activation(relu, relu_prime, (0.0,), False),
        "leaky_relu": Activation(leaky_relu, leaky_relu_prime, (0.0,), False),
        "elu": Activation(elu, elu_prime, (0.0,), False),
        "selu": Activation(selu, selu_prime, (0.0,), False),
        "gelu": Activation(gelu, gelu_prime, (), True),
        "silu": Activation(silu, silu_prime, (), True),
        "mish": Activation(mish, mish_prime, (), True),
        "softplus": Activation(softplus, softplus_prime, (), True),
        "hard_sigmoid": Activation(hard_sigmoid, hard_sigmoid_prime, (-3.0, 3.0), False),
    }
)
