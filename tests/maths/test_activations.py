"""Every row of ACTIVATIONS: its values, its derivative three ways, its limits. The table is walked, never listed."""

from __future__ import annotations

import numpy as np
import pytest

from layerloop.errors import InputError
from layerloop.maths import activations
from layerloop.maths.activations import ACTIVATIONS, SELU_ALPHA, SELU_SCALE, as_numbers, sigma, sigma_prime
from layerloop.maths.differences import central_differences

# Values and derivatives at POINTS by PyTorch 2.13.0 on the CPU, float64 (torch.nn.functional and autograd), 15 digits.
# Its hard sigmoid keeps 1/6 in float32, so that derivative is written as the fraction here.
POINTS = np.array([-4.0, -1.5, -0.3, 0.7, 2.0, 5.0])
SIGMOID = [
    0.0179862099620916,
    0.182425523806356,
    0.425557483188341,
    0.668187772168166,
    0.880797077977882,
    0.993307149075715,
]
TORCH = {
    "identity": (POINTS, np.ones(6)),
    "sigmoid": (
        SIGMOID,
        [
            0.0176627062132911,
            0.149146452070333,
            0.244458311690746,
            0.221712873293109,
            0.104993585403507,
            0.00664805667079003,
        ],
    ),
    "tanh": (
        [
            -0.999329299739067,
            -0.905148253644866,
            -0.291312612451591,
            0.604367777117163,
            0.964027580075817,
            0.999909204262595,
        ],
        [
            0.00134095068302592,
            0.180706638923649,
            0.915136961826629,
            0.634739589982459,
            0.0706508248531644,
            0.000181583230943853,
        ],
    ),
    "relu": ([0, 0, 0, 0.7, 2, 5], [0, 0, 0, 1, 1, 1]),
    "leaky_relu": ([-0.04, -0.015, -0.003, 0.7, 2, 5], [0.01, 0.01, 0.01, 1, 1, 1]),
    "elu": (
        [-0.981684361111266, -0.77686983985157, -0.259181779318282, 0.7, 2, 5],
        [0.0183156388887342, 0.22313016014843, 0.740818220681718, 1, 1, 1],
    ),
    "selu": (
        [
            -1.72589862818989,
            -1.36581435336725,
            -0.455667315379122,
            0.735490691148836,
            2.10140197471096,
            5.2535049367774,
        ],
        [
            0.0322007126574821,
            0.392284987480124,
            1.30243202546825,
            1.05070098735548,
            1.05070098735548,
            1.05070098735548,
        ],
    ),
    "gelu": (
        [
            -0.00012668496733248,
            -0.100210801903287,
            -0.114626573343314,
            0.530625443443849,
            1.95449973610364,
            4.99999856674214,
        ],
        [
            -0.000503649661226421,
            -0.12746919222998,
            0.26767223317289,
            0.97661410113366,
            1.0852318010782,
            1.000007146946,
        ],
    ),
    "silu": (
        [
            -0.0719448398483662,
            -0.273638285709535,
            -0.127667244956502,
            0.467731440517716,
            1.76159415595576,
            4.96653574537858,
        ],
        [
            -0.0526646148910729,
            -0.0412941542991429,
            0.352219989681117,
            0.823386783473342,
            1.0907842487849,
            1.02654743242967,
        ],
    ),
    "mish": (
        [
            -0.0725917407920253,
            -0.298099742166807,
            -0.151133177138335,
            0.561148377643852,
            1.94395895953399,
            4.99955207752941,
        ],
        [
            -0.0537732097934803,
            -0.0640978158922587,
            0.408510876935702,
            0.968794868200186,
            1.06931793427949,
            1.00080022483208,
        ],
    ),
    "softplus": (
        [
            0.0181499279178097,
            0.201413277982752,
            0.554355244468527,
            1.10318604888546,
            2.12692801104297,
            5.00671534848912,
        ],
        SIGMOID,
    ),
    # -4 and 5 lie outside (-3, 3); -1.5/6 + 1/2 = 0.25, -0.3/6 + 1/2 = 0.45, 0.7/6 + 1/2 = 3.7/6, 2/6 + 1/2 = 5/6
    "hard_sigmoid": ([0, 0.25, 0.45, 3.7 / 6, 5 / 6, 1], [0, 1 / 6, 1 / 6, 1 / 6, 1 / 6, 0]),
}
# f and f' at minus infinity, f and f' at plus infinity
INF = float("inf")
LIMITS = {
    "identity": (-INF, 1, INF, 1),
    "sigmoid": (0, 0, 1, 0),
    "tanh": (-1, 0, 1, 0),
    "relu": (0, 0, INF, 1),
    "leaky_relu": (-INF, 0.01, INF, 1),
    "elu": (-1, 0, INF, 1),
    "selu": (-SELU_SCALE * SELU_ALPHA, 0, INF, SELU_SCALE),
    "gelu": (0, 0, INF, 1),
    "silu": (0, 0, INF, 1),
    "mish": (0, 0, INF, 1),
    "softplus": (0, 0, INF, 1),
    "hard_sigmoid": (0, 0, 1, 0),
}
# One kink each, and the derivative from its left; worked by hand.
LEFT_DERIVATIVES = {
    "relu": {0.0: 0.0},
    "leaky_relu": {0.0: 0.01},
    "elu": {0.0: 1.0},
    "selu": {0.0: SELU_SCALE * SELU_ALPHA},
    "hard_sigmoid": {-3.0: 0.0, 3.0: 1 / 6},
}
walk = pytest.mark.parametrize("name", ACTIVATIONS)


@pytest.fixture(autouse=True)
def _strict():
    with np.errstate(all="raise"):
        yield


def points_off_kinks(name: str) -> np.ndarray:
    t = np.linspace(-7.03, 7.01, 57)
    kinks = np.array([*ACTIVATIONS[name].kinks, np.inf])
    return t[np.abs(t[:, None] - kinks).min(axis=1) > 1e-3]


def test_no_row_is_without_numbers() -> None:
    assert set(TORCH) == set(LIMITS) == set(ACTIVATIONS)
    assert {name: row.kinks for name, row in ACTIVATIONS.items() if row.kinks} == {
        name: tuple(kinks) for name, kinks in LEFT_DERIVATIVES.items()
    }


@walk
def test_values_and_derivatives_at_a_few_points(name: str) -> None:
    f, df, _, _ = ACTIVATIONS[name]
    np.testing.assert_allclose(f(POINTS), TORCH[name][0], rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(df(POINTS), TORCH[name][1], rtol=1e-13, atol=1e-15)


@walk
def test_derivative_is_the_limit_of_differences(name: str) -> None:
    f, df, _, _ = ACTIVATIONS[name]
    t = points_off_kinks(name)
    differences = np.array([central_differences(lambda v: f(v[0]), [t_k])[0] for t_k in t])
    np.testing.assert_allclose(df(t), differences, rtol=0, atol=1e-9)


@walk
def test_derivative_is_the_complex_step(name: str) -> None:
    f, df, kinks, analytic = ACTIVATIONS[name]
    t = np.concatenate([points_off_kinks(name), [-30.0, 30.0]])
    assert analytic == (not kinks)
    np.testing.assert_allclose(f(t + 1e-20j).imag / 1e-20, df(t), rtol=1e-12, atol=1e-300)
    for function in (f, df):
        np.testing.assert_allclose(function(t + 0j), function(t), rtol=1e-12, atol=1e-15)


@walk
def test_kinks_take_the_derivative_from_the_left(name: str) -> None:
    f, df, kinks, _ = ACTIVATIONS[name]
    for kink in kinks:
        assert df(kink) == pytest.approx(LEFT_DERIVATIVES[name][kink], abs=1e-15)
        assert df(kink) == pytest.approx((f(kink) - f(kink - 1e-7)) / 1e-7, abs=1e-6)


@walk
@pytest.mark.parametrize("far", [1e4, 1e200, 1e308, np.inf])
def test_far_out_the_functions_reach_their_limits(name: str, far: float) -> None:
    f, df, _, _ = ACTIVATIONS[name]
    low, low_slope, high, high_slope = LIMITS[name]
    np.testing.assert_allclose(df([-far, far]), [low_slope, high_slope], rtol=1e-15)
    for value, limit, t in ((f(-far), low, -far), (f(far), high, far)):
        if np.isfinite(limit):
            assert value == pytest.approx(limit, rel=1e-15)
        else:  # the slope has become constant: f(t) = slope t
            assert value == pytest.approx(t * (low_slope if t < 0 else high_slope), rel=1e-15)


@walk
def test_nan_gives_nan_and_harms_no_neighbour(name: str) -> None:
    f, df, _, _ = ACTIVATIONS[name]
    for function in (f, df):
        np.testing.assert_array_equal(function([np.nan, 0.7]), [np.nan, function(0.7)])


@walk
def test_shape_dtype_and_argument_are_kept(name: str) -> None:
    t = np.linspace(-2, 2, 12).reshape(3, 4).T[::2]
    t.flags.writeable = False
    for function in ACTIVATIONS[name][:2]:
        value = function(t)
        assert value.shape == t.shape
        assert value.dtype == np.float64
        assert not np.shares_memory(value, t)
        assert function(np.float32(0.5)).dtype == np.float64
        assert function([]).shape == (0,)


@walk
def test_every_row_has_its_functions_by_name(name: str) -> None:
    row = ACTIVATIONS[name]
    assert getattr(activations, row.f.__name__) is row.f
    assert getattr(activations, row.df.__name__) is row.df
    assert row.f.__doc__
    assert row.df.__doc__


def test_logistic_differential_equation() -> None:
    t = np.linspace(-5, 5, 101)
    np.testing.assert_allclose(sigma_prime(t), sigma(t) * (1 - sigma(t)), rtol=1e-13)
    # sigma(log 3) = 3/4, so sigma'(log 3) = 3/16
    assert sigma(np.log(3)) == pytest.approx(3 / 4, rel=1e-15)
    assert sigma_prime(np.log(3)) == pytest.approx(3 / 16, rel=1e-15)


def test_the_tails_keep_their_digits() -> None:
    # sigma(-40) = e^-40 to within e^-80, and 1 - sigma(40) the same
    assert sigma(-40.0) == pytest.approx(np.exp(-40), rel=1e-14)
    assert sigma_prime(40.0) == pytest.approx(np.exp(-40), rel=1e-14)
    # 1 - tanh(t)^2 = 4 e^-2t to within e^-4t; Phi(-10) = 7.61985302416052606e-24 (Abramowitz and Stegun, 26.2)
    assert ACTIVATIONS["tanh"].df(30.0) == pytest.approx(4 * np.exp(-60), rel=1e-14)
    assert ACTIVATIONS["gelu"].f(-10.0) == pytest.approx(-10 * 7.61985302416052606e-24, rel=1e-13)


def test_only_numbers_are_taken() -> None:
    with pytest.raises(InputError, match="expected numbers"):
        as_numbers(["a"])
    w = np.arange(3.0)
    assert as_numbers(w) is w
