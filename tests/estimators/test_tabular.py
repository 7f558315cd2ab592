"""The good-by-default estimators: what goes in, what comes out, what is kept, and what is refused."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_diabetes, load_iris
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from houses import FAST, houses
from layerloop.engine import engine_name
from layerloop.errors import InputError, LabelError, SettingError, UnknownNameError
from layerloop.estimators import TabularClassifier, TabularRegressor

if TYPE_CHECKING:
    from layerloop.estimators.table_training import Epoch

UNEQUAL = (
    "networks are trained on batches, and on folds: a row of weight 2 meets other rows than two rows of weight 1 do; "
    "how close both come is tested below"
)
EXPECTED = {
    "check_sample_weight_equivalence_on_dense_data": UNEQUAL,
    "check_sample_weight_equivalence_on_sparse_data": UNEQUAL,
}
BY_PLACE = (
    "1e-7 is asked of float32, and a BLAS may round a row's sums by where it stands among the others; the bits of the "
    "compiled engine do not depend on that, and how close the NumPy engine comes is tested below"
)


@parametrize_with_checks(
    [TabularClassifier(epochs=16, n_members=2), TabularRegressor(epochs=16, n_members=2)],
    expected_failed_checks=lambda _: EXPECTED,
)
def test_scikit_learn_checks(estimator: Any, check: Any) -> None:
    if check.func.__name__ == "check_methods_sample_order_invariance" and engine_name() == "numpy":
        pytest.skip(BY_PLACE)
    check(estimator)


def test_a_table_of_everything_gives_a_model_that_is_better_than_the_mean() -> None:
    X, y = houses()
    model = TabularRegressor(random_state=0).fit(X[:240], y[:240])
    assert model.evaluate(X[240:], y[240:])["r2"] > 0.8
    assert model.columns_["constant"] == "left out: it is constant"
    assert model.columns_["key"] == "left out: every row has a value of its own"
    assert model.columns_["street"] == "category: 12 levels, each with learned numbers"


@pytest.mark.parametrize("make", [pl.DataFrame, lambda table: pl.from_pandas(table).to_arrow()])
def test_every_library_of_frames_gives_the_same_model(make: Any) -> None:
    X, y = houses(80)
    X["garden"] = X["garden"].astype(bool)
    other = make(pl.from_pandas(X)) if make is pl.DataFrame else pl.from_pandas(X).to_arrow()
    expected = TabularRegressor(**FAST).fit(X, y).predict(X)
    assert np.array_equal(TabularRegressor(**FAST).fit(other, y).predict(other), expected)


def test_unseen_categories_gaps_and_new_columns_are_predicted() -> None:
    X, y = houses(80)
    model = TabularRegressor(**FAST).fit(X, y)
    new = X[:3].assign(town=["Rom", None, "Ulm"], area=np.nan, street="none of them")
    assert np.isfinite(model.predict(new)).all()


def test_frames_come_out_where_frames_go_in() -> None:
    X, y = houses(80)
    found = TabularRegressor(interval=0.8, **FAST).fit(X, y).predict_frame(X)
    assert list(found.columns) == [*X.columns, "prediction", "lower", "upper"]
    assert (found["lower"] <= found["upper"]).all()
    labels = np.where(y > np.median(y), "dear", "cheap")
    shares = TabularClassifier(**FAST).fit(X, labels).predict_frame(pl.from_pandas(X))
    assert shares.columns[-3:] == ["prediction", "probability_cheap", "probability_dear"]
    assert np.allclose(shares["probability_cheap"] + shares["probability_dear"], 1)


def test_the_scale_of_the_target_does_not_matter() -> None:
    X, y = load_diabetes(return_X_y=True)
    near = TabularRegressor(**FAST).fit(X, y)
    far = TabularRegressor(**FAST).fit(X, y * 2.0**40 + 2.0**45)
    assert np.allclose((far.predict(X) - 2.0**45) / 2.0**40, near.predict(X), rtol=1e-3)


def test_predictions_stay_within_the_range_of_the_target() -> None:
    X, y = load_diabetes(return_X_y=True)
    predicted = TabularRegressor(**FAST).fit(X, y).predict(X * 1e6)
    assert y.min() <= predicted.min() <= predicted.max() <= y.max()


def test_thousands_of_classes() -> None:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(3000, 4)), rng.integers(0, 1500, 3000)
    model = TabularClassifier(epochs=1, n_members=1, random_state=0).fit(X, y)
    assert model.predict_proba(X[:5]).shape == (5, len(np.unique(y)))


@pytest.mark.parametrize("n", [3, 12, 30])
def test_a_few_rows_are_enough(n: int) -> None:
    X, y = load_iris(return_X_y=True)
    rows = np.linspace(0, 149, n).astype(int)
    assert TabularClassifier(**FAST).fit(X[rows], y[rows]).predict(X).shape == (150,)


def test_sparse_rows_go_straight_in() -> None:
    rng = np.random.default_rng(0)
    X = rng.poisson(0.1, (2000, 100)).astype(float)
    y = X[:, :10].sum(axis=1) > X[:, 10:20].sum(axis=1)
    model = TabularClassifier(random_state=0, epochs=16).fit(csr_array(X[:1500]), y[:1500])
    assert model.evaluate(csr_array(X[1500:]), y[1500:])["accuracy"] > 0.9
    assert np.allclose(model.predict_proba(X), model.predict_proba(csr_array(X)), atol=1e-6)


def test_text_is_read_as_text() -> None:
    words = ["good", "fine", "great", "bad", "poor", "awful"]
    rng = np.random.default_rng(0)
    picked = rng.integers(0, 6, 200)
    X = pd.DataFrame({"review": [f"this was a {words[i]} meal number {n} of many" for n, i in enumerate(picked)]})
    model = TabularClassifier(random_state=0, epochs=16).fit(X[:150], picked[:150] < 3)
    assert model.columns_["review"].startswith("text: words and pairs")
    assert model.evaluate(X[150:], picked[150:] < 3)["accuracy"] > 0.9


def test_weights_of_rows_and_of_classes_are_followed() -> None:
    X, y = load_iris(return_X_y=True)
    rng = np.random.default_rng(0)
    noisy = np.where(rng.random(150) < 0.3, rng.integers(0, 3, 150), y)
    trusted = TabularClassifier(random_state=0, epochs=16).fit(X, noisy, sample_weight=np.where(noisy == y, 1.0, 1e-6))
    assert trusted.score(X, y) > 0.9
    rare = np.concatenate([np.arange(50, 100), np.arange(100, 108)])
    even = TabularClassifier(class_weight="balanced", **FAST).fit(X[rare], y[rare])
    plain = TabularClassifier(**FAST).fit(X[rare], y[rare])
    assert even.predict_proba(X[50:])[:, 1].mean() > plain.predict_proba(X[50:])[:, 1].mean()


@pytest.mark.parametrize("form", [np.asarray, csr_array])
def test_a_weighted_fit_is_as_close_to_repeated_rows_as_two_seeds_are(form: Any) -> None:
    X, y = load_diabetes(return_X_y=True)
    counts = np.random.default_rng(0).integers(1, 4, len(y))

    def predicted(X: np.ndarray, y: np.ndarray, weights: Any, seed: int) -> np.ndarray:
        return TabularRegressor(random_state=seed).fit(form(X), y, sample_weight=weights).predict(form(X0))

    X0 = X
    weighted, other = (predicted(X, y, counts, seed) for seed in (0, 1))
    repeated = predicted(np.repeat(X, counts, axis=0), np.repeat(y, counts), None, 0)
    assert np.abs(weighted - repeated).mean() < 1.5 * np.abs(weighted - other).mean()


def test_copies_of_a_row_are_not_judged_on() -> None:
    rng = np.random.default_rng(0)
    X = np.repeat(rng.normal(size=(200, 5)), 2, axis=0)
    y = np.repeat(rng.normal(size=200), 2)  # nothing to learn: whoever seems to has seen the row
    assert TabularRegressor(epochs=32, random_state=0).fit(X, y).figures_["r2"] < 0.05


def test_intervals_cover_what_they_say() -> None:
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (3000, 2))
    y = X[:, 0] + (0.1 + np.abs(X[:, 1])) * rng.normal(size=3000)
    model = TabularRegressor(interval=0.8, epochs=8, random_state=0).fit(X[:2000], y[:2000])
    low, high = model.predict_interval(X[2000:]).T
    inside = (low <= y[2000:]) & (y[2000:] <= high)
    assert 0.75 < inside.mean() < 0.86
    wide = np.abs(X[2000:, 1]) > 0.5
    assert (high - low)[wide].mean() > 1.5 * (high - low)[~wide].mean()


def test_intervals_have_to_be_asked_for() -> None:
    X, y = load_diabetes(return_X_y=True)
    with pytest.raises(SettingError, match="no intervals: fit TabularRegressor"):
        TabularRegressor(**FAST).fit(X, y).predict_interval(X)
    with pytest.raises(SettingError, match="share of rows between 0 and 1"):
        TabularRegressor(interval=90, **FAST).fit(X, y)


def test_probabilities_are_as_sure_as_they_are_right() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(4000, 5))
    y = rng.random(4000) < 1 / (1 + np.exp(-2 * X[:, 0]))
    model = TabularClassifier(random_state=0, epochs=16).fit(X[:2000], y[:2000])
    assert model.evaluate(X[2000:], y[2000:])["ece"] < 0.05


def test_a_row_is_predicted_alike_wherever_it_stands() -> None:
    X, y = houses(300)
    model = TabularClassifier(**FAST).fit(X, np.digitize(y, np.quantile(y, [0.3, 0.6])))
    P, order = model.predict_proba(X), np.random.default_rng(0).permutation(300)
    others = [(model.predict_proba(X.iloc[rows]), P[rows]) for rows in (order, order[:7], order[:1])]
    for got, expected in others:
        np.testing.assert_allclose(got, expected, rtol=1e-5)
    if engine_name() == "native":
        assert np.array_equal(*others[0])


def test_the_same_seed_gives_the_same_bits() -> None:
    X, y = load_iris(return_X_y=True)
    first, second = (TabularClassifier(**FAST).fit(X, y).predict_proba(X) for _ in range(2))
    assert first.tobytes() == second.tobytes()


def test_time_is_kept() -> None:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(20_000, 30)), rng.normal(size=20_000)
    model = TabularRegressor(time_limit=2.0, random_state=0).fit(X, y)
    assert model.fit_seconds_ < 4.0
    assert model.recipe_.epochs < 64
    with pytest.raises(SettingError, match="time_limit must be a positive number"):
        TabularRegressor(time_limit=0).fit(X[:50], y[:50])


def test_every_pass_is_told() -> None:
    X, y = load_iris(return_X_y=True)
    seen: list[Epoch] = []
    model = TabularClassifier(**FAST).fit(X, y, watch=seen.append)
    assert sorted((now.fold, now.epoch) for now in seen) == [
        (0, 1),
        (0, 2),
        (0, 3),
        (0, 4),
        (1, 1),
        (1, 2),
        (1, 3),
        (1, 4),
    ]
    assert tuple(len(scores) for scores in model.scores_) == (4, 4)


def test_what_a_watcher_raises_ends_every_fold() -> None:
    X, y = load_iris(return_X_y=True)

    def interrupted(now: Epoch) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        TabularClassifier(**FAST).fit(X, y, watch=interrupted)


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy", "log_loss", "auc", "f1", "brier", "ece"])
def test_every_metric_of_classes_can_choose_the_epoch(metric: str) -> None:
    X, y = load_iris(return_X_y=True)
    assert TabularClassifier(metric=metric, **FAST).fit(X, y).score(X, y) > 0.6


@pytest.mark.parametrize("metric", ["r2", "mae", "rmse"])
def test_every_metric_of_values_can_choose_the_epoch(metric: str) -> None:
    X, y = load_diabetes(return_X_y=True)
    model = TabularRegressor(metric=metric, **FAST).fit(X, y)
    assert model.recipe_.loss == ("mae" if metric == "mae" else "mse")


# -- with scikit-learn's tools -----------------------------------------------------------------------------------------


def test_clone_pickle_search_and_pipeline() -> None:
    X, y = load_iris(return_X_y=True)
    model = TabularClassifier(**FAST)
    assert clone(model).get_params() == model.get_params()
    fitted = clone(model).fit(X, y)
    again = pickle.loads(pickle.dumps(fitted))
    assert again.predict_proba(X).tobytes() == fitted.predict_proba(X).tobytes()
    assert cross_val_score(model, X, y, cv=2).min() > 0.6
    search = GridSearchCV(model, {"metric": ["accuracy", "log_loss"]}, cv=2).fit(X, y)
    assert search.best_params_["metric"] in {"accuracy", "log_loss"}
    columns = make_column_transformer((StandardScaler(), [0, 1]), (FunctionTransformer(), [2, 3]))
    assert make_pipeline(columns, model).fit(X, y).score(X, y) > 0.6


# -- bad input: the table of docs/tabular.md ---------------------------------------------------------------------------

X4, Y4 = np.arange(8.0).reshape(4, 2), np.array([0, 1, 0, 1])
REFUSED: dict[str, tuple[Any, Any, str]] = {
    "infinity": ([[1.0, 2.0], [np.inf, 1.0], [1.0, 1.0], [0.0, 0.0]], Y4, "column 'x0', row 1: infinity"),
    "complex": (X4.astype(complex), Y4, "[Cc]omplex"),
    "one dimension": (X4[:, 0], Y4, "Expected 2D array"),
    "three dimensions": (X4[np.newaxis], Y4, "dim 3"),
    "no rows": (np.empty((0, 2)), [], "0 sample"),
    "no columns": (np.empty((4, 0)), Y4, "0 feature"),
    "lengths differ": (X4, Y4[:3], "X has 4 rows, y has 3"),
    "one class": (X4, np.zeros(4), "one class"),
    "a missing label": (X4, np.array([0, 1, np.nan, 1]), "y, row 2: the label is missing"),
    "a cell that is a list": ([[1, [2]], [1, 2], [1, 2], [1, 2]], Y4, "column 'x1', row 0: a cell holds a list"),
    "values for classes": (X4, np.array([0.5, 1.5, 0.25, 1.0]), "Unknown label type"),
    "two targets": (X4, np.column_stack([Y4, Y4]), "y should be a 1d array"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str) -> None:
    X, y, words = REFUSED[case]
    with pytest.raises((ValueError, TypeError), match=words):
        TabularClassifier(**FAST).fit(X, y)


@pytest.mark.parametrize(
    ("weights", "words"),
    [([-1, 1, 1, 1], "[Nn]egative"), ([0, 0, 0, 0], "zero"), ([np.nan, 1, 1, 1], "NaN"), ([1, 1], "shape")],
)
def test_refused_weights(weights: list[float], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        TabularClassifier(**FAST).fit(X4, Y4, sample_weight=weights)


def test_refused_at_prediction() -> None:
    X, y = houses(40)
    model = TabularRegressor(**FAST).fit(X, y)
    with pytest.raises(ValueError, match="feature names"):
        model.predict(X.rename(columns={"area": "aera"}))
    with pytest.raises(InputError, match="column 'area', row 0: 'large' is no number"):
        model.predict(X.assign(area="large"))
    with pytest.raises(LabelError, match=r"y, row 0: 'x' is none of the model's classes"):
        TabularClassifier(**FAST).fit(X4, ["a", "b", "a", "b"]).evaluate(X4, ["x", "b", "a", "b"])


ACCEPTED: dict[str, tuple[Any, Any]] = {
    "missing numbers": ([[np.nan, 1.0], [2.0, np.nan], [1.0, 0.0], [3.0, 2.0]], Y4),
    "a column of nothing": ([[None, 1.0], [None, 2.0], [None, 1.5], [None, 2.5]], Y4),
    "constant columns": (np.ones((4, 2)), Y4),
    "duplicate columns": (np.column_stack([X4, X4]), Y4),
    "strings": ([["a", "b"], ["c", "d"], ["a", "d"], ["c", "b"]], ["no", "yes", "no", "yes"]),
    "too large for float32": ([[1e300, 1.0], [-1e300, 2.0], [0.0, 1.0], [1e299, 1.0]], Y4),
    "read-only": (X4.view(), Y4),
    "fewer rows than a batch": (X4, Y4),
    "booleans": (X4 > 3, Y4 > 0),
    "a column of y": (X4, Y4),
}


@pytest.mark.parametrize("case", ACCEPTED)
def test_accepted(case: str) -> None:
    X, y = ACCEPTED[case]
    if isinstance(X, np.ndarray):
        X.setflags(write=False)
    assert TabularClassifier(**FAST).fit(X, y).predict_proba(X).shape == (4, 2)


def test_a_setting_that_a_user_gives_is_still_looked_up() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown setting 'width' of a recipe\. Did you mean 'widths'"):
        TabularClassifier(recipe={"width": (16,)}).fit(X4, Y4)
