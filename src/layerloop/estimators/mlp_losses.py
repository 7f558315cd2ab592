"""What the estimators minimise: scikit-learn's losses by their names, every loss of the table, losses of one's own.

Letters: K outputs, L the engine's mean loss of a batch, G its gradient in the scores. scikit-learn's losses are those
of the table up to factors, and its gradients up to another one, since it leaves out a factor that its value has:

    loss            of the table          value            gradient
    log_loss        crossentropy          L                G
    log_loss, K labels, each yes or no    K L              K G
    squared_error   mse                   L / 2            (K / 2) G, that of half the sum over the outputs
    poisson         poisson               K L + c(y)       K G, c(y) the mean of sum_k y_k log y_k - y_k
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from layerloop.errors import LabelError, NetworkError, SettingError
from layerloop.layers import ACTIVATIONS, known_name
from layerloop.losses import LossSpec, spec_of
from layerloop.targets import checked_targets

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from layerloop.plan import Pair

    Floats = NDArray[np.floating]

# scikit-learn's name for a head or an activation, and ours.
HEAD_OF = {"softmax": "softmax", "logistic": "sigmoid", "exp": "exp"}
OF_CLASSES = ("crossentropy", "binarycrossentropy", "mse", "mae", "huber")
OF_VALUES = ("mse", "mae", "huber", "quantile", "poisson", "binarycrossentropy")


@dataclass(frozen=True)
class Objective:
    """A loss, the outputs that it is of, and what becomes of its numbers.

    Attributes
    ----------
    out : str
        The estimator's `out_activation_`.
    loss : LossSpec or pair of functions
        As the engine takes it.
    width : int
        Outputs K.
    head : str
        That of the network that is trained. For two classes it is the modified softmax, whose first class has the
        probability sigma(z): the same numbers as a sigmoid's, in the form that the compiled engine has.
    unit : float
        The engine's gradient is this times the estimator's.
    factor : float
        The estimator's value is this times the engine's.
    constant : bool
        Whether scikit-learn's constant of a Poisson loss is added.
    """

    out: str
    loss: LossSpec | Pair
    width: int
    head: str
    unit: float = 1.0
    factor: float = 1.0
    constant: bool = False

    @property
    def of_indices(self) -> bool:
        """Whether targets are class indices."""
        return isinstance(self.loss, LossSpec) and self.loss.name == "crossentropy"

    def targets(self, Y: NDArray[Any], dtype: str) -> NDArray[Any]:
        """Return targets as the engine takes them.

        Y holds class indices (n,), yes or no (n, 1) or (n, K), or values (n, K).

        Raises
        ------
        LabelError, InputError
            Values outside the range of the loss, or too large for the float type.
        """
        if self.of_indices:
            return Y if Y.ndim == 1 else (~Y[:, 0].astype(bool)).astype(np.int64)
        rows = np.eye(self.width, dtype=dtype)[Y] if Y.ndim == 1 else Y
        if not isinstance(self.loss, LossSpec):
            return np.ascontiguousarray(rows, dtype)
        refuse_outside(rows, self.loss.row.targets)
        if rows.shape[1] == 1 and self.loss.levels > 1:
            rows = np.repeat(rows, self.width, axis=1)
        return checked_targets(rows, self.width, dtype, kind=self.loss.row.targets, rows=len(rows))

    def constants(self, Y: NDArray[Any]) -> NDArray[np.float64] | None:
        """Return what is added to the loss of each row, or None."""
        if not self.constant:
            return None
        from scipy.special import xlogy

        return np.asarray((xlogy(Y, Y) - Y).sum(axis=1), np.float64)

    def public(self, outputs: Floats) -> Floats:
        """Return outputs of the network that is trained as those of the estimator."""
        return outputs[:, :1] if self.head == "modified_softmax" else outputs


def refuse_outside(Y: NDArray[Any], kind: str) -> None:
    """Raise LabelError with the row of the first target that a loss cannot have."""
    allowed = {"counts": ("from 0 on", 0.0, np.inf), "shares": ("in [0, 1]", 0.0, 1.0)}.get(kind)
    if allowed is None:
        return
    text, low, high = allowed
    wrong = np.argwhere(~((low <= Y) & (high >= Y)))
    if len(wrong):
        row, column = wrong[0]
        raise LabelError(f"this loss wants targets {text}; y holds {Y[row, column]:g} in row {row}, column {column}")


def of_classes(loss: object, kind: str, width: int) -> Objective:
    """Return the objective of a classifier.

    Parameters
    ----------
    loss : str, loss or pair
    kind : "binary", "multiclass" or "multilabel"
    width : int
        Outputs: 1 for "binary".

    Examples
    --------
    >>> of_classes("log_loss", "multilabel", 4)
    Objective(out='logistic', loss=binarycrossentropy, width=4, head='sigmoid', unit=0.25, factor=4.0, constant=False)
    """
    out = "softmax" if kind == "multiclass" else "logistic"
    if is_pair(loss):
        return Objective(out, loss, width, HEAD_OF[out])  # type: ignore[arg-type]
    if loss == "log_loss":
        if kind == "multilabel":
            return Objective(out, spec_of("binarycrossentropy"), width, "sigmoid", 1 / width, float(width))
        loss = "crossentropy"
    spec = _of(loss, OF_CLASSES, "classes")
    if spec.name == "crossentropy":
        if kind == "multilabel":
            raise NetworkError(f"{spec} wants one class a row; for several labels use binarycrossentropy or log_loss")
        return Objective(out, spec, width, "softmax" if kind == "multiclass" else "modified_softmax")
    out = "logistic" if spec.name == "binarycrossentropy" else out
    return Objective(out, spec, width, HEAD_OF[out])


def of_values(loss: object, width: int, out: object = None) -> Objective:
    """Return the objective of a regressor with so many targets; `out` is the last layer's activation where one is set.

    Examples
    --------
    >>> of_values("squared_error", 1).unit, of_values("quantile:levels=0.1,0.9", 1).width
    (2.0, 2)
    """
    if is_pair(loss):
        name, head = _head(out, "identity")
        return Objective(name, loss, width, head)  # type: ignore[arg-type]
    if loss in ("squared_error", "poisson"):
        squared = loss == "squared_error"
        name, head = _head(out, "identity" if squared else "exp")
        spec = spec_of("mse" if squared else "poisson")
        unit, factor = (2 / width, 0.5) if squared else (1 / width, float(width))
        return Objective(name, spec, width, head, unit, factor, constant=not squared)
    spec = _of(loss, OF_VALUES, "values")
    if spec.levels > 1 and width > 1:
        raise NetworkError(f"{spec} gives {spec.levels} outputs for one target; y has {width} columns")
    name, head = _head(out, {"poisson": "exp", "binarycrossentropy": "logistic"}.get(spec.name, "identity"))
    return Objective(name, spec, max(width, spec.levels), head)


def _head(out: object, usual: str) -> tuple[str, str]:
    """Return `out_activation_` and the head: an activation of the last layer has the identity behind it."""
    name = usual if out is None else "logistic" if out == "sigmoid" else str(getattr(out, "name", out))
    if name in ("exp", "logistic"):
        return name, HEAD_OF[name]
    return known_name(name, ACTIVATIONS, "out_activation"), "identity"


def _of(loss: object, allowed: tuple[str, ...], what: str) -> LossSpec:
    spec = spec_of(loss)
    if spec.name not in allowed:
        raise SettingError(f"{spec} is no loss of {what} here: {', '.join(allowed)}, or a pair (value, gradient)")
    return spec


def is_pair(loss: object) -> bool:
    """Whether a loss is one of one's own: (value, gradient), each a function of (outputs, y)."""
    return isinstance(loss, tuple) and len(loss) == 2 and all(map(callable, loss))
