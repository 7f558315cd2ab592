"""Other libraries on a table with categories and missing values, each with its own defaults.

A contestant takes (frame, target, test frame, kind, seed) and returns what it predicts for the test frame.
"""

from __future__ import annotations

import importlib.util
import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    Contestant = Callable[[Any, Any, Any, str, int], Any]


def layerloop(X: Any, y: Any, X_test: Any, kind: str, seed: int) -> Any:
    """The good-by-default estimator, as it comes."""
    from layerloop import TabularClassifier, TabularRegressor

    estimator = TabularClassifier if kind == "class" else TabularRegressor
    return estimator(random_state=seed).fit(X, y).predict(X_test)


def scikit_learn(X: Any, y: Any, X_test: Any, kind: str, seed: int) -> Any:
    """The MLP with its defaults behind a scaler, one-hot categories and, for values, a standardised target."""
    from sklearn.compose import TransformedTargetRegressor, make_column_selector, make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    columns = make_column_transformer(
        (numbers, make_column_selector(dtype_include="number")),
        (OneHotEncoder(handle_unknown="ignore"), make_column_selector(dtype_exclude="number")),
    )
    if kind == "class":
        return make_pipeline(columns, MLPClassifier(random_state=seed)).fit(X, y).predict(X_test)
    network = TransformedTargetRegressor(MLPRegressor(random_state=seed), transformer=StandardScaler())
    return make_pipeline(columns, network).fit(X, y).predict(X_test)


def lightgbm(X: Any, y: Any, X_test: Any, kind: str, seed: int) -> Any:
    from lightgbm import LGBMClassifier, LGBMRegressor

    estimator = LGBMClassifier if kind == "class" else LGBMRegressor
    return estimator(random_state=seed, verbose=-1).fit(_categorical(X), y).predict(_categorical(X_test, X))


def catboost(X: Any, y: Any, X_test: Any, kind: str, seed: int) -> Any:
    from catboost import CatBoostClassifier, CatBoostRegressor

    estimator = CatBoostClassifier if kind == "class" else CatBoostRegressor
    text = list(X.select_dtypes(exclude="number").columns)
    model = estimator(random_seed=seed, verbose=0, allow_writing_files=False, cat_features=text)
    return model.fit(_filled(X, text), y).predict(_filled(X_test, text)).reshape(-1)


def realmlp(X: Any, y: Any, X_test: Any, kind: str, seed: int) -> Any:
    """RealMLP-TD; it refuses missing numbers."""
    from pytabkit import RealMLP_TD_Classifier, RealMLP_TD_Regressor

    estimator = RealMLP_TD_Classifier if kind == "class" else RealMLP_TD_Regressor
    text = list(X.select_dtypes(exclude="number").columns)
    model = estimator(random_state=seed, device="cpu", n_threads=2)
    return model.fit(_filled(X, text), y, cat_col_names=text).predict(_filled(X_test, text))


def _categorical(X: Any, like: Any = None) -> Any:
    """Text columns as categories: those of `like`, so that a test row's codes mean the same."""
    import pandas as pd

    like = X if like is None else like
    text = like.select_dtypes(exclude="number").columns
    return X.assign(**{name: pd.Categorical(X[name], sorted(like[name].dropna().unique())) for name in text})


def _filled(X: Any, text: list[str]) -> Any:
    return X.assign(**{name: X[name].astype(object).where(X[name].notna(), "missing").astype(str) for name in text})


PEERS: dict[str, tuple[str, Contestant]] = {
    "layerloop": ("layerloop", layerloop),
    "scikit-learn": ("sklearn", scikit_learn),
    "lightgbm": ("lightgbm", lightgbm),
    "catboost": ("catboost", catboost),
    "realmlp": ("pytabkit", realmlp),
}


def contestants(names: list[str]) -> dict[str, Contestant]:
    """Return those that are installed, the first one always ours."""
    warnings.filterwarnings("ignore")  # of convergence and of names: they are the peers' own
    return {name: run for name, (module, run) in PEERS.items() if name in names and importlib.util.find_spec(module)}
