"""Tabular models in files: what is saved comes back, from other versions too."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.preprocessing import StandardScaler

from houses import FAST, houses
from layerloop import load, save
from layerloop.errors import InputError, ModelFileError
from layerloop.estimators import TabularClassifier, TabularRegressor

if TYPE_CHECKING:
    from pathlib import Path


def test_a_model_comes_back_from_its_file(tmp_path: Path) -> None:
    X, y = houses(120)
    regressor = TabularRegressor(interval=0.8, **FAST).fit(X, y)
    back = load(save(regressor, tmp_path / "m.safetensors"))
    assert back.predict(X).tobytes() == regressor.predict(X).tobytes()
    assert back.predict_interval(X).tobytes() == regressor.predict_interval(X).tobytes()
    assert back.get_params() == regressor.get_params()
    assert (back.columns_, back.figures_) == (regressor.columns_, regressor.figures_)


@pytest.mark.parametrize("names", [[0, 1, 2], ["a", "b", "c"], [2.0, 3.0, 4.0], [-1, 0, 10**12]])
def test_classes_of_every_kind_come_back(tmp_path: Path, names: list[Any]) -> None:
    X, codes = load_iris(return_X_y=True)
    y = np.array(names)[codes]
    model = TabularClassifier(**FAST).fit(X, y)
    back = load(save(model, tmp_path / "m.safetensors"))
    assert back.classes_.tolist() == names
    assert back.classes_.dtype == model.classes_.dtype
    assert back.predict_proba(X).tobytes() == model.predict_proba(X).tobytes()


def test_a_file_of_a_foreign_kind_is_refused(tmp_path: Path) -> None:
    from layerloop.files import Bundle, save_bundle

    X, y = load_iris(return_X_y=True)
    model = TabularClassifier(**FAST).fit(X, y)
    path = save_bundle(Bundle("tabular_clasifier", model.networks_, {}), tmp_path / "m.safetensors")
    with pytest.raises(ModelFileError, match="Did you mean 'tabular_classifier'"):
        load(path)


def test_what_cannot_be_saved_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="got StandardScaler"):
        save(StandardScaler(), tmp_path / "m.safetensors")
    with pytest.raises(ValueError, match="not fitted"):
        save(TabularClassifier(), tmp_path / "m.safetensors")


def test_a_file_of_another_version_is_read_without_the_settings_that_this_one_does_not_know() -> None:
    X, y = houses(40)
    model = TabularRegressor(**FAST, recipe={"widths": (16,)}).fit(X, y)
    bundle = model.to_bundle()
    recipe = {**bundle.settings["recipe"], "a setting of tomorrow": [1, 2]}
    del recipe["patience"]  # and an older one may lack some
    params = {**bundle.settings["params"], "a parameter of tomorrow": 3}
    other = replace(bundle, settings={**bundle.settings, "recipe": recipe, "params": params})
    again = TabularRegressor.from_bundle(other)
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    assert (again.recipe_, again.get_params()) == (model.recipe_, model.get_params())
    assert again.to_bundle().settings["recipe"] == bundle.settings["recipe"]
