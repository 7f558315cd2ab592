"""Activations over a batch, in place where the mathematics allows: the engine's row for each name.

t = W z^{;1} pre-activations, z = f(t) outputs, s and r working memory, all of one shape. `f(t, z, s)` fills z;
`df(t, z, s, r)` fills s with f'(t). A row with `keeps_t=False` forms f' from z alone, so t and z may be one array; the
others may use t up. NaN and infinity pass through as NumPy's own functions pass them; at a kink the derivative is the
left one.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Batch = NDArray[np.floating]

LEAK = 0.01
SELU_SCALE = 1.0507009873554805  # Klambauer et al. 2017, equation 14
SELU_ALPHA = 1.6732632423543772


class Activation(NamedTuple):
    """One row of the table; see the module."""

    f: Callable[[Batch, Batch, Batch], object]
    df: Callable[[Batch, Batch, Batch, Batch], object]
    keeps_t: bool = False


def _identity(t: Batch, z: Batch, s: Batch) -> None:
    if z is not t:
        np.copyto(z, t)


def ones(t: Batch, z: Batch, s: Batch, r: Batch) -> None:
    """The derivative of the identity; an engine may know it and skip the product with it."""
    s.fill(1)


def _sigmoid(t: Batch, z: Batch, s: Batch) -> None:
    """1 / (1 + exp(-t)); exp(-t) = inf gives the right limit, 0."""
    np.negative(t, out=z)
    np.exp(z, out=z)
    np.add(z, 1, out=z)
    np.reciprocal(z, out=z)


def _sigmoid_prime(t: Batch, z: Batch, s: Batch, r: Batch) -> None:
    """The logistic differential equation: sigma' = sigma (1 - sigma)."""
    np.subtract(1, z, out=s)
    np.multiply(s, z, out=s)


def _tanh(t: Batch, z: Batch, s: Batch) -> None:
    np.tanh(t, out=z)


def _tanh_prime(t: Batch, z: Batch, s: Batch, r: Batch) -> None:
    np.multiply(z, z, out=s)
    np.subtract(1, s, out=s)


def _relu(t: Batch, z: Batch, s: Batch) -> None:
    np.maximum(t, 0, out=z)


def _relu_prime(t: Batch, z: Batch, s: Batch, r: Batch) -> None:
    np.greater(z, 0, out=s)


def _leaky_relu(t: Batch, z: Batch, s: Batch) -> None:
    np.multiply(t, LEAK, out=s)
    np.maximum(t, s, out=z)


def _leaky_relu_prime(t: Batch, z: Batch, s: Batch, r: Batch) -> None:
    """z has the sign of t: 1 above 0, the leak elsewhere."""
    np.greater(z, 0, out=s)
    np.multiply(s, 1 - LEAK, out=s)
    np.add(s, LEAK, out=s)


def _elu(t: Batch, z: Batch, s: Batch) -> None:
    np.minimum(t, 0, out=s)
    np.expm1(s, out=s)
    np.maximum(t, 0, out=z)
    np.add(z, s, out=z)


def _elu_prime(t: Batch, z: Batch, s: Batch, r: Batch) -> None:
    """exp(t) = z + 1 up to 0, and 1 above."""
    np.minimum(z, 0, out=s)
    np.add(s, 1, out=s)


def _selu(t: Batch, z: Batch, s: Batch) -> None:
    np.minimum(t, 0, out=s)
    np.expm1(s, out=s)
    np.multiply(s, SELU_ALPHA, out=s)
    np.maximum(t, 0, out=z)
    np.add(z, s, out=z)
    np.multiply(z, SELU_SCALE, out=z)


def _selu_prime(t: Batch, z: Batch, s: Batch, r: Batch) -> None:
    """Scale above 0, z + scale alpha up to 0 (alpha > 1, so the choice is made by the sign of z)."""
    np.greater(z, 0, out=s)
    np.multiply(s, SELU_SCALE * (1 - SELU_ALPHA), out=s)
    np.add(s, SELU_SCALE * SELU_ALPHA, out=s)
    np.minimum(z, 0, out=r)
    np.add(s, r, out=s)


def _normal_cdf(t: Batch, out: Batch) -> None:
    """Phi(t) = (1 + erf(t / sqrt 2)) / 2."""
    from scipy.special import erf

    np.multiply(t, math.sqrt(0.5), out=out)
    erf(out, out=out)
    np.add(out, 1, out=out)
    np.multiply(out, 0.5, out=out)


def _gelu(t: Batch, z: Batch, s: Batch) -> None:
    """t Phi(t), with Phi(-inf) = 0 winning over the infinity: NaN there, as in NumPy."""
    _normal_cdf(t, s)
    np.multiply(t, s, out=z)


def _gelu_prime(t: Batch, z: Batch, s: Batch, r: Batch) -> None:
    """Phi(t) + t phi(t)."""
    np.multiply(t, t, out=r)
    np.multiply(r, -0.5, out=r)
    np.exp(r, out=r)
    np.multiply(r, math.sqrt(0.5 / math.pi), out=r)
    np.multiply(r, t, out=r)
    _normal_cdf(t, s)
    np.add(s, r, out=s)


def _silu(t: Batch, z: Batch, s: Batch) -> None:
    _sigmoid(t, s, s)
    np.multiply(t, s, out=z)


def _silu_prime(t: Batch, z: Batch, s: Batch, r: Batch) -> None:
    """Sigma + z (1 - sigma), sigma = sigma(t)."""
    _sigmoid(t, s, r)
    np.subtract(1, s, out=r)
    np.multiply(r, z, out=r)
    np.add(s, r, out=s)


def _mish(t: Batch, z: Batch, s: Batch) -> None:
    """t tanh(log(1 + e^t))."""
    np.logaddexp(t, 0, out=s)
    np.tanh(s, out=s)
    np.multiply(t, s, out=z)


def _mish_prime(t: Batch, z: Batch, s: Batch, r: Batch) -> None:
    """T + t sigma(t) (1 - T^2) with T = tanh(softplus(t))."""
    _sigmoid(t, s, r)
    np.multiply(s, t, out=s)
    np.logaddexp(t, 0, out=r)
    np.tanh(r, out=r)
    np.multiply(r, r, out=t)
    np.subtract(1, t, out=t)
    np.multiply(s, t, out=s)
    np.add(s, r, out=s)


def _softplus(t: Batch, z: Batch, s: Batch) -> None:
    np.logaddexp(t, 0, out=z)


def _softplus_prime(t: Batch, z: Batch, s: Batch, r: Batch) -> None:
    """sigma(t) = 1 - exp(-z)."""
    np.negative(z, out=s)
    np.expm1(s, out=s)
    np.negative(s, out=s)


def _hard_sigmoid(t: Batch, z: Batch, s: Batch) -> None:
    """t / 6 + 1/2, kept within [0, 1]."""
    np.multiply(t, 1 / 6, out=z)
    np.add(z, 0.5, out=z)
    np.clip(z, 0, 1, out=z)


def _hard_sigmoid_prime(t: Batch, z: Batch, s: Batch, r: Batch) -> None:
    """1/6 for -3 < t <= 3 (the left derivative at both kinks)."""
    np.greater(t, -3, out=s)
    np.less_equal(t, 3, out=r)
    np.multiply(s, r, out=s)
    np.multiply(s, 1 / 6, out=s)


ACTIVATIONS: Mapping[str, Activation] = {
    "identity": Activation(_identity, ones),
    "sigmoid": Activation(_sigmoid, _sigmoid_prime),
    "tanh": Activation(_tanh, _tanh_prime),
    "relu": Activation(_relu, _relu_prime),
    "leaky_relu": Activation(_leaky_relu, _leaky_relu_prime),
    "elu": Activation(_elu, _elu_prime),
    "selu": Activation(_selu, _selu_prime),
    "gelu": Activation(_gelu, _gelu_prime, keeps_t=True),
    "silu": Activation(_silu, _silu_prime, keeps_t=True),
    "mish": Activation(_mish, _mish_prime, keeps_t=True),
    "softplus": Activation(_softplus, _softplus_prime),
    "hard_sigmoid": Activation(_hard_sigmoid, _hard_sigmoid_prime, keeps_t=True),
}
