"""Targets of several values a row: each in its own units, standardised by itself, brought back at the end."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import r2_score

from layerloop import Chain, Dense, evaluate
from layerloop.data import Dataset
from layerloop.errors import InputError, NetworkError
from layerloop.losses import spec_of
from layerloop.maths import huber
from layerloop.training.recipe import Recipe, held_out_rows, prepare
from layerloop.training.standard import AS_IT_IS, standard_of

RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, 4))
# Three units: tens of thousands about 3e5, thousandths about 0, and about 1.
Y = np.column_stack([3e5 + 1e4 * X[:, 0], 1e-3 * np.tanh(X[:, 1]), 1 + X[:, 2] * X[:, 3]])
DATA = Dataset("sizes", X, Y, "values", columns=("p", "q", "r", "s"), target="price, share,size")
D = np.array([5e3, 5e-4, 0.5])
LOSSES = {
    "mse": lambda d: np.mean(d**2),
    "mae": lambda d: np.mean(np.abs(d)),
    "huber:delta=5000,0.0005,0.5": lambda d: np.mean(np.where(np.abs(d) <= D, d**2 / 2, D * (np.abs(d) - D / 2))),
}
WAYS = [{}, {"optimizer": "lbfgs"}, {"dtype": "float64", "layers": ()}]


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("way", WAYS)
def test_figures_are_those_of_numpy_in_the_units_of_the_data(loss: str, way: dict) -> None:
    rate = {} if "optimizer" in way else {"rate": 0.02}
    task = prepare(DATA, None, Recipe(loss=loss, **rate, **way))
    history = task.train(40)
    assert history["loss"][-1] < 0.7 * history["loss"][0]
    before = task.figures("test")
    task.finish()
    assert task.target == AS_IT_IS
    held, y = task.held["test"]
    rows = [int(np.flatnonzero((x == X).all(axis=1))[0]) for x in held]
    np.testing.assert_allclose(y, Y[rows], rtol=1e-9, atol=1e-12)
    outputs = task.m(held).astype(np.float64)
    digits = {"rel": 2e-3} if task.m.dtype == "float32" else {"rel": 1e-6}
    for found in (before, task.figures("test"), evaluate(task.m, held, y, loss)):
        assert found["loss"] == pytest.approx(LOSSES[loss](outputs - y), **digits)
        assert found["r2"] == pytest.approx(r2_score(y, outputs), abs=1e-3)
    assert before["r2"] > 0.4


def test_one_step_of_descent_goes_along_the_mean_of_the_columns_each_in_deviations() -> None:
    task = prepare(DATA, None, Recipe(layers=(), optimizer="descent", rate=0.1, batch_size=1000, test=0.0))
    w = task.m.flat.reshape(-1).copy()
    outputs = task.m(X).astype(np.float64)
    standard = (Y - Y.mean(axis=0)) / Y.std(axis=0)
    inner = (X - X.mean(axis=0)) / X.std(axis=0)
    slopes = 2 * (outputs - standard) / 3 / 200  # of mean over rows and columns of (yhat - y)^2
    history = task.train(1)
    assert history["loss"][0] == pytest.approx(np.mean((outputs - standard) ** 2), rel=1e-5)
    step = np.concatenate([(inner.T @ slopes).ravel(), slopes.sum(axis=0)])
    np.testing.assert_allclose(task.m.flat - w, -0.1 * step, atol=1e-6)


def test_losses_of_passes_are_in_deviations_and_those_of_figures_are_not() -> None:
    task = prepare(DATA, None, Recipe(loss="mae"))
    held, y = task.held["test"]
    outputs = task.m(held).astype(np.float64)
    assert task.figures("test", passing=True)["loss"] == pytest.approx(np.mean(np.abs(outputs - y)), rel=1e-5)
    missed = (outputs - y) * task.target.spread
    assert task.figures("test")["loss"] == pytest.approx(np.mean(np.abs(missed)), rel=1e-5)
    row = task.train(1).epochs[0]
    assert row["test_loss"] == pytest.approx(task.figures("test", passing=True)["loss"], rel=1e-5)
    assert any("losses of passes are in deviations" in sentence for sentence in task.done)


def test_a_delta_is_a_length_in_the_unit_of_its_own_column() -> None:
    d = np.array([[3.0, -0.5], [0.2, 8.0]])
    for text, deltas in (("huber:1", (1.0, 1.0)), ("huber:delta=2,0.1", (2.0, 0.1))):
        own = spec_of(text).in_units(4.0, 0.5)
        assert own.columns(2) == (deltas[0] / 4, deltas[1] / 0.5)
        inner = [huber(d[:, k] / s, [0, 0], own.columns(2)[k]) * s**2 for k, s in enumerate((4.0, 0.5))]
        assert np.mean(inner) == pytest.approx(np.mean([huber(row, [0, 0], deltas) for row in d]), rel=1e-12)
    assert spec_of("huber:delta=2,0.1").in_units(2.0).columns(2) == (1.0, 0.05)


def test_a_single_delta_is_in_deviations_so_that_every_column_is_learned() -> None:
    task = prepare(DATA, None, Recipe(loss="huber:delta=0.5", rate=0.02))
    spread = np.asarray(task.target.spread)
    np.testing.assert_allclose(task.loss.columns(3), 0.5 * spread, rtol=1e-5)
    np.testing.assert_allclose(task.trained_loss.columns(3), 0.5, rtol=1e-5)
    assert "huber's delta is 0.5, in deviations of each target" in task.done
    task.train(60)
    task.finish()
    held, y = task.held["test"]
    d, deltas = task.m(held) - y, task.loss.columns(3)
    assert task.figures("test")["loss"] == pytest.approx(
        np.mean([huber(row, [0, 0, 0], deltas) for row in d]), rel=1e-3
    )
    assert r2_score(y[:, :2], task.m(held)[:, :2], multioutput="raw_values").min() > 0.9


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_constant_value_is_learned_as_it_is_and_has_no_part_in_r2(dtype: str) -> None:
    task = prepare(
        replace(DATA, y=np.column_stack([Y, np.full(200, 0.1)])), None, Recipe(layers=(), dtype=dtype, rate=0.1)
    )
    assert (task.target.center[3], task.target.spread[3]) == (pytest.approx(0.1), 1.0)  # type: ignore[index]
    task.train(200)
    task.finish()
    held, y = task.held["test"]
    np.testing.assert_allclose(task.m(held)[:, 3], 0.1, atol=0.01)
    assert task.figures("test")["r2"] == pytest.approx(r2_score(y[:, :3], task.m(held)[:, :3]), abs=1e-4)
    alone = Chain(Dense(4, 2))
    assert np.isnan(evaluate(alone, X, np.full((200, 2), 0.1), "mse")["r2"])


def test_counts_begin_at_the_logarithm_of_each_mean() -> None:
    y = np.column_stack([np.arange(200) % 3, 100 + np.arange(200) % 5, np.zeros(200)])
    task = prepare(replace(DATA, y=y), None, Recipe(loss="poisson", layers=(), test=0.0))
    bias = task.m.flat[-3:]
    np.testing.assert_allclose(bias, [np.log(y[:, 0].mean()), np.log(102), 0], rtol=1e-6)


def test_rows_are_held_out_evenly_along_the_first_value() -> None:
    out = held_out_rows(Y, 0.2, seed=0)
    ranks = np.argsort(np.argsort(Y[:, 0]))
    assert out.sum() == 40
    assert all(out[(ranks >= low) & (ranks < low + 5)].sum() == 1 for low in range(0, 200, 5))


def test_standardising_and_back_is_no_change() -> None:
    standard = standard_of(Y, ["a", "b", "c"], "float32")
    inner = standard.applied(Y)
    np.testing.assert_allclose(inner.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(inner.std(axis=0), 1, rtol=1e-12)
    np.testing.assert_allclose(standard.undone(inner), Y, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(
    ("data", "recipe", "error", "said"),
    [
        (
            replace(DATA, y=Y + np.array([0, 1e4, 0])),
            {},
            InputError,
            "target share of sizes is 10000 .* subtract 10000",
        ),
        (
            replace(DATA, y=Y * [1, 1, 1e30], target=None),
            {},
            InputError,
            "target 2 of sizes reaches .* use dtype float64",
        ),
        (DATA, {"loss": "quantile:0.1,0.9"}, NetworkError, "sizes has 3 values a row, and quantile.* is of one"),
        (DATA, {"loss": "huber:1,2"}, NetworkError, "has 2 deltas, but the network has 3 outputs"),
        (DATA, {"loss": "poisson"}, InputError, "poisson is for counts"),
        (DATA, {"loss": "crossentropy"}, NetworkError, "holds values, which loss crossentropy does not fit"),
    ],
)
def test_what_does_not_fit_is_refused(data: Dataset, recipe: dict, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        prepare(data, None, Recipe(**recipe))
