"""scikit-learn around the two estimators: its own checks, copies, searches, pipelines, routing, weights of rows."""

from __future__ import annotations

import copy
import pickle
from typing import TYPE_CHECKING, Any

import joblib
import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array
from sklearn import config_context
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.datasets import load_digits, load_iris, make_regression
from sklearn.ensemble import BaggingClassifier, VotingClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import GridSearchCV, GroupKFold, RandomizedSearchCV, cross_val_score, cross_validate
from sklearn.multioutput import ClassifierChain
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from layerloop import Adam, Cosine, MLPClassifier, MLPRegressor

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X, y = load_iris(return_X_y=True)
X = (X - X.mean(axis=0)) / X.std(axis=0)
DIGITS, NUMBERS = load_digits(return_X_y=True)
QUICK: dict[str, Any] = {"hidden_layer_sizes": (8,), "max_iter": 30, "learning_rate_init": 0.05, "random_state": 0}
OTHER = {
    "solver": "adamw", "schedule": "adaptive", "activation": "gelu", "l2_scaling": "data",
    "restore_best_weights": True, "max_iter": 100, "learning_rate_init": 0.01,
}  # fmt: skip


@pytest.mark.filterwarnings("default")
@parametrize_with_checks(  # none is expected to fail
    [
        MLPClassifier(max_iter=100),
        MLPRegressor(max_iter=100),
        MLPClassifier(solver="lbfgs", class_weight="balanced", max_iter=100),
        MLPRegressor(**OTHER),
    ]
)
def test_scikit_learns_estimator_checks(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_copies_of_every_kind_predict_the_same(kind: Any, tmp_path: Path) -> None:
    fitted = kind(**QUICK).fit(X, y)
    before = fitted.predict(X)
    joblib.dump(fitted, tmp_path / "mlp.joblib")
    copies = [
        pickle.loads(pickle.dumps(fitted)),
        copy.deepcopy(fitted),
        copy.copy(fitted),
        joblib.load(tmp_path / "mlp.joblib"),
        joblib.load(tmp_path / "mlp.joblib", mmap_mode="r"),
    ]
    for other in copies:
        np.testing.assert_array_equal(other.predict(X), before)
        assert repr(other) == repr(fitted)
    for other in copies:
        other.partial_fit(X, y)
        np.testing.assert_array_equal(fitted.predict(X), before)  # none of them shares its numbers
    fresh = clone(fitted)
    assert not hasattr(fresh, "coefs_")
    np.testing.assert_array_equal(fresh.fit(X, y).predict(X), before)


def test_a_copy_goes_on_where_its_original_would() -> None:
    one = MLPClassifier(**QUICK).partial_fit(X, y, classes=[0, 1, 2])
    other = pickle.loads(pickle.dumps(one))
    for estimator in (one, other):
        estimator.partial_fit(X, y)
    np.testing.assert_array_equal(one.coefs_[0], other.coefs_[0])
    assert one.t_ == other.t_ == 300


def test_objects_as_settings_survive_clone_and_search() -> None:
    search = GridSearchCV(
        MLPClassifier(**QUICK), {"solver": ["sgd", Adam(Cosine(0.05))], "activation": ["tanh", ["gelu"]]}
    )
    assert search.fit(X, y).best_score_ > 0.9
    assert len(search.cv_results_["params"]) == 4


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_searches_run_in_parallel(backend: str) -> None:
    with joblib.parallel_backend(backend, n_jobs=2):
        search = RandomizedSearchCV(
            make_pipeline(StandardScaler(), MLPClassifier(**QUICK)),
            {"mlpclassifier__alpha": [0.1, 0.001], "mlpclassifier__hidden_layer_sizes": [(4,), (8, 8)]},
            n_iter=3,
            random_state=0,
        )
        assert search.fit(X, y).best_score_ > 0.9


def test_a_pipeline_with_columns_of_kinds_and_frames_out() -> None:
    frame = pd.DataFrame(X, columns=["a", "b", "c", "d"]).assign(kind=np.array(["x", "y", "z"])[y])
    columns = ColumnTransformer([("numbers", StandardScaler(), ["a", "b"]), ("kinds", OneHotEncoder(), ["kind"])])
    model = Pipeline([("columns", columns), ("mlp", MLPClassifier(**QUICK))])
    assert model.fit(frame, y).score(frame, y) == 1
    assert model[-1].n_features_in_ == 5
    frames = Pipeline([("scale", StandardScaler()), ("mlp", MLPClassifier(**QUICK))]).set_output(transform="pandas")
    frames.fit(frame[["a", "b", "c", "d"]], y)
    assert frames[-1].feature_names_in_.tolist() == ["a", "b", "c", "d"]
    assert frames[-1].network_.inputs.columns == ("a", "b", "c", "d")
    with pytest.raises(ValueError, match="feature names should match"):
        frames[-1].predict(frame[["d", "c", "b", "a"]])
    series = pd.Series(np.array(["one", "two", "three"])[y], index=frame.index[::-1])
    assert MLPClassifier(**QUICK).fit(frame[["a", "b", "c", "d"]], series).classes_.tolist() == ["one", "three", "two"]


def test_text_goes_in_as_sparse_rows() -> None:
    texts = ["good fine nice", "bad poor awful", "fine good", "poor bad", "nice good", "awful bad"] * 5
    labels = [1, 0, 1, 0, 1, 0] * 5
    model = make_pipeline(TfidfVectorizer(dtype=np.float32), MLPClassifier(**QUICK)).fit(texts, labels)
    assert model.score(texts, labels) == 1
    assert model[-1].coefs_[0].dtype == np.float32


def test_meta_estimators_take_them() -> None:
    mlp = MLPClassifier(**QUICK)
    for around in (
        BaggingClassifier(mlp, 3, random_state=0),
        CalibratedClassifierCV(mlp, cv=3),
        VotingClassifier([("a", mlp), ("b", clone(mlp))], voting="soft"),
    ):
        assert around.fit(X, y).score(X, y) > 0.9
    labels = np.c_[y == 0, y == 1].astype(int)
    assert ClassifierChain(mlp, random_state=0).fit(X, labels).predict(X).shape == (150, 2)
    scaled = TransformedTargetRegressor(MLPRegressor(**QUICK), transformer=StandardScaler())
    assert scaled.fit(X[:, :3], 1000 + 500 * X[:, 3]).score(X[:, :3], 1000 + 500 * X[:, 3]) > 0.9
    assert cross_val_score(mlp, X, y, cv=3, scoring="neg_log_loss").min() > -0.6


def test_metadata_is_routed_to_fit_and_score() -> None:
    weights = np.where(y == 2, 0.0, 1.0)
    with config_context(enable_metadata_routing=True):
        mlp = (
            MLPClassifier(**QUICK)
            .set_fit_request(sample_weight=True, eval_set=True)
            .set_score_request(sample_weight=True)
        )
        model = make_pipeline(StandardScaler().set_fit_request(sample_weight=False), mlp)
        found = cross_validate(model, X, y, params={"sample_weight": weights}, cv=3, return_estimator=True)
        assert min(found["test_score"]) == 1  # the third class weighs nothing
        assert all(2 not in fitted.predict(X) for fitted in found["estimator"])
        search = GridSearchCV(mlp, {"alpha": [0.1, 1.0]}, cv=GroupKFold(3))
        search.fit(X, y, groups=np.arange(150) % 5, sample_weight=weights, eval_set=(X, y))
        assert len(search.best_estimator_.validation_scores_) == search.best_estimator_.n_iter_


@pytest.mark.parametrize("as_rows", [np.asarray, csr_array], ids=["dense", "sparse"])
@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
@pytest.mark.parametrize(
    "settings",
    [
        {"solver": "lbfgs", "max_iter": 30},
        {"solver": "sgd"},
        {"solver": "adam"},
        {"solver": "adamw", "l2_scaling": "data", "class_weight": {0: 2.0, 1: 0.5}},
        {"solver": "adam", "loss": "huber"},
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:Got `batch_size` less than 1 or larger")
def test_a_weighted_fit_is_that_of_repeated_rows(settings: dict[str, Any], kind: Any, as_rows: Any) -> None:
    # With all rows in one batch, as batches are drawn from other rows otherwise; a weight of 0 leaves a row out.
    times = np.random.default_rng(1).integers(0, 4, 60)
    rows, targets = X[::3][:60], y[::3][:60]
    rows, targets = np.r_[rows, rows][:60], np.r_[targets, targets][:60]
    settings = {**QUICK, "batch_size": 180, **settings}
    settings = settings if kind is MLPClassifier else {k: v for k, v in settings.items() if k != "class_weight"}
    repeated = np.repeat(np.arange(60), times)
    weighted = kind(**settings).fit(as_rows(rows), targets, sample_weight=times.astype(float))
    other = kind(**settings).fit(as_rows(rows[repeated]), targets[repeated])
    for a, b in zip(weighted.coefs_ + weighted.intercepts_, other.coefs_ + other.intercepts_, strict=True):
        np.testing.assert_allclose(a, b, atol=2e-6 if settings["solver"] == "lbfgs" else 1e-11)
    assert weighted.loss_ == pytest.approx(other.loss_, rel=1e-9)


def test_a_regression_of_many_rows_is_the_same_in_float32() -> None:
    rows, values = make_regression(2000, 8, random_state=0)
    values = values / values.std()
    wide, narrow = (MLPRegressor(**QUICK).fit(rows.astype(dtype), values) for dtype in (np.float64, np.float32))
    assert narrow.score(rows, values) == pytest.approx(wide.score(rows, values), abs=1e-3)
    assert wide.score(rows, values) > 0.99


def test_the_html_of_an_estimator_shows_its_settings() -> None:
    assert "activation" in MLPClassifier(activation="gelu")._repr_html_()
    assert repr(MLPClassifier(activation="gelu")) == "MLPClassifier(activation='gelu')"
