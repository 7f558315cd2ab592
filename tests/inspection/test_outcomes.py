"""What a report says of answers, worked by hand and held against scikit-learn and SciPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn import metrics

from layerloop.inspection import outcomes
from layerloop.inspection.intervals import bootstrapped, share

RNG = np.random.default_rng(0)
P = RNG.dirichlet(np.ones(4), size=300)
Y = np.where(RNG.random(300) < 0.6, P.argmax(axis=1), RNG.integers(4, size=300))
PREDICTED = P.argmax(axis=1)


def figures(found: list) -> dict[str, float]:
    return {figure.name: figure.value for figure in found}


def test_figures_of_classes_are_those_of_scikit_learn() -> None:
    found = figures(outcomes.class_figures(P, Y))
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(Y, PREDICTED))
    assert found["cross-entropy"] == pytest.approx(metrics.log_loss(Y, P))
    assert found["Brier score"] == pytest.approx(np.square(P - np.eye(4)[Y]).sum(axis=1).mean())
    assert "area under the ROC curve" not in found


def test_of_two_classes_the_area_under_the_curve_is_scikit_learns_ties_included() -> None:
    score = RNG.integers(10, size=200) / 10
    y = (score + RNG.normal(scale=0.3, size=200) > 0.5).astype(int)
    found = figures(outcomes.class_figures(np.stack([1 - score, score], axis=1), y))
    assert found["area under the ROC curve"] == pytest.approx(metrics.roc_auc_score(y, score))


def test_a_class_that_is_alone_has_no_curve() -> None:
    found = figures(outcomes.class_figures(np.array([[0.2, 0.8], [0.7, 0.3]]), np.array([1, 1])))
    assert "area under the ROC curve" not in found


def test_a_probability_of_zero_leaves_a_finite_loss() -> None:
    found = figures(outcomes.class_figures(np.array([[1.0, 0.0], [1.0, 0.0]]), np.array([1, 0])))
    assert found["cross-entropy"] == pytest.approx(-math.log(np.finfo(np.float64).tiny) / 2)


def test_figures_of_values_are_those_of_scikit_learn() -> None:
    true = RNG.normal(size=100)
    predicted = true + RNG.normal(scale=0.3, size=100)
    found = figures(outcomes.value_figures(predicted, true))
    assert found["R2"] == pytest.approx(metrics.r2_score(true, predicted))
    assert found["root mean squared error"] == pytest.approx(metrics.root_mean_squared_error(true, predicted))
    assert found["mean absolute error"] == pytest.approx(metrics.mean_absolute_error(true, predicted))


def test_the_confusion_matrix_and_the_rows_of_classes_are_those_of_scikit_learn() -> None:
    counts = outcomes.confusion(PREDICTED, Y, 4)
    np.testing.assert_array_equal(counts, metrics.confusion_matrix(Y, PREDICTED))
    rows = outcomes.per_class(counts, "abcd")
    precision, recall, f1, support = metrics.precision_recall_fscore_support(Y, PREDICTED)
    assert [row["precision"] for row in rows] == pytest.approx(list(precision))
    assert [row["recall"] for row in rows] == pytest.approx(list(recall))
    assert [row["f1"] for row in rows] == pytest.approx(list(f1))
    assert [row["rows"] for row in rows] == list(support)


def test_a_class_without_rows_has_no_recall() -> None:
    row = outcomes.per_class(np.array([[3, 0], [0, 0]]), ["a", "b"])[1]
    assert (row["recall"], row["precision"], row["f1"], row["recall_low"]) == (None, None, None, None)


def test_calibration_by_hand() -> None:
    # Two rows in the bin [0.8, 0.867): said 0.8 and 0.86, one right; one row in [0.93, 1]: said 1, right.
    P = np.array([[0.8, 0.2], [0.14, 0.86], [1.0, 0.0]])
    found = outcomes.calibration(P, np.array([0, 0, 0]))
    assert found["ece"] == pytest.approx(2 / 3 * abs(0.5 - 0.83))
    assert [row["rows"] for row in found["bins"]] == [0] * 12 + [2, 0, 1]
    assert found["bins"][12]["said"] == pytest.approx(0.83)
    assert found["bins"][0]["right"] is None


def test_answers_that_are_as_sure_as_they_are_right_have_no_error() -> None:
    P = np.repeat([[0.75, 0.25]], 4, axis=0)
    assert outcomes.calibration(P, np.array([0, 0, 0, 1]))["ece"] == pytest.approx(0)


def test_mistakes_come_with_the_most_confident_first_and_only_what_is_wrong() -> None:
    found = outcomes.mistakes(P, Y, 1000)
    assert len(found) == (PREDICTED != Y).sum()
    assert [row["probability"] for row in found] == sorted((row["probability"] for row in found), reverse=True)
    assert all(row["label"] != row["predicted"] for row in found)
    assert len(outcomes.mistakes(P, Y, 3)) == 3


def test_the_largest_errors_come_first() -> None:
    found = outcomes.farthest(np.array([1.0, 5.0, 2.0]), np.array([1.0, 1.0, 4.5]), 2)
    assert [(row["row"], row["error"]) for row in found] == [(1, 4.0), (2, -2.5)]


@pytest.mark.parametrize(("successes", "rows"), [(0, 10), (10, 10), (7, 20), (9356, 10000)])
def test_wilsons_interval_by_its_formula(successes: int, rows: int) -> None:
    z, p = 1.959963984540054, successes / rows
    centre = (p + z * z / (2 * rows)) / (1 + z * z / rows)
    half = z / (1 + z * z / rows) * math.sqrt(p * (1 - p) / rows + z * z / (4 * rows * rows))
    found = share("accuracy", successes, rows)
    assert (found.low, found.high) == pytest.approx((max(centre - half, 0), min(centre + half, 1)), abs=1e-12)
    assert found.interval == "95 %, Wilson"


def test_the_bootstrap_of_a_mean_is_near_the_normal_interval_and_the_seed_draws_it() -> None:
    values = RNG.normal(size=400)
    found = bootstrapped("mean", np.mean, [values], seed=1)
    half = 1.96 * values.std() / 20
    assert (found.low, found.high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.25 * half)
    assert found == bootstrapped("mean", np.mean, [values], seed=1)
    assert found != bootstrapped("mean", np.mean, [values], seed=2)


def test_a_statistic_that_some_draws_leave_undefined_has_the_interval_of_the_others() -> None:
    found = outcomes.value_figures(np.array([1.0, 2.0, 4.0]), np.array([1.0, 2.0, 3.0]))[0]
    assert found.name == "R2"
    assert found.low <= found.value <= found.high
    alike = outcomes.value_figures(np.ones(3), np.ones(3))[0].as_dict()
    assert (alike["value"], alike["low"], alike["interval"]) == (None, None, "no interval: all rows are alike")


def test_what_has_no_interval_says_so() -> None:
    assert bootstrapped("loss", np.mean, [np.array([3.0])]).as_dict() == {
        "name": "loss",
        "value": 3.0,
        "low": None,
        "high": None,
        "interval": "too few rows for an interval",
    }
    assert share("recall", 0, 0).as_dict()["value"] is None
