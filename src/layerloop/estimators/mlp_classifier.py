"""MLPClassifier: scikit-learn's, on this library's engine, with what its users asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import _check_partial_fit_first_call, type_of_target, unique_labels

from layerloop.errors import LabelError, SettingError, ShapeError
from layerloop.estimators.mlp_base import BaseMLP
from layerloop.estimators.mlp_losses import Objective, of_classes
from layerloop.estimators.mlp_solvers import takes_steps
from layerloop.estimators.mlp_targets import (
    binarizer_of,
    encoded,
    kind_of,
    refuse_unknown,
    rows_and_targets,
    weights_by_class,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.floating]


class MLPClassifier(ClassifierMixin, BaseMLP):
    """Classifier with hidden layers: scikit-learn's MLPClassifier, parameter by parameter, on this library's engine.

    Changing one import line is enough: `from layerloop import MLPClassifier`. docs/estimators-mlp.md goes through all
    parameters; those below `max_fun` are new and change nothing by default.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int
        Widths of the hidden layers; empty for none.
    activation : str, or one for each hidden layer
        "identity", "logistic", "tanh", "relu", and every other row of the library's table: "gelu", "silu", "mish", ...
    solver : str or rule
        "adam", "sgd", "lbfgs" as in scikit-learn; the name of any other optimiser ("adamw", "nadam", ...), or a rule
        with all its settings such as `AdamW(Cosine(1e-3), decay=0.01)`.
    alpha : float
        Strength of the L2 penalty, alpha / (2 n) |W|^2 for a batch of n rows; see `l2_scaling`.
    batch_size : int or "auto"
        "auto" is min(200, rows).
    learning_rate : "constant", "invscaling" or "adaptive"
        For solver "sgd" alone, as in scikit-learn; `schedule` is for every solver.
    learning_rate_init, power_t, max_iter, shuffle, random_state, tol, verbose, warm_start, momentum, nesterovs_momentum
        As in scikit-learn.
    early_stopping : bool
        Hold `validation_fraction` of the rows back, or use `eval_set` of `fit`, and stop when the score on them has not
        improved by tol for more than `n_iter_no_change` passes; the best weights are kept.
    validation_fraction, beta_1, beta_2, epsilon, n_iter_no_change, max_fun
        As in scikit-learn.
    loss : str, loss or (value, gradient)
        "log_loss"; "crossentropy:smoothing=0.1", "binarycrossentropy" (one class against the rest), "mse", "mae",
        "huber"; or a pair of functions of (probabilities, one-hot rows).
    class_weight : dict, "balanced" or None
        Weights of the classes, as in scikit-learn's linear models.
    dropout : float, or one for each hidden layer
        Share of a hidden layer's outputs that a step leaves out.
    schedule : str, schedule or None
        Of the rate, for every solver that takes steps: a row of the table ("cosine", "one_cycle", ...) with
        `learning_rate_init` as its base, "invscaling", "adaptive", or an object.
    l2_scaling : "batch" or "data"
        "data" divides alpha by the rows of all the data, not of the batch, so that the penalty does not depend on
        batch_size; it is then that of solver "lbfgs".
    scoring : str, callable or None
        What validation measures: any of scikit-learn's scorers, or "loss"; accuracy by default.
    restore_best_weights : "auto" or bool
        Whether the weights of the best pass are kept; "auto" does so with early stopping, as scikit-learn.
    callbacks : function or sequence of functions
        As `layerloop.train` calls them, with a `Progress`; one that returns `Stop` ends training. scikit-learn's own
        callbacks are set by `set_callbacks`.
    n_threads : int or None
        Threads of training; by default as many as the process has.

    Attributes
    ----------
    classes_, loss_, best_loss_, loss_curve_, validation_scores_, best_validation_score_, t_, coefs_, intercepts_
        As in scikit-learn.
    n_features_in_, feature_names_in_, n_iter_, n_layers_, n_outputs_, out_activation_
        As in scikit-learn.
    validation_loss_curve_ : list of float or None
        Loss on the validation data after each pass, without the penalty.
    best_iteration_ : int
        The pass whose weights are kept, where the best are.
    stopped_ : str
        Why training ended.
    learning_rate_ : float
        The rate of the next step.
    network_ : Chain
        The network, for all of the library that takes one.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = MLPClassifier((16,), max_iter=300, learning_rate_init=0.01, random_state=0, schedule="cosine").fit(X, y)
    >>> clf.predict(X[:2]), clf.score(X, y) > 0.95
    (array([0, 0]), True)
    """

    _kind = "mlp_classifier"
    classes_: NDArray[Any]
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseMLP._parameter_constraints,
        "class_weight": "no_validation",
    }

    def __init__(
        self,
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
        loss: Any = "log_loss",
        class_weight: Any = None,
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
        y : array-like of shape (n_samples,), or yes and no (n_samples, n_labels)
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
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> Any:
        """Go over these rows once, from the weights as they are.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`.
        classes : array-like of shape (n_classes,)
            All classes there will be; wanted at the first call. For several labels (n_samples, n_labels) it may be left
            out: they are those of the columns.

        Returns
        -------
        self
        """
        several = type_of_target(y).startswith("multilabel")
        if several and classes is None and not hasattr(self, "classes_"):
            classes = np.arange(np.shape(y)[1])
        if _check_partial_fit_first_call(self, classes):
            if several and len(self.classes_) != np.shape(y)[1]:
                raise ShapeError(f"y has {np.shape(y)[1]} columns of labels, classes {len(self.classes_)} entries")
            self._label_binarizer = binarizer_of(y if several else self.classes_)
        return self._fit(X, y, sample_weight, incremental=True)

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the most likely class of each row, or which labels are more likely than not.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_labels)
        """
        outputs = self._outputs(X)  # of a yes or no scikit-learn's binariser decides: yes above 1/2, as `decision`
        if outputs.shape[1] == 1:
            return np.asarray(self._label_binarizer.inverse_transform(outputs.ravel()))
        if kind_of(self._label_binarizer) == "multilabel":
            return np.asarray(self._label_binarizer.inverse_transform(outputs))
        return np.asarray(self.classes_[outputs.argmax(axis=1)])

    def predict_proba(self, X: Any) -> Floats:
        """Return the probability of each class, in the order of `classes_`, or of each label.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
        """
        outputs = self._outputs(X)
        if outputs.shape[1] == 1:
            return np.hstack([1 - outputs, outputs])
        if self.out_activation_ == "logistic" and kind_of(self._label_binarizer) == "multiclass":
            outputs /= np.maximum(outputs.sum(axis=1, keepdims=True), np.finfo(outputs.dtype).tiny)
        return outputs

    def predict_log_proba(self, X: Any) -> Floats:
        """Return the logarithm of `predict_proba`.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def _objective(self, Y: NDArray[Any]) -> Objective:
        kind = kind_of(self._label_binarizer)
        width = {"binary": 1, "multiclass": len(self.classes_)}.get(kind)
        return of_classes(self.loss, kind, Y.shape[1] if width is None else width)

    def _encoded(self, X: Any, y: Any, *, first: bool, incremental: bool) -> tuple[Any, Any, NDArray[Any]]:
        """Return rows, labels and targets; learn the classes, or hold the labels against those known."""
        X, y = rows_and_targets(self, X, y, reset=first, numeric=False)
        if not hasattr(self, "classes_") or not (self.warm_start or incremental):
            self._label_binarizer = binarizer_of(y)
            self.classes_ = self._label_binarizer.classes_
        elif self.warm_start:
            self._check_same_classes(y)
        else:
            refuse_unknown(y, self.classes_, kind_of(self._label_binarizer))
        return X, y, encoded(y, self._label_binarizer)

    def _check_same_classes(self, y: Any) -> None:
        classes = unique_labels(y)
        if set(classes) != set(self.classes_):
            raise LabelError(
                "warm_start can only be used where `y` has the same classes as in the previous call to fit. Previously "
                f"got {self.classes_}, `y` has {classes}"
            )

    def _encoded_like_before(self, X: Any, y: Any) -> tuple[Any, Any, NDArray[Any]]:
        X, y = rows_and_targets(self, X, y, reset=False, numeric=False)
        refuse_unknown(y, self.classes_, kind_of(self._label_binarizer))
        return X, y, encoded(y, self._label_binarizer)

    def _class_weighted(self, y: Any, weights: Any, *, incremental: bool) -> Any:
        if self.class_weight is None:
            return weights
        if incremental and self.class_weight == "balanced":
            raise SettingError(
                "partial_fit sees one part of the data and cannot balance classes by it: give class_weight as a dict, "
                "or pass sample_weight"
            )
        by_class = weights_by_class(self.class_weight, y, self.classes_, weights)
        return by_class if weights is None else by_class * weights

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
