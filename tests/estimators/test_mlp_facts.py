"""What scikit-learn's tests establish by way of its private names, established through public ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits

from layerloop import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
DIGITS, CLASSES = load_digits(n_class=2, return_X_y=True)
DIGITS, CLASSES = DIGITS[:100] / 16, CLASSES[:100]


def gradient_and_loss(estimator: Any, X: Any, y: Any) -> tuple[list[np.ndarray], float]:
    """Descent by one step of rate 1 moves the weights by the gradient; the loss is that before the step."""
    before = [part.copy() for part in (*estimator.coefs_, *estimator.intercepts_)]
    estimator.partial_fit(X, y)
    after = [*estimator.coefs_, *estimator.intercepts_]
    gradient = [b - a for b, a in zip(before, after, strict=True)]
    for part, old in zip(after, before, strict=True):
        part[...] = old
    return gradient, estimator.loss_


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu", "gelu"])
@pytest.mark.parametrize("n_labels", [2, 3])
def test_the_gradient_of_one_step_is_that_of_the_loss(n_labels: int, activation: str) -> None:
    # In the place of test_gradient, which calls _loss_grad_lbfgs with buffers of its own.
    rng = np.random.default_rng(42)
    X, y = rng.random((5, 6)), 1 + np.mod(np.arange(5) + 1, n_labels)
    settings = {"solver": "sgd", "momentum": 0, "learning_rate_init": 1.0, "random_state": 1, "max_iter": 1}
    mlp = MLPClassifier(hidden_layer_sizes=5, activation=activation, alpha=0.01, **settings).fit(X, y)
    gradient, _ = gradient_and_loss(mlp, X, y)
    step = 1e-5
    for part, slopes in zip((*mlp.coefs_, *mlp.intercepts_), gradient, strict=True):
        for place in np.ndindex(part.shape):
            middle, losses = part[place], []
            for moved in (middle + step, middle - step):
                part[place] = moved
                losses.append(gradient_and_loss(mlp, X, y)[1])
            part[place] = middle
            assert abs((losses[0] - losses[1]) / (2 * step) - slopes[place]) < 1e-7


@pytest.mark.parametrize("learning_rate", ["invscaling", "constant"])
def test_a_warm_start_begins_with_the_first_rate_and_counts_all_samples(learning_rate: str) -> None:
    # The fact of test_learning_rate_warmstart, which reads _optimizer.learning_rate.
    X, y = [[3, 2], [1, 6], [5, 6], [-2, -4]], [1, 1, 1, 0]
    mlp = MLPClassifier(4, solver="sgd", learning_rate=learning_rate, max_iter=1, power_t=0.25, warm_start=True)
    rates = [mlp.fit(X, y).learning_rate_ for _ in range(2)]
    if learning_rate == "constant":
        assert rates == [0.001, 0.001]
    else:
        assert rates == [0.001 / 5**0.25, 0.001 / 9**0.25]
    assert mlp.t_ == 8


def test_an_adaptive_rate_ends_below_a_millionth() -> None:
    # The fact of test_adaptive_learning_rate, which reads _optimizer.learning_rate.
    mlp = MLPClassifier(tol=0.5, max_iter=3000, solver="sgd", learning_rate="adaptive").fit([[3, 2], [1, 6]], [1, 0])
    assert mlp.n_iter_ < 3000
    assert mlp.learning_rate_ < 1e-6
    assert mlp.learning_rate_ == pytest.approx(1e-3 / 5**5)


def passes_without_improvement(curve: list[float], tol: float) -> int:
    """Count from the curve itself: passes at its end that were not better than all before by tol."""
    best, count = np.inf, 0
    for loss in curve:
        count = count + 1 if loss > best - tol else 0
        best = min(best, loss)
    return count


@pytest.mark.parametrize("patience", [2, 5, 10, 50, 100])
def test_training_ends_after_one_more_pass_than_it_has_patience(patience: int) -> None:
    # The fact of test_n_iter_no_change, which reads _no_improvement_count.
    mlp = MLPClassifier(tol=0.01, max_iter=3000, solver="sgd", n_iter_no_change=patience).fit(DIGITS, CLASSES)
    assert passes_without_improvement(mlp.loss_curve_, 0.01) == patience + 1
    assert passes_without_improvement(mlp.loss_curve_[:-1], 0.01) == patience
    assert mlp.n_iter_ == len(mlp.loss_curve_) < 3000


def test_endless_patience_goes_on_to_the_last_pass() -> None:
    # The fact of test_n_iter_no_change_inf, which reads _no_improvement_count.
    mlp = MLPClassifier(tol=1e9, max_iter=500, solver="sgd", n_iter_no_change=np.inf).fit(DIGITS, CLASSES)
    assert mlp.n_iter_ == 500
    assert passes_without_improvement(mlp.loss_curve_, 1e9) == 499
    assert mlp.stopped_ == "all passes done"


def test_first_weights_are_uniform_and_so_are_biases() -> None:
    X, y = np.zeros((3, 40)), np.zeros(3)
    for activation, factor in (("relu", 6), ("logistic", 2), (["logistic", "relu"], 0)):
        mlp = MLPRegressor(
            hidden_layer_sizes=(500, 30), activation=activation, max_iter=1, learning_rate_init=1e-12, random_state=0
        )
        mlp.fit(X, y)
        for i, (coef, bias) in enumerate(zip(mlp.coefs_, mlp.intercepts_, strict=True)):
            f = factor or (2, 6, 6)[i]
            bound = np.sqrt(f / sum(coef.shape))
            assert 0.85 * bound < np.abs(coef).max() <= bound
            assert np.abs(bias).max() <= bound
            assert bias.any()


@pytest.mark.parametrize("batch", [10, 40])
def test_the_penalty_is_alpha_over_the_batch_unless_it_is_to_be_over_the_data(batch: int) -> None:
    # A step of descent on data without a gradient of their own: the weights shrink by alpha / n alone.
    X, y = np.zeros((40, 3)), np.zeros(40)
    for scaling, n in (("batch", batch), ("data", 40)):
        mlp = MLPRegressor(
            hidden_layer_sizes=(4,), activation="identity", solver="sgd", momentum=0, alpha=2.0, max_iter=1,
            batch_size=batch, learning_rate_init=0.1, l2_scaling=scaling, shuffle=False,
            random_state=0,
        )  # fmt: skip
        start = mlp.fit(X, y, coef_init=[np.ones((3, 4)), np.zeros((4, 1))], intercept_init=[np.zeros(4), np.zeros(1)])
        np.testing.assert_allclose(start.coefs_[0], (1 - 0.1 * 2.0 / n) ** (40 // batch), rtol=1e-14)
        first = 0.5 * 2.0 / n * 12 * np.mean([(1 - 0.1 * 2.0 / n) ** (2 * k) for k in range(40 // batch)])
        assert mlp.loss_ == pytest.approx(first, rel=1e-12)
