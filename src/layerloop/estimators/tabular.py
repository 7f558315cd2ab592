"""TabularClassifier and TabularRegressor: a table in, a good model out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d

from layerloop.errors import LabelError, SettingError
from layerloop.estimators.answers import columns_of_answers
from layerloop.estimators.calibration import fit_temperature, temper
from layerloop.estimators.intervals import Interval, fit_interval
from layerloop.estimators.tabular_base import (
    Tabular,
    all_left_out,
    check_length,
    check_missing,
    checked_weights,
    counted,
    finite_values,
)
from layerloop.files import Bundle
from layerloop.frames import with_columns
from layerloop.metrics import all_figures

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    from numpy.typing import ArrayLike, NDArray

    from layerloop.estimators.table_training import Fitted
    from layerloop.estimators.tabular_base import Floats, Watch


class TabularClassifier(ClassifierMixin, Tabular):
    """A classifier for tables, good as it comes: numbers, categories, dates, text, gaps, two to thousands of classes.

    Each of a few networks is trained on its own share of the rows and judged on the rest, where its best epoch is
    chosen; their probabilities, made as sure as they are right by one temperature, are averaged.

    Parameters
    ----------
    metric : str, optional
        What is to be good: accuracy, log_loss, brier or ece, for which the epoch is chosen by its log-loss, as it is by
        default; or balanced_accuracy, auc, f1, for which it is chosen by themselves.
    n_members : int, optional
        Networks that are averaged.
    epochs : int, optional
        Passes over the rows; by default by the number of rows.
    time_limit : float, optional
        Seconds that fit may take; epochs and members are then as many as fit in.
    class_weight : "balanced" or {class: weight}, optional
        Weights of the classes, times those of the rows.
    recipe : mapping, optional
        Settings of `layerloop.estimators.table_recipe.Recipe` to replace, such as {"widths": (256, 256)}.
    random_state : int or RandomState, optional
        Draws folds, weights and order.

    Attributes
    ----------
    classes_ : ndarray (K,)
    networks_ : tuple of Chain
    features_ : Features
        What is done to each column; `columns_` says it in words.
    network_ : Chain
        The first of the networks, which `trace` and the like look into.
    record_ : dict
        Plain data of one's own that the model file keeps; the command writes down what the model was trained on.
    figures_ : dict
        All metrics on the rows that were left out, each judged by the network that had not seen it.
    temperature_ : float

    Raises
    ------
    InputError, LabelError
        Rows or labels that cannot be, with column and row; found before training.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> model = TabularClassifier(random_state=0).fit(X, y)
    >>> model.predict_proba(X).shape, bool(model.figures_["accuracy"] > 0.9)
    ((150, 3), True)
    """

    _kind = "classes"
    _judge = "log_loss"

    def __init__(
        self,
        *,
        metric: str | None = None,
        n_members: int | None = None,
        epochs: int | None = None,
        time_limit: float | None = None,
        class_weight: Any = None,
        recipe: Mapping[str, Any] | None = None,
        random_state: Any = None,
    ) -> None:
        self.metric = metric
        self.n_members = n_members
        self.epochs = epochs
        self.time_limit = time_limit
        self.class_weight = class_weight
        self.recipe = recipe
        self.random_state = random_state

    def fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None, *, watch: Watch = None) -> Self:
        """Fit to a table and one label a row.

        Parameters
        ----------
        X : data frame, array (n, d), nested lists, or sparse matrix
            None, NaN and empty cells are values that are missing.
        y : (n,)
            Labels: strings, whole numbers, booleans.
        sample_weight : (n,), optional
        watch : function, optional
            Called with an `Epoch` after every pass of a network.
        """
        rows = self._rows(X, reset=True)
        labels = column_or_1d(y, warn=True)
        check_length(labels, len(rows))
        check_missing(labels)
        check_classification_targets(labels)
        rows, labels, weights = counted(rows, labels, checked_weights(sample_weight, len(rows)))
        self.classes_, codes = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise LabelError(f"y holds one class only, {self.classes_[0]!r}: a classifier needs at least two classes")
        if self.class_weight is not None:
            by_class = compute_sample_weight(self.class_weight, labels)
            weights = by_class if weights is None else weights * by_class
        fitted = self._train(self._task(rows, codes.astype(np.int64), weights, len(self.classes_), watch))
        self._calibrate(fitted, codes, weights)
        return self

    def _calibrate(self, fitted: list[Fitted], codes: NDArray[Any], weights: Any) -> None:
        """Find the temperature on the rows left out, and judge on them what it was found for."""
        left_out, p = all_left_out(fitted)
        w = None if weights is None else weights[left_out]
        self.figures_ = all_figures("classes", codes[left_out], p, w)
        self.temperature_ = fit_temperature(p, codes[left_out], w)
        for m in self.networks_:
            temper(m, self.temperature_)

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the probability of each class, (n, K), in the order of `classes_`."""
        p = self._outputs(X)
        return p / p.sum(axis=1, keepdims=True)  # type: ignore[no-any-return]

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the likeliest class of each row, (n,)."""
        places = self._outputs(X).argmax(axis=1)
        return np.asarray(self.classes_[places])

    def predict_left_out(self, X: Any, y: ArrayLike) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """Return the numbers of the rows of `fit` that some network had not seen, and its probabilities for them.

        They say how good the model is without further rows; with several networks they are all rows, with one a fifth.

        Raises
        ------
        InputError
            X and y are not those of `fit`.
        """
        check_is_fitted(self)
        labels = column_or_1d(y, warn=True)
        rows, p = self._left_out(X, np.searchsorted(self.classes_, labels).astype(np.int64))
        return rows, p / p.sum(axis=1, keepdims=True)

    def predict_frame(self, X: Any) -> Any:
        """Return X, a data frame, with columns `prediction` and `probability_...` of each class."""
        return with_columns(X, columns_of_answers(self, X))

    def evaluate(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> dict[str, float]:
        """Return all metrics for classes on some data.

        Raises
        ------
        LabelError
            A label that is none of the classes.
        """
        p = self.predict_proba(X)
        labels = column_or_1d(y, warn=True)
        check_length(labels, len(p))
        unknown = np.flatnonzero(~np.isin(labels, self.classes_))
        if len(unknown):
            raise LabelError(f"y, row {unknown[0]}: {labels.tolist()[unknown[0]]!r} is none of the model's classes")
        codes = np.searchsorted(self.classes_, labels)
        return all_figures("classes", codes, p, checked_weights(sample_weight, len(p)))

    def to_bundle(self) -> Bundle:
        """Return the trained model as networks and plain data, for a file."""
        check_is_fitted(self)
        kept = {"dtype": self.classes_.dtype.str, "values": self.classes_.tolist()}
        own = {"classes": kept, "temperature": self.temperature_, "class_weight": self.class_weight}
        return Bundle("tabular_classifier", self.networks_, self._plain() | own)

    @classmethod
    def from_bundle(cls, bundle: Bundle) -> Self:
        """Return the model of a file's content."""
        model = cls()
        model._take(bundle.settings, bundle.networks)
        kept = bundle.settings["classes"]
        model.classes_ = np.array(kept["values"], np.dtype(kept["dtype"]))
        model.temperature_ = float(bundle.settings["temperature"])
        model.class_weight = bundle.settings["class_weight"]
        return model


class TabularRegressor(RegressorMixin, Tabular):
    """A regressor for tables, good as it comes: the target may have any scale.

    Each of a few networks is trained on its own share of the rows and judged on the rest, where its best epoch is
    chosen; their predictions are averaged, and kept within the range of the target in training.

    Parameters
    ----------
    metric : str, optional
        What is made small: rmse by default, or r2 (the same), or mae, which is trained for as such.
    n_members, epochs, time_limit, recipe, random_state
        As in `TabularClassifier`.
    interval : float, optional
        The share of rows, such as 0.9, that intervals are to cover: `predict_interval` then returns them.

    Attributes
    ----------
    networks_, features_, figures_
        As in `TabularClassifier`.
    center_, spread_ : float
        Mean and standard deviation of the target, which the networks do not see.

    Raises
    ------
    InputError
        Rows or values that cannot be, with column and row; found before training.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = TabularRegressor(random_state=0).fit(X, y)
    >>> model.predict(X).shape, bool(model.figures_["r2"] > 0.4)
    ((442,), True)
    """

    _kind = "values"
    _judge = "rmse"

    def __init__(
        self,
        *,
        metric: str | None = None,
        n_members: int | None = None,
        epochs: int | None = None,
        time_limit: float | None = None,
        interval: float | None = None,
        recipe: Mapping[str, Any] | None = None,
        random_state: Any = None,
    ) -> None:
        self.metric = metric
        self.n_members = n_members
        self.epochs = epochs
        self.time_limit = time_limit
        self.interval = interval
        self.recipe = recipe
        self.random_state = random_state

    def fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None, *, watch: Watch = None) -> Self:
        """Fit to a table and one value a row; see `TabularClassifier.fit`."""
        rows = self._rows(X, reset=True)
        values = finite_values(y, len(rows))
        rows, values, weights = counted(rows, values, checked_weights(sample_weight, len(rows)))
        self.center_ = float(np.average(values, weights=weights))
        spread = float(np.sqrt(np.average((values - self.center_) ** 2, weights=weights)))
        self.spread_ = spread if spread > 0 else 1.0
        self.range_ = float(values.min()), float(values.max())
        task = self._task(rows, self._scaled(values), weights, 1, watch)
        left_out, seen = all_left_out(self._train(task))
        w = None if weights is None else weights[left_out]
        self.figures_ = all_figures("values", values[left_out], self._unscaled(seen[:, 0]), w)
        self.interval_ = None if self.interval is None else fit_interval(replace(task), self.interval)
        return self

    def network_targets(self, y: ArrayLike) -> NDArray[np.float64]:
        """Return values as the networks are trained on them, with mean 0 and standard deviation 1."""
        return (np.asarray(y, np.float64) - self.center_) / self.spread_

    def _scaled(self, values: NDArray[np.float64]) -> NDArray[np.float32]:
        """Return the target as the networks are trained on it, (n, 1)."""
        return ((values - self.center_) / self.spread_).astype(np.float32)[:, np.newaxis]

    def _unscaled(self, outputs: Floats) -> NDArray[np.float64]:
        """Return outputs in the target's unit, within the range that it had in training."""
        return np.clip(outputs.astype(np.float64) * self.spread_ + self.center_, *self.range_)

    def predict(self, X: Any) -> NDArray[np.float64]:
        """Return the value of each row, (n,)."""
        return self._unscaled(self._outputs(X)[:, 0])

    def predict_interval(self, X: Any) -> NDArray[np.float64]:
        """Return lower and upper end of each row's interval, (n, 2).

        Raises
        ------
        SettingError
            The model was fitted without `interval`.
        """
        check_is_fitted(self)
        if self.interval_ is None:
            raise SettingError("this model has no intervals: fit TabularRegressor(interval=0.9), say")
        return self.interval_.ends(self.network_rows(X)) * self.spread_ + self.center_

    def predict_left_out(self, X: Any, y: ArrayLike) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """Return the numbers of the rows of `fit` that some network had not seen, and what it predicts for them.

        See `TabularClassifier.predict_left_out`.
        """
        check_is_fitted(self)
        values = finite_values(y, len(np.asarray(y)))
        rows, outputs = self._left_out(X, self._scaled(values))
        return rows, self._unscaled(outputs[:, 0])

    def predict_frame(self, X: Any) -> Any:
        """Return X, a data frame, with a column `prediction`, and `lower` and `upper` where there are intervals."""
        return with_columns(X, columns_of_answers(self, X))

    def evaluate(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> dict[str, float]:
        """Return all metrics for values on some data."""
        predicted = self.predict(X)
        return all_figures(
            "values", finite_values(y, len(predicted)), predicted, checked_weights(sample_weight, len(predicted))
        )

    def to_bundle(self) -> Bundle:
        """Return the trained model as networks and plain data, for a file."""
        check_is_fitted(self)
        ends = () if self.interval_ is None else self.interval_.networks
        own: dict[str, Any] = {"center": self.center_, "spread": self.spread_, "range": list(self.range_)}
        own |= {"interval": self.interval, "members": len(self.networks_)}
        own |= {} if self.interval_ is None else {"widening": self.interval_.widening}
        return Bundle("tabular_regressor", (*self.networks_, *ends), self._plain() | own)

    @classmethod
    def from_bundle(cls, bundle: Bundle) -> Self:
        """Return the model of a file's content."""
        model, kept = cls(), bundle.settings
        members = int(kept["members"])
        model._take(kept, bundle.networks[:members])
        model.center_, model.spread_ = float(kept["center"]), float(kept["spread"])
        model.range_ = float(kept["range"][0]), float(kept["range"][1])
        ends = bundle.networks[members:]
        model.interval_ = Interval(ends, float(kept["widening"])) if ends else None
        model.interval = kept["interval"]
        return model
