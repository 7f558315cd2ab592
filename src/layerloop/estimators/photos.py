"""A network for photographs as an estimator, so that folds and searches can fit it again and again."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from layerloop.data import Dataset
from layerloop.errors import InputError, SettingError, ShapeError
from layerloop.estimators.answers import figures_of_estimator
from layerloop.estimators.table_training import Epoch
from layerloop.metrics import Metric, metric_named
from layerloop.training import Progress, Stop, train
from layerloop.training.callbacks import reads_only
from layerloop.training.recipe import RECIPES, prepare

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Self

    from numpy.typing import ArrayLike, NDArray

    from layerloop.training.task import Task

    Watch = Callable[[Epoch], object] | None


def photo_space(trial: Any) -> dict[str, Any]:
    """Return settings of the recipe `photos` for a trial of Optuna: widths, rate, dropout and others."""
    layers, width = trial.suggest_int("layers", 1, 2), trial.suggest_categorical("width", [128, 256, 512])
    return {
        "layers": (width,) * layers,
        "activation": trial.suggest_categorical("activation", ["gelu", "relu", "mish"]),
        "rate": trial.suggest_float("rate", 2e-4, 1e-2, log=True),
        "dropout": trial.suggest_float("dropout", 0.0, 0.5, step=0.1),
        "input_dropout": trial.suggest_categorical("input_dropout", [0.0, 0.1, 0.2]),
        "smoothing": trial.suggest_categorical("smoothing", [0.0, 0.1]),
        "batch_size": trial.suggest_categorical("batch_size", [32, 64, 128]),
    }


class PhotoClassifier(ClassifierMixin, BaseEstimator):
    """The recipe `photos` of `layerloop train` as an estimator.

    Parameters
    ----------
    image : (h, w) or (h, w, 3)
        The shape of a picture, which a row has row after row.
    metric : str, optional
        What a search looks at; accuracy by default.
    validation : float
        Share of the rows that is held out, for `figures_`.
    time_limit : float, optional
        Seconds of training, after which it ends.
    recipe : mapping, optional
        Settings of `layerloop.training.recipe.Recipe` to replace, such as {"layers": (128,)}.
    random_state : int
        Draws the held-out rows, weights and order.

    Attributes
    ----------
    classes_ : ndarray (K,)
    network_ : Chain
        What a model file holds.
    figures_ : dict
        All metrics on the held-out rows; empty without.

    Raises
    ------
    ShapeError, InputError
        Rows that are no such pictures, or a single class.

    Examples
    --------
    >>> X = np.repeat(np.array([[0], [255]], np.uint8), 4, axis=1).repeat(20, axis=0)
    >>> model = PhotoClassifier((2, 2), recipe={"layers": (8,)}).fit(X, ["dark"] * 20 + ["light"] * 20)
    >>> model.predict(X[[0, -1]]).tolist()
    ['dark', 'light']
    """

    def __init__(
        self,
        image: tuple[int, ...],
        *,
        metric: str | None = None,
        validation: float = 0.0,
        time_limit: float | None = None,
        recipe: Mapping[str, Any] | None = None,
        random_state: int = 0,
    ) -> None:
        self.image = image
        self.metric = metric
        self.validation = validation
        self.time_limit = time_limit
        self.recipe = recipe
        self.random_state = random_state

    def judge(self) -> Metric:
        """Return the metric that a search looks at.

        Raises
        ------
        UnknownNameError, SettingError
            `metric` is none, or judges values.
        """
        return metric_named(self.metric or "accuracy", "classes")

    def fit(self, X: NDArray[np.uint8], y: ArrayLike, *, watch: Watch = None) -> Self:
        """Train on bytes (n, pixels) and one label a row; `watch` hears of every pass where rows are held out."""
        if X.dtype != np.uint8 or X.ndim != 2 or X.shape[1] != math.prod(self.image):
            raise ShapeError(
                f"PhotoClassifier takes bytes (n, {math.prod(self.image)}), got {X.dtype} of shape {X.shape}"
            )
        self.judge()
        task = self._task(X, np.asarray(y))
        self.network_, began = task.m, time.monotonic()
        train(
            task.m,
            task.loader,
            task.trained_loss,
            task.rule,
            self._epochs,
            [reads_only(lambda now: self._watched(now, task, watch, time.monotonic() - began))],
        )
        self.figures_ = self._figures(task)
        return self

    def predict_proba(self, X: NDArray[np.uint8]) -> NDArray[np.floating]:
        """Return (n, K), the probability of each class."""
        check_is_fitted(self)
        outputs: NDArray[np.floating] = self.network_(X)
        return outputs

    def predict(self, X: NDArray[np.uint8]) -> NDArray[Any]:
        """Return the likeliest class of each row."""
        likeliest: NDArray[Any] = self.classes_[self.predict_proba(X).argmax(axis=1)]
        return likeliest

    def _task(self, X: NDArray[np.uint8], y: NDArray[Any]) -> Task:
        self.classes_, indices = np.unique(y, return_inverse=True)
        names = tuple(map(str, self.classes_.tolist()))
        if len(names) < 2:
            raise InputError("the pictures have a single class; there is nothing to tell apart")
        data = Dataset("the pictures", X, indices, "classes", names, 1 / 255, tuple(self.image), fit="stretch")
        fixed = {"test": 0.0, "validation": self.validation, "seed": self.random_state}
        recipe = replace(RECIPES["photos"], **{**(self.recipe or {}), **fixed})
        if self.time_limit is not None and not self.time_limit > 0:
            raise SettingError(f"time_limit must be a positive number of seconds, got {self.time_limit!r}")
        self._epochs = recipe.epochs
        return prepare(data, None, recipe)

    def _figures(self, task: Task) -> dict[str, float]:
        if "validation" not in task.held:
            return {}
        X, y = task.held["validation"]
        return figures_of_estimator(self, X, self.classes_[y])

    def _watched(self, now: Progress, task: Task, watch: Watch, seconds: float) -> Stop | None:
        """Tell of a pass that has ended, and end training when time is up."""
        if now.epoch_ended and watch is not None and task.held:
            score = self._figures(task)[self.judge().name]
            watch(Epoch(0, 1, now.epoch, now.epochs, score, seconds))
        up = self.time_limit is not None and seconds > self.time_limit
        return Stop("time is up") if up else None
