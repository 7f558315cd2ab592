"""Losses: numbers, gradients over the whole table, 0 log 0, and the fused forms."""

from __future__ import annotations

import numpy as np
import pytest

from layerloop.errors import ShapeError
from layerloop.maths.checks import central_differences, complex_step
from layerloop.maths.heads import HEADS, softmax
from layerloop.maths.losses import (
    FUSED,
    LOSSES,
    crossentropy,
    crossentropy_gradient,
    logitcrossentropy,
    modified_softmax_crossentropy,
    mse,
    mse_gradient,
    softmax_crossentropy,
)

walk = pytest.mark.parametrize("name", LOSSES)
walk_fused = pytest.mark.parametrize("pair", FUSED, ids=" + ".join)
LABELS = (np.array([0.0, 1.0, 0.0, 0.0]), np.array([0.1, 0.2, 0.3, 0.4]), np.array([2.0, 0.0, 1.0, 0.5]))


@pytest.fixture(autouse=True)
def _strict():
    with np.errstate(all="raise"):
        yield


def test_numbers() -> None:
    # -log(1/4) = 2 log 2; half and half of log 2 and 2 log 2 is 1.5 log 2
    assert crossentropy([0.25, 0.5, 0.25], [1, 0, 0]) == pytest.approx(2 * np.log(2), rel=1e-15)
    assert crossentropy([0.25, 0.5, 0.25], [0.5, 0.5, 0]) == pytest.approx(1.5 * np.log(2), rel=1e-15)
    np.testing.assert_array_equal(crossentropy_gradient([0.25, 0.5, 0.25], [0.5, 0.5, 0]), [-2, -1, 0])
    # mean over entries: (1 + 4 + 9 + 0) / 4 = 3.5; gradient (2/4) (1, -2, 3, 0)
    assert mse([1, 0, 3, 5], [0, 2, 0, 5]) == 3.5
    np.testing.assert_array_equal(mse_gradient([1, 0, 3, 5], [0, 2, 0, 5]), [0.5, -1, 1.5, 0])
    # scores (log 1, log 3): probabilities (1/4, 3/4)
    assert logitcrossentropy(np.log([1.0, 3.0]), [1, 0]) == pytest.approx(2 * np.log(2), rel=1e-15)


@walk
@pytest.mark.parametrize("y", LABELS)
def test_gradient_by_differences_and_complex_step(name: str, y: np.ndarray) -> None:
    loss = LOSSES[name]
    z = np.array([0.2, 0.45, 0.05, 0.3])
    exact = loss.gradient(z, y)
    np.testing.assert_allclose(exact, complex_step(lambda v: loss.value(v, y), z), rtol=1e-14, atol=1e-15)
    np.testing.assert_allclose(exact, central_differences(lambda v: loss.value(v, y), z), rtol=1e-6, atol=1e-8)


@walk
def test_nan_passes_and_shapes_are_checked(name: str) -> None:
    loss = LOSSES[name]
    assert np.isnan(loss.value([np.nan, 0.5], [1, 0]))
    assert np.isnan(loss.gradient([np.nan, 0.5], [1, 0])).any()
    with pytest.raises(ShapeError, match=r"y: expected shape \(2,\), got \(3,\)"):
        loss.value([0.5, 0.5], [1, 0, 0])
    with pytest.raises(ShapeError, match="y: expected"):
        loss.gradient([0.5, 0.5], [1])


def test_zero_log_zero_is_zero_and_one_log_zero_is_infinite() -> None:
    assert crossentropy([1.0, 0.0], [1, 0]) == 0
    assert str(crossentropy([1.0, 0.0], [1, 0])) == "0.0"  # not -0.0
    assert crossentropy([1.0, 0.0], [0, 1]) == np.inf
    np.testing.assert_array_equal(crossentropy_gradient([1.0, 0.0], [1, 0]), [-1, 0])
    np.testing.assert_array_equal(crossentropy_gradient([1.0, 0.0], [0, 1]), [0, -np.inf])
    assert np.isnan(crossentropy([-0.5, 1.0], [1, 0]))  # no probability
    assert logitcrossentropy([-np.inf, 0.0], [0, 1]) == 0


@walk_fused
@pytest.mark.parametrize("y", LABELS)
def test_fused_is_head_then_loss(pair: tuple[str, str], y: np.ndarray) -> None:
    head, loss = HEADS[pair[0]], LOSSES[pair[1]]
    z = np.array([0.3, -1.2, 2.0, 0.1])[: y.size - head.extra]
    value, gradient = FUSED[pair](z, y)
    assert value == pytest.approx(loss.value(head.f(z), y), rel=1e-14)
    np.testing.assert_allclose(gradient, head.jacobian(z).T @ loss.gradient(head.f(z), y), rtol=0, atol=1e-14)


@walk_fused
@pytest.mark.parametrize("far", [1e2, 1e4])
def test_fused_stays_finite_where_the_literal_form_does_not(pair: tuple[str, str], far: float) -> None:
    head = HEADS[pair[0]]
    z = far * np.array([1.0, -1.0, 0.5])[: 3 - head.extra]
    y = np.array([0.0, 1.0, 0.0])
    value, gradient = FUSED[pair](z, y)
    # scores far, -far and a third between: the largest wins, so the loss is the distance and g = e_1
    assert value == pytest.approx(2 * far, rel=1e-15)
    np.testing.assert_allclose(gradient, [1, -1, 0][: z.size], rtol=0, atol=1e-15)
    if far > 750:
        assert crossentropy(head.f(z), y) == np.inf


def test_fused_gradients_are_the_short_formulas() -> None:
    z, y = np.array([0.3, -1.2, 2.0]), np.array([0.0, 0.0, 1.0])
    np.testing.assert_array_equal(softmax_crossentropy(z, y)[1], softmax(z) - y)
    np.testing.assert_array_equal(modified_softmax_crossentropy(z[:2], y)[1], softmax([*z[:2], 0])[:2] - y[:2])


def test_logitcrossentropy_is_the_fused_form_under_its_other_name() -> None:
    z, y = np.array([0.3, -1.2, 2.0]), np.array([0.2, 0.3, 0.5])
    value, gradient = softmax_crossentropy(z, y)
    assert value == logitcrossentropy(z, y)
    np.testing.assert_array_equal(gradient, LOSSES["logitcrossentropy"].gradient(z, y))
