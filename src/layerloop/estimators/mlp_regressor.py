"""MLPRegressor: scikit-learn's, on this library's engine, with what its users asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from sklearn.base import RegressorMixin, _fit_context
from sklearn.utils.metaestimators import available_if

from layerloop.estimators.mlp_base import BaseMLP
from layerloop.estimators.mlp_losses import Objective, of_values
from layerloop.estimators.mlp_solvers import takes_steps
from layerloop.estimators.mlp_targets import rows_and_targets

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.floating]


class MLPRegressor(RegressorMixin, BaseMLP):
    """Regressor with hidden layers: scikit-learn's MLPRegressor, parameter by parameter, on this library's engine.

    Changing one import line is enough: `from layerloop import MLPRegressor`. docs/estimators-mlp.md goes through all
    parameters; those below `max_fun` are new and change nothing by default.

    Parameters
    ----------
    loss : str, loss or (value, gradient)
        "squared_error" and "poisson" as in scikit-learn; every other loss of values in the table, "mae",
        "huber:delta=0.5", "quantile:levels=0.1,0.5,0.9" (one output for each level), ...; or a pair of functions of
        (outputs, targets).
    hidden_layer_sizes, activation, solver, alpha, batch_size, learning_rate, learning_rate_init, power_t, max_iter
        As in `MLPClassifier`.
    shuffle, random_state, tol, verbose, warm_start, momentum, nesterovs_momentum, early_stopping, validation_fraction
        As in `MLPClassifier`.
    beta_1, beta_2, epsilon, n_iter_no_change, max_fun
        As in `MLPClassifier`.
    out_activation : str or None
        Activation of the outputs: "exp", "logistic", "softplus", any row of the table; by default that of the loss.
    dropout, schedule, l2_scaling, scoring, restore_best_weights, callbacks, n_threads
        As in `MLPClassifier`; scoring is R2 by default.

    Attributes
    ----------
    loss_, best_loss_, loss_curve_, validation_scores_, best_validation_score_, t_, coefs_, intercepts_
        As in scikit-learn.
    n_features_in_, feature_names_in_, n_iter_, n_layers_, n_outputs_, out_activation_
        As in scikit-learn.
    validation_loss_curve_, best_iteration_, stopped_, learning_rate_, network_
        As in `MLPClassifier`.

    Examples
    --------
    >>> from sklearn.datasets import make_regression
    >>> X, y = make_regression(200, 5, random_state=0)
    >>> reg = MLPRegressor(hidden_layer_sizes=(16,), solver="lbfgs", tol=0.01, random_state=0).fit(X, y / y.std())
    >>> reg.predict(X[:2]).shape, reg.score(X, y / y.std()) > 0.99
    ((2,), True)
    """

    _kind = "mlp_regressor"
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseMLP._parameter_constraints,
        "out_activation": "no_validation",
    }

    def __init__(
        self,
        loss: Any = "squared_error",
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: Any = "adam",
        alpha: float = 0.0001,
        batch_size: Any = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: Any = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        out_activation: Any = None,
        dropout: Any = 0.0,
        schedule: Any = None,
        l2_scaling: str = "batch",
        scoring: Any = None,
        restore_best_weights: Any = "auto",
        callbacks: Any = None,
        n_threads: int | None = None,
    ) -> None:
        self._keep(locals())

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        eval_set: Any = None,
        coef_init: Any = None,
        intercept_init: Any = None,
    ) -> Any:
        """Fit the weights.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), optional
        eval_set : (X_val, y_val) or (X_val, y_val, sample_weight), optional
            Data to validate on after each pass.
        coef_init, intercept_init : sequences of arrays, optional
            First weights and biases, shaped as `coefs_` and `intercepts_`.

        Returns
        -------
        self
        """
        return self._fit(X, y, sample_weight, eval_set=eval_set, start=(coef_init, intercept_init))

    @available_if(takes_steps)
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Go over these rows once, from the weights as they are.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`.

        Returns
        -------
        self
        """
        return self._fit(X, y, sample_weight, incremental=True)

    def predict(self, X: Any) -> Floats:
        """Return the values for each row.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
        """
        outputs = self._outputs(X)
        return outputs.ravel() if outputs.shape[1] == 1 else outputs

    def _objective(self, Y: NDArray[Any]) -> Objective:
        return of_values(self.loss, Y.shape[1], self.out_activation)

    def _encoded(self, X: Any, y: Any, *, first: bool, **_: bool) -> tuple[Any, Any, NDArray[Any]]:
        X, y = rows_and_targets(self, X, y, reset=first, numeric=True)
        return X, y, y[:, np.newaxis] if y.ndim == 1 else y

    def _encoded_like_before(self, X: Any, y: Any) -> tuple[Any, Any, NDArray[Any]]:
        return self._encoded(X, y, first=False)
