"""Estimators in scikit-learn's manner, loaded at first use: scikit-learn takes longer to import than the library."""

from layerloop.lazy import lazily

_HOME = {
    "cross_validate": "cross_validation",
    "tune": "tuning",
    "PhotoClassifier": "photos",
    "photo_space": "photos",
    "MLPClassifier": "mlp_classifier",
    "MLPRegressor": "mlp_regressor",
    **dict.fromkeys(("TabularClassifier", "TabularRegressor"), "tabular"),
}

__getattr__ = lazily(__name__, _HOME)

__all__ = ["MLPClassifier", "MLPRegressor", "TabularClassifier", "TabularRegressor", "cross_validate", "tune"]
