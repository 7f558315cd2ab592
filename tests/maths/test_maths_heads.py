"""Softmax, modified softmax, their Jacobians and the table of heads."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layerloop.errors import ShapeError
from layerloop.maths.activations import sigma
from layerloop.maths.differences import complex_step, dense_jacobian, random_direction_identity
from layerloop.maths.heads import (
    C_K,
    HEADS,
    C_K_vjp,
    as_vector,
    log_modified_softmax,
    log_softmax,
    logsumexp,
    modified_softmax,
    modified_softmax_as_written,
    softmax,
    softmax_as_written,
    softmax_jacobian,
    softmax_vjp,
)

walk = pytest.mark.parametrize("name", HEADS)
drawn = settings(derandomize=True, deadline=None, max_examples=60)
moderate = st.lists(st.floats(-30, 30), min_size=1, max_size=12)


@pytest.fixture(autouse=True)
def _strict():
    with np.errstate(all="raise"):
        yield


def test_numbers() -> None:
    # z = (log 1, log 2, log 5): the exponentials are 1, 2, 5, their sum is 8
    z = np.log([1.0, 2.0, 5.0])
    np.testing.assert_allclose(softmax(z), [1 / 8, 2 / 8, 5 / 8], rtol=1e-15)
    assert logsumexp(z) == pytest.approx(np.log(8), rel=1e-15)
    # the modified one has a fourth score 0, so the sum is 9
    np.testing.assert_allclose(modified_softmax(z), [1 / 9, 2 / 9, 5 / 9, 1 / 9], rtol=1e-15)
    # PyTorch 2.13.0, torch.log_softmax in float64
    np.testing.assert_allclose(
        log_softmax([1.0, -2.0, 0.5]), [-0.5045969023422835, -3.5045969023422834, -1.0045969023422834], rtol=1e-15
    )


@drawn
@given(moderate)
def test_stable_forms_agree_with_the_formulas_as_written(z: list[float]) -> None:
    np.testing.assert_allclose(softmax(z), softmax_as_written(z), rtol=1e-12)
    np.testing.assert_allclose(modified_softmax(z), modified_softmax_as_written(z), rtol=1e-12)
    np.testing.assert_allclose(log_softmax(z), np.log(softmax_as_written(z)), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(np.exp(log_modified_softmax(z)), modified_softmax(z), rtol=1e-12)


@drawn
@given(moderate, st.floats(-1e4, 1e4))
def test_softmax_does_not_see_a_common_shift(z: list[float], shift: float) -> None:
    np.testing.assert_allclose(softmax(np.array(z) + shift), softmax(z), rtol=1e-10)
    assert softmax(z).sum() == pytest.approx(1, rel=1e-14)


def test_formulas_as_written_overflow_and_the_stable_ones_do_not() -> None:
    for formula, z in ((softmax_as_written, [1e4, 0.0]), (modified_softmax_as_written, [1e4])):
        with pytest.raises(FloatingPointError, match="overflow"):
            formula(z)
        with np.errstate(all="ignore"):
            assert np.isnan(formula(z)).any()
    np.testing.assert_array_equal(softmax([1e4, 0.0, -1e4]), [1, 0, 0])
    np.testing.assert_array_equal(modified_softmax([1e4]), [1, 0])
    np.testing.assert_array_equal(modified_softmax([-1e4]), [0, 1])
    np.testing.assert_array_equal(log_softmax([1e4, 0.0, -1e4]), [0, -1e4, -2e4])
    np.testing.assert_array_equal(log_modified_softmax([-1e4]), [-1e4, 0])
    assert logsumexp([-1e4, -1e4]) == -1e4 + np.log(2)


def test_infinities_give_the_limit_and_nan_gives_nan() -> None:
    inf, nan = np.inf, np.nan
    np.testing.assert_array_equal(softmax([inf, 0.0]), [1, 0])
    np.testing.assert_array_equal(softmax([-inf, 0.0]), [0, 1])
    np.testing.assert_array_equal(log_softmax([inf, 0.0]), [0, -inf])
    np.testing.assert_array_equal(modified_softmax([-inf, -inf]), [0, 0, 1])
    np.testing.assert_array_equal(softmax([inf, inf]), [nan, nan])  # any limit is possible, so none is right
    np.testing.assert_array_equal(softmax([nan, 0.0]), [nan, nan])
    np.testing.assert_array_equal(softmax([nan]), [nan])
    assert logsumexp([inf, inf]) == inf
    assert logsumexp([-inf, -inf]) == -inf
    assert np.isnan(logsumexp([nan, inf]))


def test_two_classes_are_logistic_regression_and_sigma_is_of_the_first() -> None:
    for z in (-3.0, 0.0, 0.4, 25.0):
        np.testing.assert_allclose(modified_softmax([z]), [sigma(z), sigma(-z)], rtol=1e-14)


def test_C_K_is_the_softmax_jacobian_without_its_last_column() -> None:
    z = np.array([0.3, -1.2, 2.0])
    g = modified_softmax(z)
    np.testing.assert_allclose(C_K(z), (np.diag(g) - np.outer(g, g))[:, :3], rtol=1e-14)
    np.testing.assert_array_equal(C_K(z), softmax_jacobian([*z, 0.0])[:, :-1])
    assert C_K(z).shape == (4, 3)


@drawn
@given(moderate, st.integers(0, 10**6))
def test_C_K_takes_the_gradient_of_cross_entropy_to_g_minus_y(z: list[float], seed: int) -> None:
    g = modified_softmax(z)
    y = np.eye(len(g))[seed % len(g)]
    with np.errstate(under="ignore"):
        np.testing.assert_allclose(C_K(z).T @ (-y / g), (g - y)[:-1], rtol=0, atol=1e-12)
        np.testing.assert_allclose(C_K_vjp(z, -y / g), (g - y)[:-1], rtol=0, atol=1e-12)


@walk
def test_jacobian_by_differences_and_complex_step(name: str) -> None:
    z = np.array([0.3, -1.2, 2.0, 0.1])
    head = HEADS[name]
    assert head.f(z).shape == (4 + head.extra,)
    np.testing.assert_allclose(head.jacobian(z), dense_jacobian(head.f, z), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(head.jacobian(z), complex_step(head.f, z).T, rtol=1e-15, atol=1e-15)


@walk
@pytest.mark.parametrize("n", [1, 9, 500])
def test_random_direction_identity(name: str, n: int) -> None:
    rng = np.random.default_rng(n)
    head = HEADS[name]
    z, u, v = rng.normal(size=n), rng.normal(size=n + head.extra), rng.normal(size=n)
    assert random_direction_identity(head.jacobian(z), lambda q: head.vjp(z, q), u, v) < 1e-10
    np.testing.assert_allclose(head.vjp(z, u), head.jacobian(z).T @ u, rtol=0, atol=1e-12)


@walk
def test_log_form(name: str) -> None:
    z = np.array([0.3, -1.2, 2.0])
    head = HEADS[name]
    if head.log_f is None:
        np.testing.assert_array_equal(head.f(z), z)  # scores as they are: not probabilities
    else:
        np.testing.assert_allclose(head.log_f(z), np.log(head.f(z)), rtol=1e-13)
        assert np.isfinite(head.log_f(1e4 * z)).all()


def test_infinite_q_at_an_underflowed_probability_gives_nan_in_both_forms() -> None:
    z, q = np.array([1e4, -1e4]), np.array([0.0, -np.inf])
    assert np.isnan(softmax_vjp(z, q)).all()
    with np.errstate(invalid="ignore"):
        assert np.isnan(softmax_jacobian(z).T @ q).all()


def test_shapes_are_checked() -> None:
    with pytest.raises(ShapeError, match=r"scores z: expected shape \(n,\), got \(2, 2\)"):
        softmax(np.eye(2))
    with pytest.raises(ShapeError, match="at least one score"):
        softmax([])
    with pytest.raises(ShapeError, match=r"q: expected shape \(3,\), got \(2,\)"):
        C_K_vjp([0.0, 1.0], [0.0, 1.0])
    with pytest.raises(ShapeError, match=r"x: expected shape \(3,\)"):
        as_vector([1.0], "x", 3)
