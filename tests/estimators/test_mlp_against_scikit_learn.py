"""The same weights and losses as scikit-learn's, to rounding, from the same random state: every parameter it has."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csc_matrix, csr_array
from sklearn import neural_network as theirs
from sklearn.datasets import load_digits, make_multilabel_classification, make_regression

import layerloop
from layerloop import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

DIGITS, CLASSES = load_digits(return_X_y=True)
DIGITS, CLASSES = DIGITS[:430] / 16, CLASSES[:430]
WEIGHTS = np.random.default_rng(0).uniform(0, 2, len(CLASSES))
STEPS = {"max_iter": 4, "random_state": 3, "hidden_layer_sizes": (20,)}
TIGHT = 1e-11


def both(kind: str, X: Any, y: Any, fit: dict[str, Any] | None = None, **settings: Any) -> tuple[Any, Any]:
    """Return our estimator and theirs, fitted alike."""
    pair = getattr(layerloop, kind)(**settings), getattr(theirs, kind)(**settings)
    for estimator in pair:
        estimator.fit(X, y, **(fit or {}))
    return pair


def agree(ours: Any, their: Any, tolerance: float = TIGHT) -> None:
    for mine, other in zip(ours.coefs_ + ours.intercepts_, their.coefs_ + their.intercepts_, strict=True):
        assert mine.shape == other.shape
        assert mine.dtype == other.dtype
        np.testing.assert_allclose(mine, other, rtol=0, atol=tolerance)
    for name in ("n_iter_", "t_", "n_layers_", "n_outputs_", "out_activation_", "n_features_in_"):
        assert getattr(ours, name) == getattr(their, name), name
    np.testing.assert_allclose(ours.loss_, their.loss_, rtol=tolerance)
    for name in ("loss_curve_", "validation_scores_", "best_loss_", "best_validation_score_"):
        mine, other = getattr(ours, name, None), getattr(their, name, None)
        assert (mine is None) == (other is None), name
        if other is not None:
            np.testing.assert_allclose(mine, other, rtol=tolerance, err_msg=name)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"hidden_layer_sizes": (15, 10, 5)},
        {"hidden_layer_sizes": 7},
        {"hidden_layer_sizes": ()},
        *({"activation": name} for name in ("identity", "logistic", "tanh")),
        {"solver": "sgd"},
        {"solver": "sgd", "momentum": 0},
        {"solver": "sgd", "momentum": 1.0, "max_iter": 2},
        {"solver": "sgd", "nesterovs_momentum": False},
        {"solver": "sgd", "learning_rate": "invscaling", "learning_rate_init": 0.5, "power_t": 0.3},
        {"solver": "sgd", "learning_rate": "adaptive", "tol": 0.5, "n_iter_no_change": 1, "max_iter": 12},
        {"learning_rate": "invscaling"},  # which Adam does not look at
        {"learning_rate": "adaptive", "tol": 0.5, "n_iter_no_change": 1, "max_iter": 12},
        {"alpha": 0},
        {"alpha": 3.0},
        {"batch_size": 64},
        {"batch_size": 1, "max_iter": 1},
        {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 0.1},
        {"shuffle": False},
        {"tol": 0.9, "n_iter_no_change": 2, "max_iter": 50},
        {"early_stopping": True},
        {"early_stopping": True, "validation_fraction": 0.4, "tol": 0.1, "n_iter_no_change": 1, "max_iter": 30},
        {"solver": "sgd", "early_stopping": True, "learning_rate": "adaptive", "n_iter_no_change": 1, "max_iter": 20},
        {"n_iter_no_change": np.inf},
    ],
    ids=str,
)
@pytest.mark.parametrize("labels", ["ten classes", "two classes"])
def test_classifier(labels: str, settings: dict[str, Any]) -> None:
    y = CLASSES if labels == "ten classes" else CLASSES > 4
    ours, their = both("MLPClassifier", DIGITS, y, **{**STEPS, **settings})
    agree(ours, their)
    np.testing.assert_array_equal(ours.predict(DIGITS), their.predict(DIGITS))
    np.testing.assert_allclose(ours.predict_proba(DIGITS), their.predict_proba(DIGITS), atol=TIGHT)
    np.testing.assert_allclose(ours.predict_log_proba(DIGITS), their.predict_log_proba(DIGITS), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("settings", [{}, {"alpha": 0}, {"batch_size": 50}, {"early_stopping": True}], ids=str)
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_weights_of_rows(solver: str, settings: dict[str, Any]) -> None:
    fit = {"sample_weight": WEIGHTS}
    for y in (CLASSES, CLASSES > 4):
        agree(*both("MLPClassifier", DIGITS, y, fit, solver=solver, **{**STEPS, **settings}))
    agree(*both("MLPRegressor", DIGITS, CLASSES / 3.0, fit, solver=solver, **{**STEPS, **settings}))


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_regressor(solver: str, loss: str, outputs: int) -> None:
    X, y = make_regression(230, 6, n_targets=outputs, random_state=0)
    y = y / 100 if loss == "squared_error" else np.round(np.abs(y) / 50)
    for settings in ({}, {"early_stopping": True}, {"activation": "tanh", "batch_size": 33, "alpha": 0.5}):
        ours, their = both("MLPRegressor", X, y, loss=loss, solver=solver, **{**STEPS, **settings})
        agree(ours, their)
        np.testing.assert_allclose(ours.predict(X), their.predict(X), rtol=1e-9)
        assert ours.predict(X).shape == their.predict(X).shape


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_several_labels(solver: str) -> None:
    X, Y = make_multilabel_classification(150, random_state=0)
    for settings in ({}, {"early_stopping": True}):
        if not (settings and solver == "lbfgs"):
            ours, their = both("MLPClassifier", X, Y, solver=solver, **{**STEPS, **settings})
            agree(ours, their)
            np.testing.assert_array_equal(ours.predict(X), their.predict(X))
            np.testing.assert_allclose(ours.predict_proba(X), their.predict_proba(X), atol=TIGHT)


@pytest.mark.parametrize("fit", [{}, {"sample_weight": WEIGHTS}], ids=["alike", "weighted"])
def test_lbfgs(fit: dict[str, Any]) -> None:
    settings = {**STEPS, "solver": "lbfgs", "max_iter": 15}
    for y in (CLASSES, CLASSES > 4):
        agree(*both("MLPClassifier", DIGITS, y, fit, **settings), tolerance=1e-8)
    for loss, y in (("squared_error", np.c_[CLASSES, CLASSES**2] / 10), ("poisson", CLASSES)):
        agree(*both("MLPRegressor", DIGITS, y, fit, loss=loss, **settings), tolerance=1e-8)
    agree(*both("MLPRegressor", DIGITS, CLASSES, fit, **{**settings, "max_fun": 4, "alpha": 1.0}), tolerance=1e-8)


def test_lbfgs_ends_where_theirs_ends() -> None:
    X, y = make_regression(60, 3, random_state=0)
    settings = {"solver": "lbfgs", "hidden_layer_sizes": (3,), "tol": 1e-2, "max_iter": 4000, "random_state": 0}
    ours, their = both("MLPRegressor", X, y, **settings)
    assert ours.n_iter_ < 4000
    assert their.n_iter_ < 4000
    assert abs(ours.score(X, y) - their.score(X, y)) < 0.05


@pytest.mark.parametrize("sparse", [csr_array, csc_matrix])
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_sparse_rows(solver: str, sparse: Any) -> None:
    X = DIGITS * (DIGITS > 0.5)
    ours, their = both("MLPClassifier", sparse(X), CLASSES, solver=solver, **STEPS)
    agree(ours, their, tolerance=1e-10)
    dense = MLPClassifier(solver=solver, **STEPS).fit(X, CLASSES)
    np.testing.assert_allclose(ours.predict_proba(sparse(X)), dense.predict_proba(X), atol=1e-10)


def test_partial_fit_goes_on_as_theirs_does() -> None:
    for solver in ("adam", "sgd"):
        for settings in ({}, {"learning_rate": "invscaling"}, {"batch_size": 100}):
            ours, their = (
                kind(solver=solver, **{**STEPS, **settings}) for kind in (MLPClassifier, theirs.MLPClassifier)
            )
            for rows in (slice(0, 250), slice(250, 430), slice(0, 300)):
                for estimator in (ours, their):
                    estimator.partial_fit(DIGITS[rows], CLASSES[rows], classes=range(10))
                agree(ours, their)
            for estimator in (ours, their):
                estimator.fit(DIGITS, CLASSES).partial_fit(DIGITS[:100], CLASSES[:100])
            agree(ours, their)


def test_partial_fit_lowers_an_adaptive_rate_over_many_calls() -> None:
    settings = {"solver": "sgd", "learning_rate": "adaptive", "tol": 10.0, "n_iter_no_change": 2, "random_state": 0}
    pair = [kind(hidden_layer_sizes=(4,), **settings) for kind in (MLPRegressor, theirs.MLPRegressor)]
    for _ in range(12):
        for estimator in pair:
            estimator.partial_fit(DIGITS, CLASSES)
        agree(*pair)
        assert pair[0].learning_rate_ == pytest.approx(pair[1]._optimizer.learning_rate, rel=1e-12)
    assert pair[0].learning_rate_ < 1e-4


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_warm_start_goes_on_as_theirs_does(solver: str) -> None:
    pair = [kind(solver=solver, warm_start=True, **STEPS) for kind in (MLPClassifier, theirs.MLPClassifier)]
    for settings in ({}, {"max_iter": 6}, {"alpha": 1.0}):
        for estimator in pair:
            estimator.set_params(**settings).fit(DIGITS, CLASSES)
        agree(pair[0], pair[1], tolerance=1e-9)


def test_warm_start_with_early_stopping_keeps_the_best_of_all_fits() -> None:
    # Theirs loses it: the list of its best weights is the very list that the next fit trains on.
    settings = {**STEPS, "early_stopping": True, "warm_start": True, "learning_rate_init": 0.01}
    ours = MLPClassifier(**settings).fit(DIGITS, CLASSES)
    best, kept = ours.best_validation_score_, [part.copy() for part in ours.coefs_]
    ours.set_params(learning_rate_init=5.0).fit(DIGITS, CLASSES)  # which spoils everything
    assert max(ours.validation_scores_[4:]) < best == ours.best_validation_score_
    for part, before in zip(ours.coefs_, kept, strict=True):
        np.testing.assert_array_equal(part, before)


@pytest.mark.parametrize("kind", ["MLPClassifier", "MLPRegressor"])
def test_float32_stays_float32(kind: str) -> None:
    X = DIGITS.astype(np.float32)
    ours, their = both(kind, X, CLASSES, **STEPS)
    agree(ours, their, tolerance=3e-5)
    predict = "predict" if kind == "MLPRegressor" else "predict_proba"
    assert getattr(ours, predict)(X).dtype == np.float32
    assert MLPRegressor(solver="lbfgs", **STEPS).fit(X, CLASSES).coefs_[0].dtype == np.float32


def test_what_verbose_prints_is_what_theirs_prints(capsys: pytest.CaptureFixture[str]) -> None:
    settings: dict[str, Any] = {"random_state": 0, "verbose": True, "hidden_layer_sizes": (5,), "tol": 0.5}
    texts = []
    for more in (
        {"n_iter_no_change": 1},
        {"early_stopping": True, "n_iter_no_change": 1},
        {"solver": "sgd", "learning_rate": "adaptive", "n_iter_no_change": 1, "learning_rate_init": 1e-5},
    ):
        for kind in (MLPClassifier, theirs.MLPClassifier):
            kind(**settings, **more).fit(DIGITS, CLASSES)
            texts.append(capsys.readouterr().out)
        assert texts[-2] == texts[-1]
    assert "Learning rate too small. Stopping." in texts[-1]


@pytest.mark.parametrize("kind", ["MLPClassifier", "MLPRegressor"])
def test_every_parameter_and_attribute_of_theirs_is_there(kind: str) -> None:
    ours, their = both(kind, DIGITS, CLASSES, early_stopping=True, **STEPS)
    parameters, known = their.get_params(), ours.get_params()
    assert {name: known.get(name, "missing") for name in parameters} == parameters
    public = {name for name in vars(their) if name.endswith("_") and not name.startswith("_")}
    assert {name for name in public if not hasattr(ours, name)} == set()
    methods = {name for name in dir(their) if not name.startswith("_") and callable(getattr(their, name))}
    assert {name for name in methods if not hasattr(ours, name)} == set()


@pytest.mark.parametrize("kind", ["MLPClassifier", "MLPRegressor"])
def test_the_warnings_are_theirs(kind: str) -> None:
    heard = []
    for module in (layerloop, theirs):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            getattr(module, kind)(hidden_layer_sizes=(3,), max_iter=2, batch_size=1000).fit(DIGITS, CLASSES)
        heard.append([(warning.category, str(warning.message)) for warning in caught])
    assert heard[0] == heard[1]
    assert len(heard[0]) == 2
