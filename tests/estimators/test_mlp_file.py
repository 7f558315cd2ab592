"""A fitted MLP in a model file: what comes back predicts bit by bit the same, and goes on being an estimator."""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris, make_multilabel_classification

from layerloop import AdamW, Adjusted, Cosine, MLPClassifier, MLPRegressor, load, save, silu, trace
from layerloop.errors import InputError, ModelFileError

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X, y = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])[y]
QUICK: dict[str, Any] = {"hidden_layer_sizes": (6, 5), "max_iter": 3, "random_state": 0}


def settings_of(estimator: Any) -> dict[str, str]:
    """Settings as text; an activation that was an object comes back as its name."""
    return {name: repr(value).replace("'", "") for name, value in estimator.get_params().items()}


@pytest.mark.parametrize(
    ("estimator", "targets"),
    [
        (MLPClassifier(**QUICK), y),
        (MLPClassifier(**QUICK), y > 0),
        (MLPClassifier(**QUICK), NAMES),
        (MLPClassifier(**QUICK), NAMES.astype(object)),
        (MLPClassifier(solver="lbfgs", **QUICK), NAMES == "setosa"),
        (MLPClassifier(loss="binarycrossentropy", activation=["tanh", silu], **QUICK), y),
        (MLPClassifier(solver=Adjusted(AdamW(Cosine(0.01)), clip_norm=1.0), class_weight={0: 2.0}, **QUICK), y),
        (
            MLPClassifier(
                early_stopping=True, schedule=Cosine(0.1), dropout=[0.1, 0.2], n_iter_no_change=np.inf, **QUICK
            ),
            y,
        ),
        (MLPRegressor(**QUICK), X[:, 0]),
        (MLPRegressor("poisson", **QUICK), np.c_[y, y]),
        (MLPRegressor("quantile:levels=0.1,0.9", **QUICK), X[:, 0]),
        (MLPRegressor("huber:delta=0.5", out_activation="softplus", **QUICK), X[:, 0]),
    ],
    ids=lambda value: repr(value)[:50],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_comes_back_predicts_the_same(estimator: Any, targets: Any, dtype: Any, tmp_path: Path) -> None:
    fitted = estimator.fit(X.astype(dtype), targets)
    again = load(save(fitted, tmp_path / "mlp.safetensors"))
    assert type(again) is type(fitted)
    np.testing.assert_array_equal(again.predict(X), fitted.predict(X))
    if hasattr(fitted, "predict_proba"):
        np.testing.assert_array_equal(again.predict_proba(X), fitted.predict_proba(X))
        np.testing.assert_array_equal(again.classes_, fitted.classes_)
        assert again.classes_.dtype == fitted.classes_.dtype
    for name in ("loss_", "n_iter_", "t_", "out_activation_", "n_features_in_", "validation_scores_", "stopped_"):
        assert getattr(again, name, None) == getattr(fitted, name, None)
    assert settings_of(again) == settings_of(fitted)
    if estimator.solver != "lbfgs" and not estimator.early_stopping and not isinstance(estimator.solver, Adjusted):
        assert again.partial_fit(X, targets).t_ == fitted.t_ + 150
    again.fit(X, targets)


def test_several_labels_and_names_of_columns_come_back(tmp_path: Path) -> None:
    rows, labels = make_multilabel_classification(60, n_features=4, random_state=0)
    frame = pd.DataFrame(rows, columns=list("abcd"))
    fitted = MLPClassifier(**QUICK).fit(frame, labels)
    again = load(save(fitted, tmp_path / "mlp.safetensors"))
    np.testing.assert_array_equal(again.predict(frame), fitted.predict(frame))
    with pytest.raises(ValueError, match="feature names should match"):
        again.predict(frame[list("dcba")])


def test_functions_among_the_settings_are_left_out(tmp_path: Path) -> None:
    own = (lambda P, Y: float(np.mean((P - Y) ** 2)), lambda P, Y: 2 * (P - Y) / P.size)
    settings = {**QUICK, "random_state": np.random.RandomState(0)}
    fitted = MLPRegressor(own, callbacks=lambda: None, **settings).fit(X, X[:, 0])
    again = load(save(fitted, tmp_path / "mlp.safetensors"))
    np.testing.assert_array_equal(again.predict(X), fitted.predict(X))
    assert (again.loss, again.callbacks, again.random_state) == ("squared_error", None, None)


def test_what_has_no_place_in_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not fitted"):
        save(MLPClassifier(), tmp_path / "mlp.safetensors")
    days = y.astype("datetime64[D]")
    with pytest.raises(InputError, match="labels of type datetime64"):
        save(MLPClassifier(**QUICK).fit(X, days), tmp_path / "mlp.safetensors")
    assert not list(tmp_path.iterdir())


def test_a_file_whose_network_is_another_is_damaged(tmp_path: Path) -> None:
    path = save(MLPClassifier(**QUICK).fit(X, y), tmp_path / "mlp.safetensors")
    content = path.read_bytes()
    assert content.count(b"hidden_layer_sizes") == 1
    path.write_bytes(content.replace(b"hidden_layer_sizes", b"hidden_layer_size5"))
    with pytest.raises(ModelFileError):
        load(path)
    assert json.loads(content[8 : 8 + struct.unpack("<Q", content[:8])[0]])


def test_an_estimator_is_traced(tmp_path: Path) -> None:
    fitted = MLPClassifier(**QUICK).fit(X, NAMES)
    assert trace(fitted, X[0], "setosa") is not None
