"""TabularClassifier and TabularRegressor: a table in, a good model out."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, column_or_1d, validate_data

from layerloop.csr import Csr, as_csr, is_sparse
from layerloop.errors import InputError, LabelError, SettingError
from layerloop.estimators.answers import columns_of_answers
from layerloop.estimators.calibration import fit_temperature, temper
from layerloop.estimators.intervals import Interval, fit_interval
from layerloop.estimators.table_features import fit_features, fit_sparse
from layerloop.estimators.table_recipe import recipe_for, recipe_in_file
from layerloop.estimators.table_time import within_time
from layerloop.estimators.table_training import Task, fit_folds, loss_of
from layerloop.features import as_plain, from_plain
from layerloop.files import Bundle
from layerloop.frames import Frame, is_frame, read_frame, with_columns
from layerloop.metrics import METRICS, all_figures, metric_named

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Self

    from numpy.typing import ArrayLike, NDArray

    from layerloop.estimators.table_recipe import Recipe
    from layerloop.estimators.table_training import Epoch, Fitted
    from layerloop.metrics import Metric
    from layerloop.network import Chain

    Watch = Callable[[Epoch], object] | None
    Floats = NDArray[np.floating]

# The log-loss chooses an epoch better than a count of rows does, and the calibration error would choose the first.
JUDGED_BY = {"accuracy": "log_loss", "brier": "log_loss", "ece": "log_loss"}
SETTINGS = ("metric", "n_members", "epochs", "time_limit", "recipe")


class _Tabular(BaseEstimator):
    """What both kinds of target share."""

    _kind: str
    _judge: str  # the metric that chooses the epoch where none is asked for

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        return tags

    def _rows(self, X: Any, *, reset: bool) -> Frame | Csr:
        """Return a table as a Frame, sparse rows as Csr; names and widths are checked by scikit-learn's means."""
        if isinstance(X, Frame):
            return self._named(X, reset=reset)
        if is_frame(X):
            validate_data(self, X, reset=reset, skip_check_array=True)
            return read_frame(X)
        X = (
            np.array(X, dtype=object) if isinstance(X, list | tuple) else X
        )  # a list's numbers and words stay as they are
        checked = validate_data(self, X, reset=reset, dtype=None, ensure_all_finite=False, accept_sparse="csr")
        return as_csr(checked, "X") if is_sparse(checked) else read_frame(checked)

    def _named(self, X: Frame, *, reset: bool) -> Frame:
        """Return a Frame, whose names are kept; `features_` compares them."""
        if reset:
            self.n_features_in_ = len(X.series)
            if X.named:
                self.feature_names_in_ = np.array(X.names, object)
        return X

    def judge(self) -> Metric:
        """Return the metric that chooses the epochs.

        Raises
        ------
        UnknownNameError, SettingError
            `metric` is none, or judges the other kind of target.
        """
        asked = metric_named(self.metric or self._judge, self._kind)
        return METRICS[JUDGED_BY.get(asked.name, asked.name)]

    def _settled(self, n: int, sparse_columns: int) -> Recipe:
        """Return the recipe for so many rows, with what was asked for put in."""
        recipe = recipe_for(self._kind, rows=n, sparse_columns=sparse_columns, metric=self.metric)
        asked = {"folds": self.n_members, "epochs": self.epochs}
        return recipe.with_(
            **{name: value for name, value in asked.items() if value is not None}, **(self.recipe or {})
        )

    def _task(self, rows: Frame | Csr, y: NDArray[Any], weights: Any, outputs: int, watch: Watch) -> Task:
        """Fit what is done to the columns; return what the networks are to be trained on. y is as the loss takes it."""
        judge = self.judge()
        self.features_ = fit_sparse(rows) if isinstance(rows, Csr) else fit_features(rows)
        encoded = self.features_.apply(rows)
        recipe = self._settled(len(rows), encoded.width if isinstance(encoded, Csr) else 0)
        seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        return Task(recipe, self.features_, encoded, y, weights, outputs, judge, seed, self.time_limit, watch)

    def _train(self, task: Task) -> list[Fitted]:
        """Train a network a fold and keep them."""
        fitted = fit_folds(within_time(task))
        self.networks_ = tuple(found.m for found in fitted)
        for m in self.networks_:
            m.record = {"loss": str(loss_of(task.recipe))}
        self.record_: dict[str, Any] = {}
        self.recipe_ = task.recipe
        self.fit_seconds_ = task.seconds
        self.scores_ = tuple(found.scores for found in fitted)
        return fitted

    def _outputs(self, X: Any) -> NDArray[np.float64]:
        """Return the mean of the networks' outputs."""
        check_is_fitted(self)
        return mean_outputs(self.networks_, self.network_rows(X))

    @property
    def network_(self) -> Chain:
        """The first of the networks, for who looks inside, such as `trace`."""
        check_is_fitted(self)
        return self.networks_[0]

    def network_rows(self, X: Any) -> NDArray[np.float32] | Csr:
        """Return rows as the networks take them, (n, n_in)."""
        check_is_fitted(self)
        return self.features_.apply(self._rows(X, reset=False))

    @property
    def columns_(self) -> dict[str, str]:
        """What was done to each column, in words."""
        check_is_fitted(self)
        return {feature.name: feature.done for feature in self.features_.columns}

    def _plain(self) -> dict[str, Any]:
        """Return what both kinds of target keep in a file, as plain data."""
        names = getattr(self, "feature_names_in_", None)
        seed = self.random_state if isinstance(self.random_state, int) else None
        return {
            "params": {name: getattr(self, name) for name in SETTINGS} | {"random_state": seed},
            "features": as_plain(self.features_),
            "recipe": asdict(self.recipe_),
            "n_features_in": self.n_features_in_,
            "feature_names_in": None if names is None else list(names),
            "figures": {name: value if np.isfinite(value) else None for name, value in self.figures_.items()},
            "fit_seconds": self.fit_seconds_,
            "scores": [list(map(float, scores)) for scores in self.scores_],
            "record": self.record_,
        }

    def _take(self, settings: Mapping[str, Any], networks: Sequence[Any]) -> None:
        """Take over what :meth:`_plain` returned."""
        known = self.get_params()  # a file of another version may have more settings of training
        self.set_params(**{name: value for name, value in settings["params"].items() if name in known})
        self.features_ = from_plain(settings["features"])
        self.recipe_ = recipe_in_file(self._kind, settings["recipe"])
        self.n_features_in_ = int(settings["n_features_in"])
        if settings["feature_names_in"] is not None:
            self.feature_names_in_ = np.array(settings["feature_names_in"], object)
        self.figures_ = {name: np.nan if value is None else value for name, value in settings["figures"].items()}
        self.fit_seconds_ = settings["fit_seconds"]
        self.scores_ = tuple(map(tuple, settings["scores"]))
        self.record_ = dict(settings.get("record", {}))
        self.networks_ = tuple(networks)


class TabularClassifier(ClassifierMixin, _Tabular):
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
        _check_length(labels, len(rows))
        _check_missing(labels)
        check_classification_targets(labels)
        rows, labels, weights = _counted(rows, labels, _weights(sample_weight, len(rows)))
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
        left_out, p = _all_left_out(fitted)
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
        _check_length(labels, len(p))
        unknown = np.flatnonzero(~np.isin(labels, self.classes_))
        if len(unknown):
            raise LabelError(f"y, row {unknown[0]}: {labels.tolist()[unknown[0]]!r} is none of the model's classes")
        codes = np.searchsorted(self.classes_, labels)
        return all_figures("classes", codes, p, _weights(sample_weight, len(p)))

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


class TabularRegressor(RegressorMixin, _Tabular):
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
        values = _values(y, len(rows))
        rows, values, weights = _counted(rows, values, _weights(sample_weight, len(rows)))
        self.center_ = float(np.average(values, weights=weights))
        spread = float(np.sqrt(np.average((values - self.center_) ** 2, weights=weights)))
        self.spread_ = spread if spread > 0 else 1.0
        self.range_ = float(values.min()), float(values.max())
        scaled = ((values - self.center_) / self.spread_).astype(np.float32)[:, np.newaxis]
        task = self._task(rows, scaled, weights, 1, watch)
        left_out, seen = _all_left_out(self._train(task))
        w = None if weights is None else weights[left_out]
        self.figures_ = all_figures("values", values[left_out], self._unscaled(seen[:, 0]), w)
        self.interval_ = None if self.interval is None else fit_interval(replace(task), self.interval)
        return self

    def network_targets(self, y: ArrayLike) -> NDArray[np.float64]:
        """Return values as the networks are trained on them, with mean 0 and standard deviation 1."""
        return (np.asarray(y, np.float64) - self.center_) / self.spread_

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

    def predict_frame(self, X: Any) -> Any:
        """Return X, a data frame, with a column `prediction`, and `lower` and `upper` where there are intervals."""
        return with_columns(X, columns_of_answers(self, X))

    def evaluate(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> dict[str, float]:
        """Return all metrics for values on some data."""
        predicted = self.predict(X)
        return all_figures("values", _values(y, len(predicted)), predicted, _weights(sample_weight, len(predicted)))

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


def mean_outputs(networks: Sequence[Any], encoded: Any) -> NDArray[np.float64]:
    """Return the mean of the networks' outputs, (n, n_out)."""
    total = sum(m(encoded).astype(np.float64) for m in networks)
    return np.asarray(total / len(networks))


def _all_left_out(fitted: list[Fitted]) -> tuple[NDArray[np.intp], Floats]:
    """Return the rows that folds left out and their outputs for them."""
    rows, outputs = zip(*((found.left_out, found.outputs) for found in fitted), strict=True)
    return np.concatenate(rows), np.concatenate(outputs)


def _counted(rows: Any, y: NDArray[Any], weights: NDArray[np.float64] | None) -> tuple[Any, NDArray[Any], Any]:
    """Return rows, targets and weights without the rows of weight 0: they are as if they were not there."""
    if weights is None or weights.all():
        return rows, y, weights
    return rows[weights > 0], y[weights > 0], weights[weights > 0]


def _check_length(y: NDArray[Any], n: int) -> None:
    if len(y) != n:
        raise InputError(f"X has {n} rows, y has {len(y)}: they must have as many")


def _check_missing(labels: NDArray[Any]) -> None:
    for i, label in enumerate(labels.tolist()):
        if label is None or label != label or label in (np.inf, -np.inf):
            raise LabelError(f"y, row {i}: the label is missing, it is {label}; leave such rows out")


def _values(y: Any, n: int) -> NDArray[np.float64]:
    """Return the target as finite float64 (n,)."""
    try:
        values: NDArray[np.float64] = column_or_1d(y, warn=True).astype(np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"y must hold one number a row ({error}); for classes use TabularClassifier") from None
    _check_length(values, n)
    wrong = np.flatnonzero(~np.isfinite(values))
    if len(wrong):
        raise InputError(f"y, row {wrong[0]}: {values[wrong[0]]} (NaN or infinity) is no target; leave such rows out")
    return values


def _weights(weights: Any, n: int) -> NDArray[np.float64] | None:
    """Return weights as finite float64 (n,), none negative and not all of them 0."""
    if weights is None:
        return None
    return _check_sample_weight(weights, np.empty((n, 0)), dtype=np.float64, ensure_non_negative=True)  # type: ignore[no-any-return]
