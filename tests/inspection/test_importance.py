"""Importance of columns: what is used is found, by shuffling and by gradients, of networks and of estimators."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from layerloop import Chain, Dense, Inputs, trace
from layerloop.errors import InputError, SettingError, ShapeError
from layerloop.inspection.importance import gradient_importance, mean_input_gradient, permutation_importance

RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, 3))


def linear(*weights: float, **options: object) -> Chain:
    """yhat = w x."""
    m = Chain(Dense(len(weights), 1), dtype="float64", **options)  # type: ignore[arg-type]
    m.flat[...] = [*weights, 0.0]
    return m


def test_of_a_linear_model_what_shuffling_loses_is_known() -> None:
    # R2 is 1; with x_j shuffled the mean squared error is 2 w_j^2 var(x_j), var(y) being sum w_j^2 var(x_j).
    m, w = linear(2.0, 1.0, 0.0), np.array([2.0, 1.0, 0.0])
    found = permutation_importance(m, X, X @ w, repeats=30)
    expected = 2 * w**2 * X.var(axis=0) / (X @ w).var()
    assert [row["column"] for row in found] == ["column 0", "column 1", "column 2"]
    assert [row["importance"] for row in found] == pytest.approx(list(expected), rel=0.1)
    assert found[2] == {"column": "column 2", "importance": 0.0, "spread": 0.0}


def test_of_a_linear_model_the_gradient_is_known() -> None:
    m, w = linear(2.0, 1.0, 0.0), np.array([2.0, 1.0, 0.0])
    y = X @ w - 0.5  # every error is 0.5, so q_1 = 2 (yhat - y) w = w
    assert mean_input_gradient(m, X, y) == pytest.approx(w)
    assert [row["importance"] for row in gradient_importance(m, X, y)] == pytest.approx([2.0, 1.0, 0.0])


def test_the_input_gradient_is_q_1_of_the_trace() -> None:
    m = Chain(Dense(3, 4, "tanh"), Dense(4, 2), "softmax", dtype="float64")
    y = (X[:, 0] > 0).astype(int)
    wanted = np.mean([np.abs(trace(m, x, int(k)).value("q_1")) for x, k in zip(X[:10], y[:10], strict=True)], axis=0)
    np.testing.assert_allclose(mean_input_gradient(m, X[:10], y[:10]), wanted, rtol=1e-13)


def test_columns_have_the_names_of_the_network_or_those_that_are_given() -> None:
    m = linear(2.0, 1.0, inputs=Inputs(columns=("age", "income")))
    assert [row["column"] for row in permutation_importance(m, X[:, :2], X[:, 0])] == ["age", "income"]
    assert gradient_importance(m, X[:, :2], X[:, 0], columns=("a", "b"))[0]["column"] == "a"
    with pytest.raises(ShapeError, match="X has 2 columns, but there are 3 names"):
        permutation_importance(m, X[:, :2], X[:, 0], columns=("a", "b", "c"))


def test_a_loss_without_a_figure_is_measured_itself() -> None:
    found = permutation_importance(linear(2.0, 0.0, 0.0), X, np.abs(X[:, 0]), loss="quantile")
    assert found[0]["column"] == "column 0"


def test_an_estimator_is_measured_by_its_score() -> None:
    class Estimator(LinearRegression):
        network_ = linear(0.0, 3.0, 0.0)

    y = 3 * X[:, 1]
    found = permutation_importance(Estimator().fit(X, y), X, y, repeats=30)
    assert (found[0]["column"], found[0]["importance"]) == ("column 1", pytest.approx(2, rel=0.1))


def test_the_data_stay_as_they_were_and_the_seed_shuffles() -> None:
    m, before = linear(2.0, 1.0, 0.0), X.copy()
    first, again, other = (permutation_importance(m, X, X[:, 0], seed=seed) for seed in (1, 1, 2))
    assert first == again != other
    np.testing.assert_array_equal(X, before)


def test_progress_is_told() -> None:
    told: list[float] = []
    permutation_importance(linear(1.0, 1.0, 1.0), X, X[:, 0], progress=told.append)
    assert told == pytest.approx([1 / 3, 2 / 3, 1])


def test_what_is_no_model_or_no_number_is_an_error() -> None:
    with pytest.raises(InputError, match="expected a Chain"):
        permutation_importance("model", X, X[:, 0])
    with pytest.raises(SettingError, match="repeats"):
        permutation_importance(linear(1.0, 1.0, 1.0), X, X[:, 0], repeats=0)
