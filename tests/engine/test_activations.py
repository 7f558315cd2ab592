"""Every row of the engine's activations against the notes' formulas, in place and out of place, to the limits."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy.special import ndtr

from layerloop import maths
from layerloop.engine.activations import ACTIVATIONS

GRID = np.linspace(-12, 12, 4801)
EXTREMES = np.array([-1e30, -1e4, -800.0, -90.0, 90.0, 800.0, 1e4, 1e30])
LIMITS = np.array([-np.inf, np.inf, np.nan])

# Each formula as one would first write it in NumPy: infinities and NaN are to come out as they do here.
PLAIN = {
    "identity": lambda t: t,
    "sigmoid": lambda t: 1 / (1 + np.exp(-t)),
    "tanh": np.tanh,
    "relu": lambda t: np.maximum(t, 0),
    "leaky_relu": lambda t: np.maximum(t, 0.01 * t),
    "elu": lambda t: np.where(t > 0, t, np.expm1(t)),
    "selu": lambda t: 1.0507009873554805 * np.where(t > 0, t, 1.6732632423543772 * np.expm1(t)),
    "gelu": lambda t: t * ndtr(t),
    "silu": lambda t: t * (1 / (1 + np.exp(-t))),
    "mish": lambda t: t * np.tanh(np.logaddexp(t, 0)),
    "softplus": lambda t: np.logaddexp(t, 0),
    "hard_sigmoid": lambda t: np.clip(t / 6 + 0.5, 0, 1),
}


def applied(name: str, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """f(t) and f'(t) as an engine asks for them: t and z are one array where the row allows it."""
    row = ACTIVATIONS[name]
    t = t.copy(order="K")
    z = np.empty_like(t) if row.keeps_t else t
    s, r = np.empty_like(t), np.empty_like(t)
    with np.errstate(all="ignore"):
        row.f(t, z, s)
        values = z.copy()
        row.df(t, z, s, r)
    np.testing.assert_array_equal(z, values, "f' changed the outputs, which the layer before still needs")
    return values, s


def test_every_row_has_a_plain_formula() -> None:
    assert set(PLAIN) == set(ACTIVATIONS)


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 4e-15), ("float32", 2e-6)])
def test_values_and_derivatives_are_those_of_the_notes(name: str, dtype: str, tolerance: float) -> None:
    t = GRID.astype(dtype)
    values, slopes = applied(name, t)
    row = maths.ACTIVATIONS[name]
    assert values.dtype == slopes.dtype == dtype
    np.testing.assert_allclose(values, row.f(t.astype(np.float64)), rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(slopes, row.df(t.astype(np.float64)), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_large_numbers_give_the_limits_and_no_nan(name: str, dtype: str) -> None:
    t = EXTREMES.astype(dtype)
    values, slopes = applied(name, t)
    row = maths.ACTIVATIONS[name]
    np.testing.assert_allclose(values, row.f(t.astype(np.float64)), rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(slopes, row.df(t.astype(np.float64)), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_infinity_and_nan_pass_as_through_the_plain_formula(name: str, dtype: str) -> None:
    t = LIMITS.astype(dtype)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        expected = PLAIN[name](t)
    np.testing.assert_array_equal(applied(name, t)[0], expected)
    assert np.isnan(applied(name, t)[0][2])


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_at_a_kink_the_derivative_is_the_left_one(name: str) -> None:
    for kink in maths.ACTIVATIONS[name].kinks:
        slope = applied(name, np.array([kink]))[1][0]
        f = PLAIN[name]
        left = (f(np.array([kink])) - f(np.array([kink - 1e-7])))[0] / 1e-7
        assert slope == pytest.approx(left, abs=1e-6)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_layout_of_the_batch_does_not_matter(name: str) -> None:
    t = np.random.default_rng(0).normal(size=(5, 7))
    for batch in (np.asfortranarray(t), t[:1], t[:, :1], np.asfortranarray(t[:1])):
        got = applied(name, batch)
        expected = applied(name, np.ascontiguousarray(batch))
        np.testing.assert_array_equal(got[0], expected[0])
        np.testing.assert_array_equal(got[1], expected[1])
