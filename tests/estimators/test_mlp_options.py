"""What scikit-learn's users asked for and the drop-in has: each option does what it says, and its default nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.callback import ScoringMonitor
from sklearn.datasets import load_digits, make_multilabel_classification, make_regression
from sklearn.metrics import balanced_accuracy_score, log_loss, make_scorer, mean_absolute_error

from layerloop import (
    Adam,
    AdamW,
    Adjusted,
    Cosine,
    Descent,
    MLPClassifier,
    MLPRegressor,
    Momentum,
    ReduceOnPlateau,
    Stop,
    check_gradient,
    huber,
    silu,
)
from layerloop.errors import NetworkError, SettingError, ShapeError, UnknownNameError
from layerloop.layers import ACTIVATIONS
from layerloop.losses import LOSSES
from layerloop.optim import RULES, SCHEDULES

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
DIGITS, CLASSES = load_digits(return_X_y=True)
DIGITS = DIGITS / 16
TRAIN, REST = slice(0, 300), slice(300, 500)
QUICK: dict[str, Any] = {"hidden_layer_sizes": (16,), "max_iter": 5, "random_state": 0}
REG_X, REG_Y = make_regression(200, 5, noise=1.0, random_state=0)
REG_Y = REG_Y / REG_Y.std()


def same(a: Any, b: Any, tolerance: float = 0.0) -> None:
    for one, other in zip(a.coefs_ + a.intercepts_, b.coefs_ + b.intercepts_, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=tolerance)


# -- activations, losses, outputs -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation_of_the_table_trains(name: str) -> None:
    mlp = MLPClassifier(activation=name, solver="lbfgs", **QUICK).fit(DIGITS[TRAIN], CLASSES[TRAIN])
    assert mlp.network_.layers[0].activation == name  # type: ignore[union-attr]
    assert mlp.score(DIGITS[TRAIN], CLASSES[TRAIN]) > 0.2


def test_each_hidden_layer_may_have_an_activation_of_its_own() -> None:
    mlp = MLPClassifier((12, 8), ["tanh", silu], max_iter=2, random_state=0).fit(DIGITS[TRAIN], CLASSES[TRAIN])
    H1, H2 = mlp.hidden_activations(DIGITS[:5])
    np.testing.assert_allclose(H1, np.tanh(DIGITS[:5] @ mlp.coefs_[0] + mlp.intercepts_[0]), atol=1e-12)
    np.testing.assert_allclose(H2, silu(H1 @ mlp.coefs_[1] + mlp.intercepts_[1]), atol=1e-12)
    with pytest.raises(SettingError, match="activation has 2 entries, and there are 1 hidden layers"):
        MLPClassifier((12,), ["tanh", "relu"]).fit(DIGITS[TRAIN], CLASSES[TRAIN])
    with pytest.raises(UnknownNameError, match="Did you mean 'relu'"):
        MLPClassifier(activation="rellu").fit(DIGITS[TRAIN], CLASSES[TRAIN])


@pytest.mark.parametrize("name", ["mse", "mae", "huber:delta=0.3", "quantile:levels=0.7", "squared_error"])
def test_a_regressor_minimises_any_loss_of_values(name: str) -> None:
    mlp = MLPRegressor(name, solver="lbfgs", alpha=0, hidden_layer_sizes=(), max_iter=200).fit(REG_X, REG_Y)
    d = REG_Y - mlp.predict(REG_X)
    own = {
        "mse": np.mean(d**2),
        "squared_error": np.mean(d**2) / 2,
        "mae": np.mean(abs(d)),
        "huber:delta=0.3": np.mean(np.where(abs(d) < 0.3, d**2 / 2, 0.3 * abs(d) - 0.045)),
        "quantile:levels=0.7": np.mean(np.maximum(0.7 * d, -0.3 * d)),
    }[name]
    assert mlp.loss_ == pytest.approx(own, rel=1e-9)
    assert mlp.loss_ < 0.01


def test_several_quantiles_are_several_outputs() -> None:
    settings = {**QUICK, "max_iter": 200, "learning_rate_init": 0.01}
    mlp = MLPRegressor("quantile:levels=0.1,0.9", **settings).fit(REG_X, REG_Y)
    bands = mlp.predict(REG_X)
    assert bands.shape == (200, 2)
    assert 0.6 < np.mean((bands[:, 0] <= REG_Y) & (bands[:, 1] >= REG_Y)) <= 1
    with pytest.raises(NetworkError, match="gives 2 outputs for one target; y has 3 columns"):
        MLPRegressor("quantile:levels=0.1,0.9").fit(REG_X, np.c_[REG_Y, REG_Y, REG_Y])


@pytest.mark.parametrize(
    "name", ["crossentropy:smoothing=0.1", "binarycrossentropy", "mse", "mae", huber.with_(delta=0.5)]
)
@pytest.mark.parametrize("several", [False, True])
def test_a_classifier_minimises_any_loss_of_classes(name: Any, several: bool) -> None:
    y = CLASSES[TRAIN] if several else CLASSES[TRAIN] > 4
    settings = {**QUICK, "max_iter": 150, "learning_rate_init": 0.01}
    mlp = MLPClassifier(loss=name, **settings).fit(DIGITS[TRAIN], y)
    proba = mlp.predict_proba(DIGITS[REST])
    np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-12)
    assert mlp.score(DIGITS[TRAIN], y) > 0.9
    np.testing.assert_array_equal(mlp.classes_[proba.argmax(axis=1)], mlp.predict(DIGITS[REST]))


def test_label_smoothing_changes_the_loss_as_it_says() -> None:
    mlp = MLPClassifier(loss="crossentropy:smoothing=0.2", solver="lbfgs", alpha=0, **QUICK)
    for y in (CLASSES[TRAIN], CLASSES[TRAIN] > 4):
        P = mlp.fit(DIGITS[TRAIN], y).predict_proba(DIGITS[TRAIN])
        K = P.shape[1]
        smooth = 0.8 * np.eye(K)[np.searchsorted(mlp.classes_, y)] + 0.2 / K
        assert mlp.loss_ == pytest.approx(-np.mean((smooth * np.log(P)).sum(axis=1)), rel=1e-9)


def test_a_loss_of_ones_own_is_a_pair_of_functions() -> None:
    def value(P: Any, Y: Any) -> float:
        return float(np.mean(np.log(np.cosh(P - Y))))

    def gradient(P: Any, Y: Any) -> Any:
        return np.tanh(P - Y) / P.size

    mlp = MLPRegressor((value, gradient), solver="lbfgs", alpha=0, hidden_layer_sizes=(), max_iter=200)
    d = mlp.fit(REG_X, REG_Y).predict(REG_X) - REG_Y
    assert mlp.loss_ == pytest.approx(np.mean(np.log(np.cosh(d))), rel=1e-9)
    assert mlp.loss_ < 1e-3
    brier = (lambda P, Y: float(np.mean((P - Y) ** 2)), lambda P, Y: 2 * (P - Y) / P.size)
    for y in (CLASSES[TRAIN], CLASSES[TRAIN] > 4):
        own = MLPClassifier(loss=brier, **QUICK).fit(DIGITS[TRAIN], y)
        same(own, MLPClassifier(loss="mse", **QUICK).fit(DIGITS[TRAIN], y), 1e-12)


@pytest.mark.parametrize(
    ("loss", "kind", "said"),
    [
        ("poisson", MLPClassifier, "poisson is no loss of classes here"),
        ("crossentropy", MLPRegressor, "crossentropy is no loss of values here"),
        ("hubber", MLPRegressor, "Did you mean 'huber'"),
        ("logitcrossentropy", MLPClassifier, "no loss of classes"),
    ],
)
def test_a_loss_that_does_not_fit_is_refused(loss: str, kind: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        kind(loss=loss).fit(DIGITS[TRAIN], CLASSES[TRAIN])


def test_every_loss_of_the_table_is_taken_by_one_of_the_two_or_refused_by_name() -> None:
    of_classes = {"crossentropy", "binarycrossentropy", "mse", "mae", "huber"}
    of_values = {"mse", "mae", "huber", "quantile", "poisson", "binarycrossentropy"}
    for kind, taken in ((MLPClassifier, of_classes), (MLPRegressor, of_values)):
        for name in LOSSES:
            estimator, y = kind(loss=name, max_iter=1), (CLASSES[:20] > 4).astype(int)
            if name in taken:
                assert np.isfinite(estimator.fit(DIGITS[:20], y).loss_)
            else:
                with pytest.raises(SettingError, match=f"^{name} is no loss of"):
                    estimator.fit(DIGITS[:20], y)
    assert of_classes | of_values == {name for name in LOSSES if not name.startswith("logit")}


@pytest.mark.parametrize(
    ("out", "low", "high"), [("logistic", 0, 1), ("exp", 0, np.inf), ("softplus", 0, np.inf), ("tanh", -1, 1)]
)
def test_the_outputs_of_a_regressor_may_have_an_activation(out: str, low: float, high: float) -> None:
    y = 1 / (1 + np.exp(-REG_Y))
    mlp = MLPRegressor(out_activation=out, solver="lbfgs", max_iter=100, random_state=0).fit(REG_X, y)
    predicted = mlp.predict(10 * REG_X)
    assert mlp.out_activation_ == out
    assert low <= predicted.min() <= predicted.max() <= high
    assert mlp.score(REG_X, y) > 0.95


# -- solvers, schedules, penalties ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in RULES if name != "lazy_adam"])
def test_every_rule_trains_by_its_name(name: str) -> None:
    rate = {"descent": 0.5, "momentum": 0.1, "nesterov": 0.1, "lion": 0.005, "adagrad": 0.05, "radam": 0.05}.get(
        name, 0.01
    )
    settings = {**QUICK, "max_iter": 30, "solver": name, "learning_rate_init": rate}
    assert MLPClassifier(**settings).fit(DIGITS[TRAIN], CLASSES[TRAIN]).score(DIGITS[TRAIN], CLASSES[TRAIN]) > 0.8


def test_a_rule_may_be_an_object_with_all_its_settings() -> None:
    settings = {**QUICK, "solver": AdamW(Cosine(0.02), decay=0.1), "max_iter": 30}
    mlp = MLPClassifier(**settings).fit(DIGITS[TRAIN], CLASSES[TRAIN])
    assert mlp.score(DIGITS[TRAIN], CLASSES[TRAIN]) > 0.95
    assert mlp.learning_rate_ == pytest.approx(0, abs=1e-12)  # where the cosine ends
    clipped = {**QUICK, "solver": Adjusted(Adam(0.01), clip_norm=1.0)}
    assert MLPClassifier(**clipped).fit(DIGITS[TRAIN], CLASSES[TRAIN]).score(DIGITS[TRAIN], CLASSES[TRAIN]) > 0.3
    with pytest.raises(SettingError, match="such as Adam"):
        MLPClassifier(solver=Adam).fit(DIGITS[TRAIN], CLASSES[TRAIN])
    with pytest.raises(UnknownNameError, match="Did you mean 'adamw'"):
        MLPClassifier(solver="adanw").fit(DIGITS[TRAIN], CLASSES[TRAIN])


def test_a_lazy_rule_wants_no_penalty() -> None:
    with pytest.raises(SettingError, match="alpha=0"):
        MLPClassifier(solver="lazy_adam").fit(DIGITS[TRAIN], CLASSES[TRAIN])
    lazy, adam = (
        MLPClassifier(solver=solver, alpha=0, **QUICK).fit(DIGITS[TRAIN], CLASSES[TRAIN])
        for solver in ("lazy_adam", Adam(0.001))
    )
    assert lazy.loss_ == pytest.approx(adam.loss_, rel=1e-3)


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize(
    ("rule", "as_scikit_learns"),
    [
        (Descent(0.05), {"solver": "sgd", "momentum": 0, "learning_rate_init": 0.05}),
        (
            Momentum(0.05, 0.8),
            {"solver": "sgd", "momentum": 0.8, "nesterovs_momentum": False, "learning_rate_init": 0.05},
        ),
    ],
    ids=repr,
)
def test_a_rule_steps_along_the_gradient_that_scikit_learn_has(rule: Any, as_scikit_learns: Any, outputs: int) -> None:
    y = REG_Y if outputs == 1 else np.c_[REG_Y, -REG_Y, REG_Y**2]
    for loss in ("squared_error", "poisson"):
        targets = np.round(np.abs(y)) if loss == "poisson" else y
        same(
            MLPRegressor(loss, solver=rule, **QUICK).fit(REG_X, targets),
            MLPRegressor(loss, **QUICK, **as_scikit_learns).fit(REG_X, targets),
            1e-13,
        )


@pytest.mark.parametrize("solver", ["adam", "sgd", "adamw", "radam"])
@pytest.mark.parametrize("name", [*SCHEDULES, "invscaling", "adaptive"])
def test_every_schedule_goes_with_every_rule(name: str, solver: str) -> None:
    settings = {
        **QUICK,
        "max_iter": 12,
        "solver": solver,
        "schedule": name,
        "callbacks": lambda p: Stop() if p.epoch_ended and p.epoch == 9 else None,
    }
    mlp = MLPClassifier(**settings).fit(DIGITS[TRAIN], CLASSES[TRAIN])
    if name == "invscaling":
        expected = 0.001 / (9 * 300 + 1) ** 0.5
    elif name == "adaptive":
        expected = 0.001
    else:
        kind = SCHEDULES[name]
        whole = kind(0.001) if name in ("constant", "reduce_on_plateau") else kind(0.001, steps=2 * 12)  # type: ignore[call-arg]
        expected = whole(2 * 9)
    assert mlp.n_iter_ == 9
    assert mlp.learning_rate_ == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("solver", ["adam", "nadam", "momentum"])
def test_what_adapts_to_the_loss_goes_with_every_rule(solver: str) -> None:
    for schedule, patience in (("adaptive", 2), (ReduceOnPlateau(0.001, factor=0.2, patience=2, threshold=0.9), 50)):
        limits = {"max_iter": 7, "tol": 10.0, "n_iter_no_change": patience}
        settings = {**QUICK, **limits, "solver": solver, "schedule": schedule}
        mlp = MLPClassifier(**settings).fit(DIGITS[TRAIN], CLASSES[TRAIN])
        assert mlp.learning_rate_ == pytest.approx(0.001 / 25)


def test_a_schedule_that_is_none_is_refused_before_any_work() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'cosine'"):
        MLPClassifier(schedule="cosin").fit(DIGITS[TRAIN], CLASSES[TRAIN])
    with pytest.raises(SettingError, match="schedule is a name"):
        MLPClassifier(schedule=3).fit(DIGITS[TRAIN], CLASSES[TRAIN])
    with pytest.raises(SettingError, match="has its schedule inside"):
        MLPClassifier(schedule="cosine", solver=Adam(0.1)).fit(DIGITS[TRAIN], CLASSES[TRAIN])
    with pytest.raises(SettingError, match="number of steps is not known"):
        MLPClassifier(schedule="cosine").partial_fit(DIGITS[TRAIN], CLASSES[TRAIN], classes=range(10))


def test_a_penalty_by_data_does_not_depend_on_the_batch_and_is_that_of_lbfgs() -> None:
    norms = {}
    for scaling in ("batch", "data"):
        for batch in (10, 200):
            mlp = MLPRegressor(
                hidden_layer_sizes=(), alpha=20.0, l2_scaling=scaling, batch_size=batch, max_iter=600, tol=0,
                n_iter_no_change=600, learning_rate_init=0.01, schedule="cosine", random_state=0,
            ).fit(REG_X, REG_Y)  # fmt: skip
            norms[scaling, batch] = np.linalg.norm(mlp.coefs_[0])
    exact = MLPRegressor(hidden_layer_sizes=(), alpha=20.0, solver="lbfgs", tol=1e-9).fit(REG_X, REG_Y)
    assert norms["data", 10] == pytest.approx(np.linalg.norm(exact.coefs_[0]), rel=2e-3)
    assert norms["data", 200] == pytest.approx(np.linalg.norm(exact.coefs_[0]), rel=2e-3)
    assert norms["batch", 10] < 0.7 * norms["batch", 200]


def test_dropout_changes_training_alone_and_none_changes_nothing() -> None:
    plain, none, half = (
        MLPClassifier(dropout=rate, **QUICK).fit(DIGITS[TRAIN], CLASSES[TRAIN]) for rate in (0.0, [0.0], 0.5)
    )
    same(plain, none)
    assert np.abs(plain.coefs_[0] - half.coefs_[0]).max() > 1e-3
    np.testing.assert_array_equal(half.predict_proba(DIGITS), half.predict_proba(DIGITS))
    same(half, MLPClassifier(dropout=0.5, **QUICK).fit(DIGITS[TRAIN], CLASSES[TRAIN]))
    with pytest.raises(SettingError, match="drops nothing"):
        MLPClassifier(dropout=0.5, solver="lbfgs").fit(DIGITS[TRAIN], CLASSES[TRAIN])


# -- weights of classes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_class_weight_is_the_same_as_weights_of_rows(solver: str) -> None:
    y = np.where(CLASSES[TRAIN] == 3, "three", "other")
    settings = {**QUICK, "solver": solver}
    for given, weights in (
        ({"three": 5.0}, np.where(y == "three", 5.0, 1.0)),
        ("balanced", np.where(y == "three", 300 / (2 * (y == "three").sum()), 300 / (2 * (y == "other").sum()))),
    ):
        by_class = MLPClassifier(class_weight=given, **settings).fit(DIGITS[TRAIN], y)
        by_row = MLPClassifier(**settings).fit(DIGITS[TRAIN], y, sample_weight=weights)
        same(by_class, by_row, 1e-12)
        halved = MLPClassifier(class_weight=given, **settings).fit(DIGITS[TRAIN], y, sample_weight=np.full(300, 0.5))
        assert halved.loss_ == pytest.approx(by_class.loss_, rel=1e-3)  # but for the penalty


def test_balanced_classes_help_the_rare_one() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2000, 4))
    y = X[:, 0] + rng.normal(size=2000) > 2.5
    settings = {**QUICK, "max_iter": 40, "learning_rate_init": 0.01}
    scores = [
        balanced_accuracy_score(y, MLPClassifier(class_weight=given, **settings).fit(X, y).predict(X))
        for given in (None, "balanced")
    ]
    assert scores[1] > scores[0] + 0.1
    with pytest.raises(SettingError, match="cannot balance classes"):
        MLPClassifier(class_weight="balanced").partial_fit(X, y, classes=[False, True])
    mlp = MLPClassifier(class_weight={True: 9.0}, **QUICK).partial_fit(X, y, classes=[False, True])
    same(mlp, MLPClassifier(**QUICK).partial_fit(X, y, np.where(y, 9.0, 1.0), classes=[False, True]))


# -- validation -------------------------------------------------------------------------------------------------------


def test_eval_set_is_watched_and_changes_no_weight() -> None:
    plain = MLPClassifier(**QUICK).fit(DIGITS[TRAIN], CLASSES[TRAIN])
    for solver in ("adam", "lbfgs"):
        alone = MLPClassifier(solver=solver, **QUICK).fit(DIGITS[TRAIN], CLASSES[TRAIN])
        watched = MLPClassifier(solver=solver, **QUICK)
        watched.fit(DIGITS[TRAIN], CLASSES[TRAIN], eval_set=(DIGITS[REST], CLASSES[REST]))
        same(alone, watched)
        assert len(watched.validation_loss_curve_) == len(watched.validation_scores_) == watched.n_iter_ == 5
        last = log_loss(CLASSES[REST], watched.predict_proba(DIGITS[REST]))
        assert watched.validation_loss_curve_[-1] == pytest.approx(last, rel=1e-9)
        assert watched.validation_scores_[-1] == pytest.approx(watched.score(DIGITS[REST], CLASSES[REST]), abs=1e-12)
    assert plain.validation_scores_ is plain.validation_loss_curve_ is plain.best_validation_score_ is None


def test_early_stopping_looks_at_the_eval_set_where_there_is_one() -> None:
    settings = {**QUICK, "max_iter": 300, "early_stopping": True, "learning_rate_init": 0.05, "n_iter_no_change": 3}
    mlp = MLPClassifier(**settings).fit(DIGITS[TRAIN], CLASSES[TRAIN], eval_set=(DIGITS[REST], CLASSES[REST]))
    assert mlp.t_ == 300 * mlp.n_iter_  # no row was held back
    assert mlp.n_iter_ < 300
    assert mlp.stopped_.startswith("Validation score did not improve more than tol=0.000100 for 3 consecutive epochs")
    assert mlp.best_validation_score_ == max(mlp.validation_scores_)
    assert mlp.best_iteration_ == 1 + int(np.argmax(mlp.validation_scores_))
    assert mlp.score(DIGITS[REST], CLASSES[REST]) == pytest.approx(mlp.best_validation_score_, abs=1e-12)
    weighted = MLPClassifier(**settings)
    w = np.where(CLASSES[REST] == 1, 100.0, 1.0)
    weighted.fit(DIGITS[TRAIN], CLASSES[TRAIN], eval_set=(DIGITS[REST], CLASSES[REST], w))
    assert weighted.best_validation_score_ == pytest.approx(weighted.score(DIGITS[REST], CLASSES[REST], w), abs=1e-12)


@pytest.mark.parametrize(
    ("scoring", "measure"),
    [
        ("neg_log_loss", lambda est, X, y: -log_loss(y, est.predict_proba(X))),
        ("loss", lambda est, X, y: -log_loss(y, est.predict_proba(X))),
        (make_scorer(balanced_accuracy_score), lambda est, X, y: balanced_accuracy_score(y, est.predict(X))),
        (lambda est, X, y: 0.25, lambda est, X, y: 0.25),
    ],
)
def test_scoring_says_what_early_stopping_measures(scoring: Any, measure: Any) -> None:
    names = np.array([f"digit {c}" for c in CLASSES])
    mlp = MLPClassifier(scoring=scoring, early_stopping=True, **QUICK)
    mlp.fit(DIGITS[TRAIN], names[TRAIN], eval_set=(DIGITS[REST], names[REST]))
    assert mlp.best_validation_score_ == pytest.approx(measure(mlp, DIGITS[REST], names[REST]), rel=1e-9)
    mlp.fit(DIGITS[TRAIN], names[TRAIN])  # with rows that it holds back itself
    assert len(mlp.validation_scores_) == 5


def test_a_regressor_is_scored_by_what_is_asked_for() -> None:
    mlp = MLPRegressor(scoring="neg_mean_absolute_error", early_stopping=True, **QUICK)
    mlp.fit(REG_X, REG_Y, eval_set=(REG_X[:50], REG_Y[:50]))
    assert mlp.best_validation_score_ == pytest.approx(-mean_absolute_error(REG_Y[:50], mlp.predict(REG_X[:50])))
    with pytest.raises(ValueError, match="scoring"):
        MLPRegressor(scoring="no such thing", early_stopping=True, **QUICK).fit(REG_X, REG_Y)


def test_the_best_weights_are_kept_on_request_and_not_otherwise() -> None:
    settings = {**QUICK, "max_iter": 40, "learning_rate_init": 0.05}
    data = {"eval_set": (DIGITS[REST], CLASSES[REST])}
    last, best = (
        MLPClassifier(restore_best_weights=wanted, **settings).fit(DIGITS[TRAIN], CLASSES[TRAIN], **data)
        for wanted in ("auto", True)
    )
    scores = best.validation_scores_
    assert last.score(DIGITS[REST], CLASSES[REST]) == pytest.approx(scores[-1], abs=1e-12)
    assert best.score(DIGITS[REST], CLASSES[REST]) == pytest.approx(max(scores), abs=1e-12)
    assert max(scores) > scores[-1]
    dropped = MLPClassifier(restore_best_weights=False, early_stopping=True, **settings)
    dropped.fit(DIGITS[TRAIN], CLASSES[TRAIN], **data)
    assert dropped.score(DIGITS[REST], CLASSES[REST]) == pytest.approx(dropped.validation_scores_[-1], abs=1e-12)
    by_loss = MLPClassifier(restore_best_weights=True, **settings).fit(DIGITS[TRAIN], CLASSES[TRAIN])
    assert by_loss.best_iteration_ == 1 + int(np.argmin(by_loss.loss_curve_))


# -- callbacks, partial_fit, the network -----------------------------------------------------------------------------


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_callbacks_of_this_library_see_every_pass_and_may_stop(solver: str) -> None:
    rows: list[Any] = []

    def watch(progress: Any) -> Any:
        if progress.epoch_ended:
            rows.append((progress.row, progress.model.flat.copy()))
        return Stop("enough") if len(rows) == 3 else None

    mlp = MLPClassifier(solver=solver, callbacks=watch, **QUICK)
    mlp.fit(DIGITS[TRAIN], CLASSES[TRAIN], eval_set=(DIGITS[REST], CLASSES[REST]))
    assert (mlp.n_iter_, mlp.stopped_) == (3, "enough")
    assert [row["epoch"] for row, _ in rows] == [1, 2, 3]
    assert [row["validation_loss"] for row, _ in rows] == mlp.validation_loss_curve_
    assert rows[-1][0]["loss"] == mlp.loss_
    np.testing.assert_array_equal(rows[-1][1][: mlp.coefs_[0].size], mlp.coefs_[0].ravel())


class Counts:
    """A callback of scikit-learn's protocol that stops after so many passes."""

    def __init__(self, most: int) -> None:
        self.most, self.calls, self.scores = most, [], []  # type: ignore[var-annotated]

    def setup(self, estimator: Any, context: Any) -> None:
        self.calls.append("setup")

    def teardown(self, estimator: Any, context: Any) -> None:
        self.calls.append("teardown")

    def on_fit_task_begin(self, estimator: Any, context: Any, *, X: Any = None) -> None:
        self.calls.append(f"begin {context.task_name}")

    def on_fit_task_end(
        self, estimator: Any, context: Any, *, X: Any = None, y: Any = None, fitted_estimator: Any = None
    ) -> bool:
        self.calls.append(f"end {context.task_name}")
        if fitted_estimator is not None:
            self.scores.append(fitted_estimator.score(X, y))
        return self.calls.count("end pass") >= self.most


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_callbacks_of_scikit_learn_see_every_pass_and_may_stop(solver: str) -> None:
    counts = Counts(2)
    mlp = MLPClassifier(solver=solver, **QUICK).set_callbacks(counts).fit(DIGITS[TRAIN], CLASSES[TRAIN])
    assert mlp.n_iter_ == 2
    passes = ["begin pass", "end pass"] * 2
    assert counts.calls == ["setup", "begin fit", *passes, "end fit", "teardown"]
    assert counts.scores[-1] == mlp.score(DIGITS[TRAIN], CLASSES[TRAIN])
    assert counts.scores[0] < counts.scores[1]


def test_scikit_learns_scoring_monitor_logs_every_pass() -> None:
    monitor = ScoringMonitor(scoring="accuracy")
    mlp = MLPClassifier(**QUICK).set_callbacks(monitor).fit(DIGITS[TRAIN], CLASSES[TRAIN])
    scores = [row["accuracy"] for row in monitor.get_logs().data if row["task_name"] == "pass"]
    assert len(scores) == 5
    assert scores[-1] == mlp.score(DIGITS[TRAIN], CLASSES[TRAIN])


def test_several_labels_are_learnt_part_by_part_with_or_without_their_names() -> None:
    X, Y = make_multilabel_classification(200, n_classes=4, random_state=0)
    named, plain = (MLPClassifier(**QUICK) for _ in range(2))
    for rows in (slice(0, 100), slice(100, 200)):
        named.partial_fit(X[rows], Y[rows], classes=[0, 1, 2, 3])
        plain.partial_fit(X[rows], Y[rows])
    same(named, plain)
    assert plain.predict(X).shape == Y.shape
    before = plain.score(X, Y)
    for _ in range(150):
        plain.partial_fit(X, Y)
    assert plain.score(X, Y) > before + 0.2
    with pytest.raises(ShapeError, match="y has 4 columns of labels, classes 3 entries"):
        MLPClassifier().partial_fit(X, Y, classes=[0, 1, 2])


def test_the_network_is_there_for_the_rest_of_the_library() -> None:
    for y in (CLASSES[TRAIN], CLASSES[TRAIN] > 4):
        mlp = MLPClassifier((6,), "tanh", max_iter=3, random_state=0).fit(DIGITS[TRAIN], y)
        m = mlp.network_
        outputs = m(DIGITS[:7])
        proba = mlp.predict_proba(DIGITS[:7])
        np.testing.assert_allclose(outputs, proba if len(mlp.classes_) > 2 else proba[:, 1:], atol=1e-12)
        assert np.shares_memory(m.flat, mlp.coefs_[0])
    mlp = MLPClassifier((6,), "tanh", max_iter=3, random_state=0).fit(DIGITS[TRAIN], CLASSES[TRAIN])
    assert check_gradient(mlp.network_, DIGITS[0], 3).passed
    assert mlp.network_.classes == tuple("0123456789")


def test_weights_may_be_set_before_and_after() -> None:
    mlp = MLPClassifier((6,), max_iter=1, random_state=0).fit(DIGITS[TRAIN], CLASSES[TRAIN])
    again = MLPClassifier((6,), max_iter=1, random_state=1, learning_rate_init=1e-15)
    again.fit(DIGITS[TRAIN], CLASSES[TRAIN], coef_init=mlp.coefs_, intercept_init=mlp.intercepts_)
    same(mlp, again, 1e-12)
    before = again.predict_proba(DIGITS[REST])
    again.coefs_[0][...] = 0  # in place
    assert np.ptp(again.predict_proba(DIGITS[REST]), axis=0).max() == 0
    again.coefs_[0] = mlp.coefs_[0].copy()  # another array in its place
    np.testing.assert_allclose(again.predict_proba(DIGITS[REST]), before, atol=1e-10)
    with pytest.raises(ShapeError, match=r"coef_init must be arrays of shapes \[\(64, 6\), \(6, 10\)\]"):
        again.fit(DIGITS[TRAIN], CLASSES[TRAIN], coef_init=[np.zeros((3, 3))])


def test_ctrl_c_keeps_what_is_there_as_scikit_learn_does() -> None:
    def interrupt(progress: Any) -> None:
        if progress.epoch_ended and progress.epoch == 2:
            raise KeyboardInterrupt

    with pytest.warns(UserWarning, match="Training interrupted by user"):
        mlp = MLPClassifier(callbacks=[interrupt], **QUICK).fit(DIGITS[TRAIN], CLASSES[TRAIN])
    assert (mlp.n_iter_, mlp.stopped_) == (2, "interrupted")
    assert mlp.predict(DIGITS[:3]).shape == (3,)
