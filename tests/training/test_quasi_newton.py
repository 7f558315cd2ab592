"""L-BFGS against known optima, and its record, reasons and refusals."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from layerloop import Chain, DataLoader, Dense, Inputs, Stop, evaluate, lbfgs, params, softmax, train
from layerloop.errors import DivergenceError, InputError, NetworkError, SettingError

X, y = load_digits(return_X_y=True)
X, y = X[::3] / 16, y[::3]


def logistic(dtype: str = "float64") -> Chain:
    return Chain(Dense(64, 10), softmax, dtype=dtype)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_multinomial_logistic_regression_reaches_the_optimum_of_scikit_learn(dtype: str) -> None:
    n, C = len(X), 0.1
    theirs = LogisticRegression(C=C, tol=1e-8, max_iter=1000).fit(X, y)
    m = logistic(dtype)
    history = lbfgs(m, X, y, max_iter=300, l2=1 / (C * n), undecayed=["bias"], tolerance=1e-7)
    weight = params(m)["layer1.weight"].astype(float)
    ours = evaluate(m, X, y)["loss"] + 0.5 / (C * n) * np.square(weight).sum()
    probabilities = theirs.predict_proba(X)[np.arange(n), y]
    best = -np.log(probabilities).mean() + 0.5 / (C * n) * np.square(theirs.coef_).sum()
    assert ours == pytest.approx(best, rel=1e-6)
    np.testing.assert_allclose(m(X), theirs.predict_proba(X), atol=1e-3)
    assert history.stopped.startswith("converged")


def test_whole_weights_are_rows_that_stand_several_times() -> None:
    rng = np.random.default_rng(0)
    rows, target, times = rng.normal(size=(2100, 5)), rng.normal(size=2100), rng.integers(3, size=2100)  # three blocks
    m = Chain(Dense(5, 1), dtype="float64")
    history = lbfgs(m, rows, target, loss="mse", max_iter=200, tolerance=1e-10, weights=7.0 * times)
    A = np.column_stack([rows, np.ones(2100)])
    exact = np.linalg.lstsq(A.repeat(times, axis=0), target.repeat(times), rcond=None)[0]
    np.testing.assert_allclose(params(m).w, exact, rtol=1e-6)
    squares = np.square(A @ exact - target)
    assert history["loss"][-1] == pytest.approx(np.average(squares, weights=times), rel=1e-9)
    with pytest.raises(InputError, match="as many weights"):
        lbfgs(m, rows, target, loss="mse", weights=times[1:])


def test_least_squares_is_solved_exactly_and_through_raw_bytes() -> None:
    rng = np.random.default_rng(0)
    raw = rng.integers(256, size=(2100, 5), dtype=np.uint8)  # more than two blocks
    target = rng.normal(size=2100)
    m = Chain(Dense(5, 1), dtype="float64", inputs=Inputs(scale=1 / 255))
    lbfgs(m, raw, target, loss="mse", max_iter=200, tolerance=1e-10)
    exact = np.linalg.lstsq(np.column_stack([raw / 255, np.ones(2100)]), target, rcond=None)[0]
    np.testing.assert_allclose(params(m).w, exact, rtol=1e-6)


def test_a_small_network_gets_lower_than_with_adam_in_as_many_passes() -> None:
    ours, theirs = (Chain(Dense(64, 16, "tanh"), Dense(16, 10), softmax) for _ in range(2))
    lbfgs(ours, X, y, max_iter=60)
    train(theirs, DataLoader((X, y), batchsize=128), epochs=60)
    assert evaluate(ours, X, y)["loss"] < 0.5 * evaluate(theirs, X, y)["loss"]


def test_the_history_has_a_row_an_iteration_whose_loss_is_that_of_the_network_and_never_rises() -> None:
    m, seen = logistic(), []
    history = lbfgs(m, X, y, max_iter=12, callbacks=lambda now: seen.append(evaluate(now.model, X, y)["loss"]),
                    validation=(X[:50], y[:50]))  # fmt: skip
    assert history["epoch"] == list(range(1, 13))
    np.testing.assert_allclose(history["loss"], seen, rtol=1e-12)
    assert all(np.diff(history["loss"]) <= 0)
    assert history.epochs[-1]["validation_loss"] == evaluate(m, X[:50], y[:50])["loss"]
    assert history.stopped == "all iterations done"


def test_a_custom_pair_goes_down_the_same_way_as_the_loss_it_spells() -> None:
    target = X @ np.linspace(-1, 1, 64)
    pair = (
        lambda P, t: float(np.square(P - t[:, None]).mean()),
        lambda P, t: 2 * (P - t[:, None]) / P.size,
    )
    a, b = (Chain(Dense(64, 4, "tanh"), Dense(4, 1), dtype="float64") for _ in range(2))
    histories = [lbfgs(m, X, target, loss=loss, max_iter=15) for m, loss in ((a, "mse"), (b, pair))]
    np.testing.assert_allclose(histories[0]["loss"], histories[1]["loss"], rtol=1e-6)


def test_a_callback_stops_it_with_its_reason() -> None:
    history = lbfgs(logistic(), X, y, callbacks=lambda now: Stop("enough") if now.epoch == 3 else None)
    assert (len(history), history.stopped) == (3, "enough")


def test_ctrl_c_goes_through_and_the_network_keeps_the_iterations_done() -> None:
    m, seen = logistic(), []

    def interrupt(now: object) -> None:
        seen.append(m.flat.copy())
        if len(seen) == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        lbfgs(m, X, y, callbacks=interrupt)
    np.testing.assert_array_equal(m.flat, seen[-1])


def test_no_iterations_leave_the_network_alone() -> None:
    m = logistic()
    before = m.flat.copy()
    assert len(lbfgs(m, X, y, max_iter=0)) == 0
    np.testing.assert_array_equal(m.flat, before)


def test_a_loss_that_is_not_finite_is_an_error_and_the_network_keeps_finite_parameters() -> None:
    m = Chain(Dense(1, 1), dtype="float64")
    with pytest.raises(DivergenceError, match="iteration 1; look for large numbers"):
        lbfgs(m, [[1e200]], [[1e200]], loss="mse")
    assert np.isfinite(m.flat).all()


def test_what_does_not_fit_is_refused_before_the_first_gradient() -> None:
    m = logistic()
    for settings, message in (
        ({"l2": -1}, "l2 must be"),
        ({"max_iter": 1.5}, "max_iter must be a whole number"),
        ({"tolerance": -1}, "tolerance must be"),
        ({"undecayed": ["bais"]}, "no part of the network"),
    ):
        with pytest.raises(SettingError, match=message):
            lbfgs(m, X, y, **settings)
    with pytest.raises(InputError, match="row 0, column 0"):
        lbfgs(m, np.full((3, 64), np.nan), [0, 1, 2])
    with pytest.raises(NetworkError, match="no softmax"):
        lbfgs(Chain(Dense(64, 10)), X, y)
