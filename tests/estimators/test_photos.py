"""The network for photographs as an estimator."""

from __future__ import annotations

import numpy as np
import pytest

from layerloop import cross_validate
from layerloop.errors import InputError, LayerloopError, SettingError, ShapeError
from layerloop.estimators import PhotoClassifier
from layerloop.estimators.table_training import Epoch

SMALL = {"layers": (8,), "epochs": 10}


def pictures(n: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Noise with a bright upper or a bright lower half."""
    rng = np.random.default_rng(0)
    X = rng.integers(0, 120, (n, 4, 3), dtype=np.uint8)
    y = np.arange(n) % 2
    X[y == 0, :2] += 130
    X[y == 1, 2:] += 130
    return X.reshape(n, -1), np.array(["top", "low"])[y]


def test_it_learns_names_and_judges_the_rows_held_out() -> None:
    X, y = pictures()
    heard = list[Epoch]()
    model = PhotoClassifier((4, 3), validation=0.25, recipe=SMALL).fit(X, y, watch=heard.append)
    assert model.classes_.tolist() == ["low", "top"]
    assert (model.predict(X) == y).mean() > 0.95
    np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1, atol=1e-6)
    assert [row.epoch for row in heard] == list(range(1, 11))
    assert heard[-1].score == model.figures_["accuracy"]
    assert (model.network_.classes, model.network_.inputs.image) == (("low", "top"), (4, 3))


def test_folds_fit_it_anew() -> None:
    X, y = pictures()
    model = PhotoClassifier((4, 3), recipe=SMALL)
    found = cross_validate(model, X, y, folds=3)
    assert len(found.folds) == 3
    assert min(fold["accuracy"] for fold in found.folds) > 0.9
    assert not hasattr(model, "network_")


def test_time_ends_training_and_the_network_stays_usable() -> None:
    X, y = pictures()
    model = PhotoClassifier((4, 3), time_limit=0.05, recipe={"layers": (8,), "epochs": 100_000}).fit(X, y)
    assert model.figures_ == {}
    assert model.predict(X).shape == (60,)


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"X": np.zeros((4, 12))}, ShapeError, "takes bytes"),
        ({"X": np.zeros((4, 11), np.uint8)}, ShapeError, r"takes bytes \(n, 12\), got uint8 of shape \(4, 11\)"),
        ({"y": ["a"] * 4}, InputError, "single class"),
        ({"metric": "rmse"}, LayerloopError, "judges values"),
        ({"time_limit": 0.0}, SettingError, "time_limit must be a positive number"),
    ],
)
def test_what_it_refuses(change: dict, error: type[Exception], said: str) -> None:
    rows = {"X": np.zeros((4, 12), np.uint8), "y": ["a", "b"] * 2}
    X, y = (change.get(name, value) for name, value in rows.items())
    settings = {name: value for name, value in change.items() if name not in rows}
    with pytest.raises(error, match=said):
        PhotoClassifier((4, 3), **settings).fit(X, y)
