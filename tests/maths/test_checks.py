"""The judges judged: differences find what they should, and a wrong gradient is named."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from layerloop.errors import NetworkError, SettingError, ShapeError, UnknownNameError
from layerloop.maths import checks
from layerloop.maths.checks import METHODS, check_gradient, kink_distance
from layerloop.maths.differences import central_differences, complex_step, dense_jacobian, random_direction_identity
from layerloop.maths.loops import gradient
from layerloop.maths.net import Net, notes, program, size


@pytest.fixture(autouse=True)
def _strict():
    with np.errstate(all="raise"):
        yield


def polynomial(w: np.ndarray) -> np.ndarray:
    return w[0] ** 3 * w[1] - 2 * w[2]  # gradient (3 w0^2 w1, w0^3, -2)


def sample(net: Net, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=size(net)), rng.normal(size=net.widths[0]), np.eye(net.K)[0]


def test_both_differences_on_a_polynomial() -> None:
    w = np.array([2.0, 5.0, 1.0])
    np.testing.assert_allclose(central_differences(polynomial, w), [60, 8, -2], rtol=1e-9)
    np.testing.assert_allclose(complex_step(polynomial, w), [60, 8, -2], rtol=1e-15)
    np.testing.assert_allclose(central_differences(polynomial, w, entries=[2, 0]), [-2, 60], rtol=1e-9)
    np.testing.assert_allclose(complex_step(polynomial, w, entries=[1]), [8], rtol=1e-15)
    # with s = 1/2: ((2.5)^3 - (1.5)^3) * 5 = (15.625 - 3.375) * 5 = 61.25 = 60 + s^2 * 5
    assert central_differences(polynomial, w, h=0.5)[0] == 61.25
    np.testing.assert_array_equal(w, [2, 5, 1])


def test_step_grows_with_the_coordinate() -> None:
    # at w = 1e6 a step of 6e-6 would leave only some 5 digits of it
    np.testing.assert_allclose(central_differences(lambda w: w[0] ** 2, [1e6]), [2e6], rtol=1e-9)


def test_dense_jacobian_has_a_column_for_each_coordinate() -> None:
    J = dense_jacobian(lambda z: np.array([z[0] * z[1], z[2], z[0]]), [2.0, 3.0, 4.0])
    np.testing.assert_allclose(J, [[3, 2, 0], [0, 0, 1], [1, 0, 0]], atol=1e-9)


def test_random_direction_identity_tells_right_from_wrong() -> None:
    rng = np.random.default_rng(1)
    J, u, v = rng.normal(size=(4, 6)), rng.normal(size=4), rng.normal(size=6)
    assert random_direction_identity(J, lambda q: J.T @ q, u, v) < 1e-15
    assert random_direction_identity(lambda d: J @ d, lambda q: J.T @ q, u, v) < 1e-15
    assert random_direction_identity(J, lambda q: 1.001 * J.T @ q, u, v) > 1e-5
    assert random_direction_identity(0 * J, lambda q: 0 * v, u, v) == 0


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("build", [notes, program])
def test_both_methods_pass_both_readings(build, method: str) -> None:
    net = build(5, [4], 3)
    check = check_gradient(net, *sample(net), method=method)
    assert check.passed
    assert check.method == method
    assert check.worst <= check.tolerance == METHODS[method].tolerance
    assert check.checked == check.size == size(net)
    assert check.kink_distance == np.inf
    assert check.kink_name == ""


@pytest.mark.parametrize(
    ("wrong", "name", "place"),
    [
        (0, "layer 1, row 1, column 1", (1, 1, 1)),
        (11, "layer 1, row 2, bias", (1, 2, 6)),
        (25, "layer 2, row 1, column 2", (2, 1, 2)),
    ],
)
def test_a_wrong_entry_is_found_and_named(
    monkeypatch: pytest.MonkeyPatch, wrong: int, name: str, place: tuple[int, int, int]
) -> None:
    net = notes(5, [4], 3)  # layer 1 holds entries 0 to 23 in rows of 6, layer 2 the rest in rows of 5
    w, x, y = sample(net)
    right = gradient(net, w, x, y)

    def off_by_a_little(*arguments: object) -> np.ndarray:
        false = right.copy()
        false[wrong] += 1e-4 * np.abs(right).max()
        return false

    monkeypatch.setattr(checks, "gradient", off_by_a_little)
    check = check_gradient(net, w, x, y)
    assert not check.passed
    assert check.name == name
    assert (check.layer, check.row, check.column) == place
    assert check.by_method == pytest.approx(right[wrong], rel=1e-10)
    assert check.by_loops - check.by_method == pytest.approx(1e-4 * np.abs(right).max(), rel=1e-6)
    assert str(check).startswith("FAILED: 34 of 34 entries, complex")
    assert name in str(check)


@pytest.mark.parametrize("bad", [np.nan, 0.0])
def test_nan_and_a_gradient_of_zeros_never_pass(monkeypatch: pytest.MonkeyPatch, bad: float) -> None:
    net = notes(5, [4], 3)
    monkeypatch.setattr(checks, "gradient", lambda *arguments: np.full(size(net), bad))
    assert not check_gradient(net, *sample(net)).passed


def test_a_dead_layer_has_no_defect() -> None:
    net = Net((1, 1, 2), ("relu", "identity"), "softmax")
    check = check_gradient(net, [1.0, -5.0, 1.0, 0.0, 1.0, 0.0], [1.0], [1, 0])
    assert check.passed
    assert (check.checked, check.kink_name) == (6, "layer 1, row 1")


def test_entries_are_drawn_by_the_seed_or_chosen() -> None:
    net = notes(20, [10], 4)
    w, x, y = sample(net)
    first = check_gradient(net, w, x, y, entries=7, seed=1)
    assert first == check_gradient(net, w, x, y, entries=7, seed=1)
    assert first != check_gradient(net, w, x, y, entries=7, seed=2)
    assert (first.checked, first.size) == (7, size(net))
    assert check_gradient(net, w, x, y, entries=10**6).checked == size(net)
    assert check_gradient(net, w, x, y, entries=[3]).name == "layer 1, row 1, column 4"
    assert check_gradient(net, w, x, y, entries=np.array([20, 41])).checked == 2


def test_the_nearest_kink_is_reported_and_nothing_is_moved() -> None:
    net = Net((1, 2, 2), ("hard_sigmoid", "relu"), "softmax")
    # t_1 = (1 + 1, 1 - 0.5) = (2, 0.5), kinks at +-3; z_2 = (5/6, 7/12); t_2 = (5/6 - 5/6 + 1e-7, 7/12)
    w = np.array([1, 1, 1, -0.5, 1, 0, -5 / 6 + 1e-7, 0, 1, 0])
    distance, name = kink_distance(net, w, [1.0])
    assert distance == pytest.approx(1e-7, rel=1e-6)
    assert name == "layer 2, row 1"
    before = w.copy()
    assert check_gradient(net, w, [1.0], [1, 0], method="complex").passed  # it stays on its side of the kink
    check = check_gradient(net, w, [1.0], [1, 0], method="central")
    assert not check.passed  # the step of 6e-6 goes over the kink, and the result says so
    assert check.kink_distance == distance
    assert "nearest kink: 1.0e-07 from layer 2, row 1" in str(check)
    np.testing.assert_array_equal(w, before)


def test_results_are_frozen() -> None:
    net = notes(2, [], 2)
    check = check_gradient(net, *sample(net))
    with pytest.raises(FrozenInstanceError):
        check.passed = False


def test_errors_teach() -> None:
    net = Net((2, 2), ("relu",), "softmax")
    w, x, y = sample(net)
    with pytest.raises(UnknownNameError, match="Did you mean 'central'"):
        check_gradient(net, w, x, y, method="centrale")
    with pytest.raises(SettingError, match="at least 1"):
        check_gradient(net, w, x, y, entries=0)
    with pytest.raises(SettingError, match="at least 1"):
        check_gradient(net, w, x, y, entries=[])
    with pytest.raises(ShapeError, match="positions 0 to 5"):
        check_gradient(net, w, x, y, entries=[6])
    with pytest.raises(ShapeError, match=r"w: expected shape \(6,\)"):
        check_gradient(net, w[1:], x, y)
    with pytest.raises(NetworkError, match="no parameters"):
        check_gradient(Net((2,), (), "softmax"), [], x, y)
