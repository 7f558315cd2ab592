"""Every row of the table of metrics against arithmetic by hand, weights included."""

from __future__ import annotations

import math

import numpy as np
import pytest

from layerloop.errors import SettingError, UnknownNameError
from layerloop.metrics import METRICS, all_figures, metric_named

Y = np.array([0, 1, 1, 0])
P = np.array([[0.8, 0.2], [0.4, 0.6], [0.7, 0.3], [0.6, 0.4]])  # right, right, wrong, right
VALUES, SEEN = np.array([1.0, 2.0, 6.0]), np.array([1.0, 3.0, 4.0])
BY_HAND = {
    "accuracy": 3 / 4,
    "balanced_accuracy": (2 / 2 + 1 / 2) / 2,
    "log_loss": -(math.log(0.8) + math.log(0.6) + math.log(0.3) + math.log(0.6)) / 4,
    "auc": 3 / 4,  # of four pairs (0.2 < 0.6, 0.4 < 0.6, 0.2 < 0.3, 0.4 > 0.3) three are in order
    "f1": 2 * 1 * 0.5 / (1 + 0.5),
    "brier": (0.04 + 0.16 + 0.49 + 0.16) / 4,
    # bins of 1/15: 0.6 and 0.6 in the tenth, 0.7 in the eleventh, 0.8 in the thirteenth
    "ece": (abs(2 - 1.2) + abs(0 - 0.7) + abs(1 - 0.8)) / 4,
    "r2": 1 - 5 / 14,
    "mae": 1.0,
    "rmse": math.sqrt(5 / 3),
}


def seen(name: str) -> tuple[np.ndarray, np.ndarray]:
    return (Y, P) if METRICS[name].kind == "classes" else (VALUES, SEEN)


def test_every_metric_has_its_number() -> None:
    assert set(BY_HAND) == set(METRICS)


@pytest.mark.parametrize("name", METRICS)
def test_metric_by_hand(name: str) -> None:
    y, predicted = seen(name)
    assert METRICS[name].figure(y, predicted, None) == pytest.approx(BY_HAND[name], rel=1e-12)
    sign = 1 if METRICS[name].higher else -1
    assert METRICS[name].gain(y, predicted) == pytest.approx(sign * BY_HAND[name], rel=1e-12)


@pytest.mark.parametrize("name", METRICS)
def test_a_weight_counts_as_so_many_rows(name: str) -> None:
    y, predicted = seen(name)
    counts = np.array([2, 1, 3, 1][: len(y)])
    repeated = METRICS[name].figure(np.repeat(y, counts), np.repeat(predicted, counts, axis=0), None)
    assert METRICS[name].figure(y, predicted, counts.astype(float)) == pytest.approx(repeated, rel=1e-12)


@pytest.mark.parametrize("name", [name for name, row in METRICS.items() if row.kind == "classes"])
def test_three_classes_with_one_that_does_not_occur(name: str) -> None:
    p = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1]])
    assert math.isfinite(METRICS[name].figure(np.array([0, 1]), p, None))


def test_a_metric_is_named() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'accuracy'"):
        metric_named("acuracy", "classes")
    with pytest.raises(SettingError, match="judges classes, and the target is of values: use one of r2, mae, rmse"):
        metric_named("auc", "values")


def test_a_constant_target_has_no_r2() -> None:
    assert math.isnan(all_figures("values", np.ones(3), np.ones(3))["r2"])
