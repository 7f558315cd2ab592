"""What the two estimators have in common: their settings, a fit from checked data to weights, and prediction."""

from __future__ import annotations

import warnings
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.callback import CallbackSupportMixin
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.validation import check_is_fitted

from layerloop.engine import Rows
from layerloop.errors import InputError, ShapeError
from layerloop.estimators import mlp_bundle, mlp_network
from layerloop.estimators.mlp_fit import Passes, Steps, diverged
from layerloop.estimators.mlp_lbfgs import Descent, Whole
from layerloop.estimators.mlp_progress import Reporter
from layerloop.estimators.mlp_solvers import Optimizer, is_stochastic
from layerloop.estimators.mlp_targets import numbers_of, rows_of, weights_of
from layerloop.estimators.mlp_validation import Validation, engine_rows
from layerloop.frames import Frame
from layerloop.network import Chain, activations, layout, make_plan
from layerloop.preprocessing import Inputs
from layerloop.settings import blas_threads

if TYPE_CHECKING:
    from typing import Self

    from numpy.typing import NDArray

    from layerloop.estimators.mlp_losses import Objective
    from layerloop.files import Bundle

    Floats = NDArray[np.floating]

NOT_PICKLED = ("_held",)  # the network, which is made anew from the weights


class Checked(NamedTuple):
    """Data of a fit: rows, targets as labels or values, and as `Objective.targets` takes them; two kinds of weights."""

    X: Any
    y: Any
    Y: NDArray[Any]
    weights: NDArray[Any] | None  # of the rows
    counted: NDArray[Any] | None  # times those of their classes


class BaseMLP(CallbackSupportMixin, BaseEstimator):
    """Base of `MLPClassifier` and `MLPRegressor`; see there."""

    _kind: ClassVar[str]
    coefs_: list[Floats]
    intercepts_: list[Floats]

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": "no_validation",
        "solver": "no_validation",
        "alpha": [Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"})],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "power_t": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean"],
        "random_state": ["random_state"],
        "tol": [Interval(Real, 0, None, closed="left")],
        "verbose": ["verbose"],
        "warm_start": ["boolean"],
        "momentum": [Interval(Real, 0, 1, closed="both")],
        "nesterovs_momentum": ["boolean"],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="left")],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), Options(Real, {np.inf})],
        "max_fun": [Interval(Integral, 1, None, closed="left")],
        "loss": "no_validation",
        "dropout": [Interval(Real, 0, 1, closed="left"), "array-like"],
        "schedule": "no_validation",
        "l2_scaling": [StrOptions({"batch", "data"})],
        "scoring": "no_validation",
        "restore_best_weights": [StrOptions({"auto"}), "boolean"],
        "callbacks": "no_validation",
        "n_threads": [Interval(Integral, 1, None, closed="left"), None],
    }

    def _keep(self, settings: dict[str, Any]) -> None:
        """Set the attributes of __init__'s arguments: `_keep(locals())`."""
        for name, value in settings.items():
            if name not in ("self", "__class__"):
                setattr(self, name, value)

    # -- fit ------------------------------------------------------------------------------------------------------

    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        incremental: bool = False,
        eval_set: Any = None,
        start: tuple[Any, Any] = (None, None),
    ) -> Any:
        if self.early_stopping and incremental:
            raise ValueError("partial_fit does not support early_stopping=True")
        context = None if incremental else self._init_callback_context(task_name="fit", max_subtasks=self.max_iter)
        hidden = mlp_network.hidden_sizes(self.hidden_layer_sizes)
        first = not hasattr(self, "coefs_") or not (self.warm_start or incremental)
        data = self._checked(X, y, sample_weight, incremental, first)
        objective = self._objective(data.Y)
        random = check_random_state(self.random_state)
        units = [data.X.shape[1], *hidden, objective.width]
        self.out_activation_, self.n_outputs_ = objective.out, objective.width
        if first:
            self._begin(units, data.X.dtype, random, start)
        network = self._trained_network(units, objective)
        told = {
            "X": data.X,
            "y": data.y,
            "metadata": None if sample_weight is None else {"sample_weight": sample_weight},
        }
        if context is not None:
            context.call_on_fit_task_begin(estimator=self, **told)
        reporter = Reporter.of(self, network, self.max_iter, context, **told)
        with blas_threads(self.n_threads):
            if is_stochastic(self.solver):
                self._fit_by_steps(data, eval_set, network, objective, random, reporter, incremental)
            else:
                self._fit_at_once(data, eval_set, network, objective, reporter)
        if context is not None:
            context.call_on_fit_task_end(estimator=self, **told)
        return self

    def _checked(self, X: Any, y: Any, sample_weight: Any, incremental: bool, first: bool) -> Checked:
        X, y, Y = self._encoded(X, y, first=first, incremental=incremental)
        weights = weights_of(sample_weight, X)
        by_class = hasattr(self, "class_weight")
        counted = self._class_weighted(y, weights, incremental=incremental) if by_class else weights
        return Checked(X, y, Y, weights, counted)

    def _begin(self, units: list[int], dtype: Any, random: np.random.RandomState, start: tuple[Any, Any]) -> None:
        """Draw the first weights, and begin the record anew."""
        coefs, intercepts = mlp_network.initial(units, self.activation, random, dtype)
        coefs = mlp_network.given(start[0], coefs, "coef_init")
        intercepts = mlp_network.given(start[1], intercepts, "intercept_init")
        self.coefs_ = [part.astype(dtype, copy=False) for part in coefs]
        self.intercepts_ = [part.astype(dtype, copy=False) for part in intercepts]
        self.n_iter_, self.t_, self.n_layers_ = 0, 0, len(units)
        self.__dict__.pop("best_iteration_", None)
        if is_stochastic(self.solver):
            self.loss_curve_: list[float] = []
            self._no_improvement_count = 0
            self.best_loss_ = None if self.early_stopping else np.inf
        self.validation_scores_: list[float] | None = None
        self.validation_loss_curve_: list[float] | None = None
        self.best_validation_score_: float | None = None

    def _begin_validation(self) -> None:
        """Make room for the figures of validation data, where there was none yet."""
        if getattr(self, "validation_scores_", None) is None:
            self.validation_scores_, self.validation_loss_curve_ = [], []
            self.best_validation_score_ = -np.inf

    def _trained_network(self, units: list[int], objective: Objective) -> Chain:
        """Return the network that is trained: on the vector whose views `coefs_` and `intercepts_` are from now on."""
        found = mlp_network.units_of(self.coefs_)
        if found != units:
            raise ShapeError(
                f"the weights that training goes on from are those of a network {found}, but data and settings ask for "
                f"{units}: fit anew with warm_start=False, or keep hidden_layer_sizes and columns as they were"
            )
        held = self._now()
        if held is not self.__dict__.get("_held"):
            self.coefs_, self.intercepts_ = split(held, len(self.coefs_))
            self._held = held
        architecture = mlp_network.architecture_of(units, self.activation, objective.out, objective.head, self.dropout)
        return Chain.from_parts(architecture, held.network.flat)

    def _fit_by_steps(
        self,
        data: Checked,
        eval_set: Any,
        network: Chain,
        objective: Objective,
        random: np.random.RandomState,
        reporter: Reporter,
        incremental: bool,
    ) -> None:
        members, validation = self._parted(data, eval_set, objective, network.dtype, random)
        batch = self._batch(len(members))
        if not incremental or not hasattr(self, "_optimizer"):
            steps = None if incremental else -(-len(members) // batch) * self.max_iter
            self._optimizer = Optimizer.begin(self, network, layout(network), objective.unit, steps)
        self._optimizer.own()
        steady = not incremental and self.max_iter > 1 and not reporter.is_heard
        passes = Passes(
            network,
            make_plan(network, objective.loss, int(random.randint(2**31)) if np.any(self.dropout) else 0),
            objective,
            self._optimizer,
            engine_rows_of(data, objective, network.dtype, steady=steady),
            members,
            batch,
            self.alpha,
            self.l2_scaling == "data",
            data.counted,
            objective.constants(data.Y),
        )
        run = Steps(self, passes, random, reporter, validation, incremental)
        before = getattr(self, "best_validation_score_", None)
        if self.early_stopping and before is not None and np.isfinite(before):  # of a fit that this one goes on from
            run.best, run.best_figure = network.flat.copy(), -before
        run.run()
        self.learning_rate_ = float(self._optimizer.learning_rate)
        finite_or_raise(network.flat, self.n_iter_)

    def _fit_at_once(
        self, data: Checked, eval_set: Any, network: Chain, objective: Objective, reporter: Reporter
    ) -> None:
        X = engine_rows(data.X, data.X.dtype.name)
        whole = Whole.of(network, objective, X, data.Y, data.counted, self.alpha)
        validation = self._validation(eval_set, objective, network.dtype)
        Descent(self, network, whole, reporter, validation).run()

    def _batch(self, rows: int) -> int:
        if isinstance(self.batch_size, str):
            return min(200, rows)
        if self.batch_size > rows:
            text = "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped"
            warnings.warn(text, stacklevel=7)
        return int(np.clip(self.batch_size, 1, rows))

    # -- validation data -----------------------------------------------------------------------------------------

    def _parted(
        self, data: Checked, eval_set: Any, objective: Objective, dtype: str, random: np.random.RandomState
    ) -> tuple[NDArray[np.intp], Validation | None]:
        """Return the numbers of the rows to train on, and the data to validate on."""
        everything = np.arange(len(data.Y))
        if eval_set is not None or not self.early_stopping:
            return everything, self._validation(eval_set, objective, dtype)
        stratify = data.Y if data.Y.dtype == bool and objective.width == 1 else None
        train, held_out = train_test_split(
            everything, random_state=random, test_size=self.validation_fraction, stratify=stratify
        )
        if len(held_out) < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or the size of your dataset."
            )
        self._begin_validation()
        weights = None if data.weights is None else data.weights[held_out]
        y = data.y[held_out]
        part = Validation.of(data.X[held_out], y, data.Y[held_out], weights, objective, dtype, self.scoring)
        return train, part

    def _validation(self, eval_set: Any, objective: Objective, dtype: str) -> Validation | None:
        """Return the data that the user gave to validate on: (X, y) or (X, y, sample_weight)."""
        if eval_set is None:
            return None
        if isinstance(eval_set, list) and len(eval_set) == 1:
            eval_set = eval_set[0]  # as boosting libraries take it
        if not isinstance(eval_set, tuple) or len(eval_set) not in (2, 3):
            raise InputError("eval_set is a tuple (X_val, y_val), or (X_val, y_val, sample_weight)")
        X, y, Y = self._encoded_like_before(*eval_set[:2])
        weights = weights_of(eval_set[2], X) if len(eval_set) == 3 else None
        self._begin_validation()
        return Validation.of(X, y, Y, weights, objective, dtype, self.scoring)

    # -- the network ---------------------------------------------------------------------------------------------

    def _now(self) -> mlp_network.Held:
        """Return the network of the weights as they are now; kept while the lists hold its own arrays."""
        found = self.__dict__.get("_held")
        made_of = mlp_network.made_of(self.activation, self.out_activation_)
        if found is None or not found.serves([*self.coefs_, *self.intercepts_], made_of):
            found = mlp_network.held(self.coefs_, self.intercepts_, self.activation, self.out_activation_)
        return found

    @property
    def network_(self) -> Chain:
        """The fitted network: for `activations`, `check_gradient`, tracing, and all that takes a network.

        It shares its numbers with `coefs_` and `intercepts_`. Several classes have a softmax, two or several labels a
        sigmoid, whose output is the probability of `classes_[1]` or of each label.
        """
        check_is_fitted(self)
        m = self._now().network
        columns = tuple(map(str, getattr(self, "feature_names_in_", ())))
        names = tuple(map(str, getattr(self, "classes_", ())))
        named = len(names) == m.architecture.n_out and len(set(names)) == len(names)
        return Chain.from_parts(m.architecture, m.flat, inputs=Inputs(columns=columns), classes=names if named else ())

    def network_rows(self, X: Any) -> Any:
        """Return rows as `network_` takes them: of a table that was read from a file the columns of the fit."""
        return numbers_of(self, X) if isinstance(X, Frame) else X

    def _outputs(self, X: Any) -> Floats:
        """Return the network's outputs (n, K) for checked or unchecked rows."""
        check_is_fitted(self)
        return self._now().network(rows_of(self, X))

    def hidden_activations(self, X: Any) -> list[Floats]:
        """Return the outputs of the hidden layers, first to last.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        list of ndarray
            (n_samples, width) for each hidden layer.
        """
        check_is_fitted(self)
        found = activations(self._now().network, rows_of(self, X))
        return list(found[: self.n_layers_ - 2])

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        return {name: value for name, value in state.items() if name not in NOT_PICKLED}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "coefs_" in state and "out_activation_" in state:
            held = self._now()
            self.coefs_, self.intercepts_ = split(held, len(self.coefs_))
            self._held = held

    def to_bundle(self) -> Bundle:
        """Return the fitted estimator as a network and plain data, for `layerloop.save`; see mlp_bundle.py."""
        return mlp_bundle.to_bundle(self, self._kind)

    @classmethod
    def from_bundle(cls, bundle: Bundle) -> Self:
        """Return the estimator of a file's content, for `layerloop.load`."""
        return mlp_bundle.from_bundle(cls(), bundle)  # type: ignore[no-any-return]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def split(held: mlp_network.Held, layers: int) -> tuple[list[Floats], list[Floats]]:
    """Return `coefs_` and `intercepts_` of a network: its own arrays."""
    return list(held.parts[:layers]), list(held.parts[layers:])


def engine_rows_of(data: Checked, objective: Objective, dtype: str, *, steady: bool) -> Any:
    """Return rows and targets of a fit as the engine gathers them; `steady` as in `Rows`."""
    return Rows(engine_rows(data.X, dtype), objective.targets(data.Y, dtype), steady=steady)


def finite_or_raise(flat: Floats, epoch: int) -> None:
    """Raise NonFiniteWeightsError where a weight is NaN or infinite."""
    if not np.isfinite(flat).all():
        raise diverged(epoch)
