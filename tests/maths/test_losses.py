"""Losses: numbers, gradients over the whole table, 0 log 0, and the fused forms."""

from __future__ import annotations

import numpy as np
import pytest

from layerloop.errors import ShapeError
from layerloop.maths.deviations import (
    huber,
    huber_gradient,
    mae,
    mae_gradient,
    mse,
    mse_gradient,
    quantile,
    quantile_gradient,
)
from layerloop.maths.differences import central_differences, complex_step
from layerloop.maths.heads import HEADS, softmax
from layerloop.maths.likelihoods import (
    binarycrossentropy,
    binarycrossentropy_gradient,
    crossentropy,
    crossentropy_gradient,
    exp_poisson,
    logitbinarycrossentropy,
    logitcrossentropy,
    modified_softmax_crossentropy,
    poisson,
    softmax_crossentropy,
)
from layerloop.maths.losses import FUSED, LOSSES, loss_named

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
    z = np.array([0.2, 0.45, 0.05, 0.35])  # no entry is that of a label: off the kinks of mae and quantile
    exact = loss.gradient(z, y)
    np.testing.assert_allclose(exact, complex_step(lambda v: loss.value(v, y), z), rtol=1e-14, atol=1e-15)
    np.testing.assert_allclose(exact, central_differences(lambda v: loss.value(v, y), z), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("crossentropy", {"smoothing": 0.1}),
        ("logitcrossentropy", {"smoothing": 0.3}),
        ("huber", {"delta": 0.23}),
        ("quantile", {"levels": (0.1, 0.5, 0.9, 0.2)}),
        ("quantile", {"levels": 0.8}),
    ],
)
@pytest.mark.parametrize("y", LABELS)
def test_gradient_with_settings_by_differences_and_complex_step(name: str, settings: dict, y: np.ndarray) -> None:
    loss = loss_named(name, **settings)
    z = np.array([0.2, 0.45, 0.05, 0.35])
    exact = loss.gradient(z, y)
    np.testing.assert_allclose(exact, complex_step(lambda v: loss.value(v, y), z), rtol=1e-14, atol=1e-15)
    np.testing.assert_allclose(exact, central_differences(lambda v: loss.value(v, y), z), rtol=1e-6, atol=1e-8)
    default = loss_named(name)
    assert default.value(z, y) != loss.value(z, y)


def test_numbers_of_the_losses_by_entry() -> None:
    z, y = [1.0, 3.0, -2.0, 0.5], [0.0, 1.0, 0.0, 0.5]  # differences 1, 2, -2, 0
    assert mae(z, y) == 5 / 4
    np.testing.assert_array_equal(mae_gradient(z, y), [0.25, 0.25, -0.25, 0])  # 0 at the kink
    # delta 1: 1/2, 2 - 1/2, 2 - 1/2, 0; slopes held to +-1; delta 3: squares by half
    assert huber(z, y) == 3.5 / 4
    np.testing.assert_array_equal(huber_gradient(z, y), [0.25, 0.25, -0.25, 0])
    assert huber(z, y, delta=3.0) == 4.5 / 4
    # level 3/4: above the target (1 - 3/4) d, below it 3/4 |d|: 1/4, 1/2, 3/2, 0
    assert quantile(z, y, levels=0.75) == 2.25 / 4
    np.testing.assert_array_equal(quantile_gradient(z, y, levels=0.75), np.array([0.25, 0.25, -0.75, 0]) / 4)
    assert quantile([1.0, 1.0], [0.0, 0.0], levels=(0.25, 0.75)) == (0.75 + 0.25) / 2
    # rates 1 and e with counts 2 and 3: 1 - 0 and e - 3
    assert poisson([1.0, np.e], [2.0, 3.0]) == pytest.approx((np.e - 2) / 2, rel=1e-15)
    # log 4 and log 2
    assert binarycrossentropy([0.25, 0.5], [1.0, 0.0]) == pytest.approx(1.5 * np.log(2), rel=1e-15)
    assert logitbinarycrossentropy([np.log(3.0)], [0.0]) == pytest.approx(2 * np.log(2), rel=1e-15)
    # smoothing 0.2 of two classes: 0.9 and 0.1
    assert crossentropy([0.25, 0.75], [1, 0], smoothing=0.2) == pytest.approx(
        0.9 * np.log(4) + 0.1 * np.log(4 / 3), rel=1e-15
    )


def test_the_best_constant_of_the_pinball_loss_is_the_quantile() -> None:
    sample = np.arange(11.0)
    losses = [quantile(np.full(11, c), sample, levels=0.8) for c in sample]
    assert np.argmin(losses) == np.quantile(sample, 0.8) == 8


def test_levels_are_one_or_one_for_each_output() -> None:
    with pytest.raises(ShapeError, match="one for each of the 2 outputs, got 3"):
        quantile([1.0, 2.0], [0.0, 0.0], levels=(0.1, 0.5, 0.9))


def test_zero_times_an_infinite_logarithm_is_zero_and_a_lost_entry_is_infinite() -> None:
    assert binarycrossentropy([1.0, 0.0], [1, 0]) == 0
    assert binarycrossentropy([1.0], [0]) == np.inf
    np.testing.assert_array_equal(binarycrossentropy_gradient([1.0, 0.0], [1, 0]), [-0.5, 0.5])
    np.testing.assert_array_equal(binarycrossentropy_gradient([1.0, 0.0], [0, 1]), [np.inf, -np.inf])
    assert poisson([0.0], [0]) == 0
    assert poisson([0.0], [1]) == np.inf
    assert logitbinarycrossentropy([np.inf, -np.inf], [1, 0]) == 0
    assert exp_poisson([-np.inf], [0])[0] == 0


# PyTorch 2.13.0 in float64, torch.nn.functional with reduction="mean"
Z, P, Y, V = [0.3, -1.2, 2.0], [0.6, 0.2, 0.9], [1.0, 0.0, 0.25], [0.5, -1.0, -1.0]
PYTORCH = [
    ("binarycrossentropy", {}, P, Y, 0.8290827079133972, [-0.5555555555555556, 0.4166666666666666, 2.407407407407408]),
    (
        *("logitbinarycrossentropy", {}, Z, Y, 0.8148552409498436),
        [-0.14185249439611367, 0.07715840550032746, 0.2102656926592941],
    ),
    ("mae", {}, Z, V, 1.1333333333333333, [-0.3333333333333333, -0.3333333333333333, 0.3333333333333333]),
    (
        "huber",
        {"delta": 0.5},
        Z,
        V,
        0.4716666666666667,
        [-0.06666666666666667, -0.06666666666666665, 0.16666666666666666],
    ),
    ("poisson", {}, P, Y, 0.7457219175601489, [-0.22222222222222227, 0.3333333333333333, 0.24074074074074073]),
    (
        *("logitcrossentropy", {"smoothing": 0.1}, Z, [0.0, 1.0, 0.0], 3.245004578286124),
        [0.11598552885005786, -0.900015791701172, 0.7840302628511141],
    ),
]


@pytest.mark.parametrize(("name", "settings", "z", "y", "value", "gradient"), PYTORCH)
def test_values_and_gradients_of_pytorch(
    name: str, settings: dict, z: list[float], y: list[float], value: float, gradient: list[float]
) -> None:
    loss = loss_named(name, **settings)
    assert loss.value(z, y) == pytest.approx(value, rel=1e-14)
    np.testing.assert_allclose(loss.gradient(z, y), gradient, rtol=1e-13)


def test_exp_and_poisson_in_one_is_pytorchs_loss_of_log_rates() -> None:
    value, gradient = exp_poisson(Z, Y)  # poisson_nll_loss(log_input=True)
    assert value == pytest.approx(2.7467030394729517, rel=1e-14)
    np.testing.assert_allclose(gradient, [0.11661960252533438, 0.10039807063740071, 2.3796853663102167], rtol=1e-13)


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
    if pair[1] == "binarycrossentropy":
        y = np.minimum(y, 1)
    z = np.array([0.3, -1.2, 2.0, 0.1])[: y.size - head.extra]
    value, gradient = FUSED[pair](z, y)
    assert value == pytest.approx(loss.value(head.f(z), y), rel=1e-14)
    np.testing.assert_allclose(gradient, head.jacobian(z).T @ loss.gradient(head.f(z), y), rtol=0, atol=1e-14)


@pytest.mark.parametrize("pair", [pair for pair in FUSED if pair[1] == "crossentropy"], ids=" + ".join)
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
