"""What the two estimators for tables share: rows, recipe, training over folds, the file."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, column_or_1d, validate_data

from layerloop.csr import Csr, as_csr, is_sparse
from layerloop.errors import InputError, LabelError
from layerloop.estimators.table_features import fit_features, fit_sparse
from layerloop.estimators.table_recipe import recipe_for, recipe_in_file
from layerloop.estimators.table_time import within_time
from layerloop.estimators.table_training import Task, digest_of, fit_folds, folds_of, loss_of
from layerloop.features import as_plain, from_plain
from layerloop.frames import Frame, is_frame, read_frame
from layerloop.metrics import METRICS, metric_named

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from layerloop.estimators.table_recipe import Recipe
    from layerloop.estimators.table_training import Epoch, Fitted
    from layerloop.metrics import Metric
    from layerloop.network import Chain

    Watch = Callable[[Epoch], object] | None
    Floats = NDArray[np.floating]

# The log-loss chooses an epoch better than a count of rows does, and the calibration error would choose the first.
JUDGED_BY = {"accuracy": "log_loss", "brier": "log_loss", "ece": "log_loss"}
SETTINGS = ("metric", "n_members", "epochs", "time_limit", "recipe")


class Tabular(BaseEstimator):
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
        self._fold_seed, self._digest = seed, digest_of(encoded, y)
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
        self.losses_ = tuple(found.losses for found in fitted)
        return fitted

    def _left_out(self, X: Any, y: NDArray[Any]) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """Return the rows of training that some network had not seen, and its outputs for them."""
        encoded = self.network_rows(X)
        if self._fold_seed is None or digest_of(encoded, y) != self._digest:
            raise InputError("these are not the rows and targets that the model was fitted to, all in their order")
        parts = folds_of(encoded, y, self._kind, self.recipe_.folds, self._fold_seed)
        rows = [left_out for _, left_out in parts]
        outputs = [m(encoded[left_out]) for m, left_out in zip(self.networks_, rows, strict=True)]
        order = np.argsort(np.concatenate(rows), kind="stable")
        return np.concatenate(rows)[order], np.concatenate(outputs)[order].astype(np.float64)

    @property
    def history_(self) -> list[dict[str, float | None]]:
        """A row an epoch: of each network the mean loss of training and the metric on the rows it had not seen."""
        check_is_fitted(self)
        judge, unit = self.judge(), getattr(self, "spread_", 1.0)
        power = loss_of(self.recipe_).row.unit or 0
        sign = (1.0 if judge.higher else -1.0) * (1.0 if judge.name == "r2" else unit)
        rows: list[dict[str, float | None]] = []
        for k in range(max(map(len, self.scores_))):
            row: dict[str, float | None] = {"epoch": k + 1}
            for i, (losses, scores) in enumerate(zip(self.losses_, self.scores_, strict=True), start=1):
                row[f"network {i}_loss"] = losses[k] * unit**power if k < len(losses) else None
                row[f"network {i}_{judge.name}"] = sign * scores[k] if k < len(scores) else None
            rows.append(row)
        return rows

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
            "losses": [list(map(float, losses)) for losses in self.losses_],
            "folds": {"seed": self._fold_seed, "digest": self._digest},
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
        self.losses_ = tuple(map(tuple, settings.get("losses", [[]] * len(self.scores_))))
        folds = settings.get("folds", {})  # files of earlier versions have none
        self._fold_seed, self._digest = folds.get("seed"), folds.get("digest")
        self.record_ = dict(settings.get("record", {}))
        self.networks_ = tuple(networks)


def mean_outputs(networks: Sequence[Any], encoded: Any) -> NDArray[np.float64]:
    """Return the mean of the networks' outputs, (n, n_out)."""
    total = sum(m(encoded).astype(np.float64) for m in networks)
    return np.asarray(total / len(networks))


def all_left_out(fitted: list[Fitted]) -> tuple[NDArray[np.intp], Floats]:
    """Return the rows that folds left out and their outputs for them."""
    rows, outputs = zip(*((found.left_out, found.outputs) for found in fitted), strict=True)
    return np.concatenate(rows), np.concatenate(outputs)


def counted(rows: Any, y: NDArray[Any], weights: NDArray[np.float64] | None) -> tuple[Any, NDArray[Any], Any]:
    """Return rows, targets and weights without the rows of weight 0: they are as if they were not there."""
    if weights is None or weights.all():
        return rows, y, weights
    return rows[weights > 0], y[weights > 0], weights[weights > 0]


def check_length(y: NDArray[Any], n: int) -> None:
    """Raise InputError unless there is a target for each row."""
    if len(y) != n:
        raise InputError(f"X has {n} rows, y has {len(y)}: they must have as many")


def check_missing(labels: NDArray[Any]) -> None:
    """Raise LabelError for a label that is None, NaN or infinite."""
    for i, label in enumerate(labels.tolist()):
        if label is None or label != label or label in (np.inf, -np.inf):
            raise LabelError(f"y, row {i}: the label is missing, it is {label}; leave such rows out")


def finite_values(y: Any, n: int) -> NDArray[np.float64]:
    """Return the target as finite float64 (n,)."""
    try:
        values: NDArray[np.float64] = column_or_1d(y, warn=True).astype(np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"y must hold one number a row ({error}); for classes use TabularClassifier") from None
    check_length(values, n)
    wrong = np.flatnonzero(~np.isfinite(values))
    if len(wrong):
        raise InputError(f"y, row {wrong[0]}: {values[wrong[0]]} (NaN or infinity) is no target; leave such rows out")
    return values


def checked_weights(weights: Any, n: int) -> NDArray[np.float64] | None:
    """Return weights as finite float64 (n,), none negative and not all of them 0."""
    if weights is None:
        return None
    return _check_sample_weight(weights, np.empty((n, 0)), dtype=np.float64, ensure_non_negative=True)  # type: ignore[no-any-return]
