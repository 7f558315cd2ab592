"""Cross-validation: every row is judged once, by a model that has not seen it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_diabetes, load_iris

from layerloop import MLPRegressor, TabularClassifier, cli, cross_validate
from layerloop.errors import InputError, SettingError, ShapeError

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self

FAST: dict[str, Any] = {"epochs": 2, "n_members": 1, "random_state": 0}


class Remembers(ClassifierMixin, BaseEstimator):
    """Says the class that it saw most often, and keeps what it saw."""

    def fit(self, X: Any, y: Any) -> Self:
        self.classes_, self.seen_ = np.unique(y), set(np.asarray(X)[:, 0].tolist())
        return self

    def predict_proba(self, X: Any) -> Any:
        assert not self.seen_ & set(np.asarray(X)[:, 0].tolist())
        return np.tile(np.eye(len(self.classes_))[0], (len(X), 1))


def test_every_fold_is_judged_by_a_model_that_did_not_see_it_and_has_its_share_of_each_class() -> None:
    X, y = np.arange(40.0).reshape(20, 2), np.repeat([0, 1], 10)
    found = cross_validate(Remembers(), X, y, folds=5)
    assert [fold["accuracy"] for fold in found.folds] == [0.5] * 5


def test_the_summary_is_the_mean_and_its_standard_error() -> None:
    X, y = load_diabetes(return_X_y=True)
    found = cross_validate(MLPRegressor(max_iter=5, solver="lbfgs", random_state=0), X, y, folds=3, metrics=["mae"])
    values = [fold["mae"] for fold in found.folds]
    assert found.summary() == [
        {"metric": "mae", "mean": np.mean(values), "standard error": np.std(values, ddof=1) / np.sqrt(3)}
    ]
    assert "standard error" in str(found)


def test_groups_stay_in_one_fold() -> None:
    groups = np.repeat(np.arange(10), 2)
    X = np.column_stack([groups, groups]).astype(float)
    cross_validate(Remembers(), X, np.tile([0, 1], 10), groups=groups)  # Remembers refuses a group that it saw


@pytest.mark.parametrize("make", [pd.DataFrame, lambda X: pl.DataFrame(np.asarray(X)), np.asarray])
def test_frames_and_arrays_are_taken(make: Any) -> None:
    X, y = load_iris(return_X_y=True)
    found = cross_validate(TabularClassifier(**FAST), make(X), y, folds=2)
    assert {"accuracy", "log_loss", "auc", "ece"} <= set(found.folds[0])


def test_what_cannot_be_is_refused() -> None:
    X, y = load_iris(return_X_y=True)
    with pytest.raises(SettingError, match="the metric 'rmse' judges values"):
        cross_validate(TabularClassifier(), X, y, metrics=["rmse"])
    with pytest.raises(ShapeError, match="one label or value a row"):
        cross_validate(TabularClassifier(), X, np.c_[y, y])
    with pytest.raises(InputError, match="cannot be parted into 5 folds"):
        cross_validate(MLPRegressor(), X[:3], y[:3])


def test_the_command_prints_the_same_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    X, y = load_iris(return_X_y=True, as_frame=True)
    X.assign(kind=y.map({0: "a", 1: "b", 2: "c"})).to_csv("iris.csv", index=False)
    words = ["cv", "iris.csv", "--target", "kind", "--folds", "3", "--epochs", "2", "--members", "1", "--json"]
    assert cli.main(words) == 0
    out = capsys.readouterr()
    found = json.loads(out.out)
    assert len(found["folds"]) == 3
    assert "fold 3/3  log_loss " in out.err
    expected = cross_validate(TabularClassifier(**FAST), X, y, folds=3)
    assert [row["mean"] for row in found["summary"]] == pytest.approx([row["mean"] for row in expected.summary()])
