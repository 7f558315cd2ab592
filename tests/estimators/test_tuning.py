"""The search for settings: never worse than the defaults where it is judged, kept when interrupted, within its time."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from sklearn.datasets import load_diabetes, load_iris

from layerloop import TabularClassifier, TabularRegressor, cli, load, tune
from layerloop.errors import MissingExtraError, SettingError
from layerloop.estimators import tuning

if TYPE_CHECKING:
    from pathlib import Path

FAST: dict[str, Any] = {"epochs": 3, "n_members": 1, "random_state": 0}


def test_the_best_of_the_trials_is_fitted_and_the_first_has_the_defaults() -> None:
    X, y = load_diabetes(return_X_y=True)
    found = tune(TabularRegressor(**FAST), X, y, trials=4)
    assert found.trials[0]["settings"] == {}
    scores = [row["score"] for row in found.trials if row["state"] == "complete"]
    assert found.estimator.figures_["rmse"] == min(scores)
    assert dict(found.estimator.recipe) == found.best
    assert "defaults" in str(found)


def test_the_metric_decides_which_way_is_better() -> None:
    X, y = load_iris(return_X_y=True)
    found = tune(TabularClassifier(metric="auc", **FAST), X, y, trials=3)
    assert found.metric == "auc"
    assert found.estimator.figures_["auc"] == max(row["score"] for row in found.trials if row["score"] is not None)


def test_hopeless_trials_end_early() -> None:
    X, y = load_diabetes(return_X_y=True)

    def worse(trial: Any) -> dict[str, Any]:
        return {"rate": 0.2 if trial.number < 6 else 1e-7}

    found = tune(TabularRegressor(epochs=12, n_members=1, random_state=0), X, y, trials=8, space=worse)
    assert found.trials[-1]["state"] == "pruned"


def test_what_was_found_before_an_interrupt_is_kept() -> None:
    X, y = load_iris(return_X_y=True)

    def stop(row: dict[str, Any], best: float) -> None:
        if row["trial"] == 1:
            raise KeyboardInterrupt

    found = tune(TabularClassifier(**FAST), X, y, trials=50, progress=stop)
    assert found.interrupted is not None
    assert (len(found.trials), found.estimator.predict(X).shape) == (2, (150,))


def test_time_is_kept() -> None:
    X, y = load_iris(return_X_y=True)
    began = time.monotonic()
    tune(TabularClassifier(random_state=0), X, y, trials=10_000, time_limit=1.0)
    assert time.monotonic() - began < 5


def test_what_cannot_be_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingError, match="time_limit must be a positive number"):
        tune(TabularClassifier(), [[0]], [0], time_limit=0)
    monkeypatch.setattr(tuning, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'layerloop\[tune\]'"):
        tune(TabularClassifier(), [[0]], [0])


def test_the_command_saves_the_best(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    X, y = load_iris(return_X_y=True, as_frame=True)
    X.assign(kind=y).to_csv("iris.csv", index=False)
    words = ["tune", "iris.csv", "--target", "kind", "--trials", "2", "--epochs", "2", "--members", "1", "--json"]
    assert cli.main(words) == 0
    found = json.loads(capsys.readouterr().out)
    assert (len(found["trials"]), found["model"]) == (2, "iris.safetensors")
    assert load("iris.safetensors").record_["best"] == found["best"]
