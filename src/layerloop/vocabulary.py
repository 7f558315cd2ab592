"""The words of the notes' program as objects: activations, heads, losses, and labels to and from one-hot rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from layerloop.engine.activations import ACTIVATIONS
from layerloop.engine.heads import HEADS
from layerloop.engine.losses import FUSED, LOSSES
from layerloop.errors import InputError, LabelError, ShapeError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.floating]


def _floats(x: ArrayLike) -> Floats:
    """Return a new float array: float32 stays, everything else becomes float64."""
    values = np.asarray(x)
    if values.dtype.kind not in "fiub":
        raise InputError(f"expected real numbers, got dtype {values.dtype}")
    return np.array(values, dtype=np.float32 if values.dtype == np.float32 else np.float64, ndmin=1)


@dataclass(frozen=True)
class Activation:
    """A componentwise function for `Dense`, callable on numbers and arrays.

    Examples
    --------
    >>> sigmoid(0.0), sigmoid.derivative(0.0)
    (0.5, 0.25)
    """

    name: str

    def __call__(self, t: ArrayLike) -> Floats | float:
        """Return f(t), of the shape of t."""
        values = _floats(t)
        z = np.empty_like(values)
        with np.errstate(all="ignore"):
            ACTIVATIONS[self.name].f(values, z, np.empty_like(values))
        return _like(z, t)

    def derivative(self, t: ArrayLike) -> Floats | float:
        """Return f'(t), of the shape of t; at a kink the left derivative."""
        values = _floats(t)
        z, s, r = (np.empty_like(values) for _ in range(3))
        row = ACTIVATIONS[self.name]
        with np.errstate(all="ignore"):
            row.f(values, z, s)
            row.df(values, z, s, r)
        return _like(s, t)

    def __repr__(self) -> str:
        return self.name


def _like(values: Floats, x: ArrayLike) -> Floats | float:
    """Give back a number where a number came in."""
    return values if np.ndim(x) else float(values[0])


@dataclass(frozen=True)
class Head:
    """A last layer without parameters, callable on the scores of one sample (k,) or of a batch (n, k).

    Examples
    --------
    >>> modified_softmax([0.0])
    array([0.5, 0.5])
    """

    name: str

    def __call__(self, scores: ArrayLike) -> Floats:
        """Return the outputs: (K,) or (n, K).

        Raises
        ------
        ShapeError
            For anything but one or two dimensions.
        """
        S, single = _batch(scores)
        row = HEADS[self.name]
        P = np.empty((len(S), S.shape[1] + row.extra), S.dtype)
        with np.errstate(all="ignore"):
            row.forward(S, P, np.empty(len(S), S.dtype))
        return P[0] if single else P

    def __repr__(self) -> str:
        return self.name


def _batch(x: ArrayLike) -> tuple[Floats, bool]:
    values = _floats(x)
    single = np.ndim(x) < 2
    rows = values[np.newaxis] if single else values
    if rows.ndim != 2 or 0 in rows.shape:
        raise ShapeError(f"expected (K,) or (n, K) with at least one of each, got shape {np.shape(x)}")
    return rows, single


@dataclass(frozen=True)
class Loss:
    """A loss by name: for `train`, and callable on outputs and targets.

    Examples
    --------
    >>> round(crossentropy([0.25, 0.75], [0, 1]), 4)
    0.2877
    """

    name: str

    def __call__(self, outputs: ArrayLike, y: ArrayLike) -> float:
        """Return the mean loss per sample of outputs (K,) or (n, K).

        y holds class indices, or rows of the shape of the outputs; `logitcrossentropy` takes scores as outputs.
        """
        P, single = _batch(outputs)
        targets = np.asarray(y)[np.newaxis] if single else np.asarray(y)
        targets = checked_targets(targets, P.shape[1], P.dtype.name, classes=self.name != "mse", rows=len(P))
        Q = np.empty_like(P)
        with np.errstate(all="ignore"):
            if self.name in LOSSES:
                return LOSSES[self.name](P, targets, Q)
            return FUSED["softmax_crossentropy"](P, targets, np.empty_like(P), Q, np.empty(len(P), P.dtype))

    def __repr__(self) -> str:
        return self.name


def check_length(y: NDArray[np.generic], rows: int) -> None:
    """Raise ShapeError unless y has one target per row, of which there must be one: no rows have no mean loss."""
    if rows < 1:
        raise ShapeError("X has no rows; at least one is needed")
    if y.ndim == 0 or len(y) != rows:
        raise ShapeError(f"{rows:,} rows of X want as many targets, got y of shape {y.shape}")


def checked_targets(y: NDArray[np.generic], width: int, dtype: str, *, classes: bool, rows: int) -> NDArray[np.generic]:
    """Return targets as an engine takes them: int64 class indices (n,), or float rows (n, width).

    Parameters
    ----------
    y : ndarray
        Indices (n,), one-hot or probability rows (n, width), or values: (n,) where width is 1.
    width : int
        Number of outputs.
    dtype : str
        Float type of the rows.
    classes : bool
        Whether the loss is a cross-entropy: indices are allowed, and rows must be distributions.
    rows : int
        How many rows there must be.

    Raises
    ------
    ShapeError
        A wrong length or width.
    LabelError
        Indices outside 0 .. width - 1 or not whole, rows that do not sum to 1.
    InputError
        NaN, infinity, or not numbers.
    """
    check_length(y, rows)
    if y.dtype.kind not in "fiub":
        raise LabelError(
            f"y must hold numbers, got dtype {y.dtype}: "
            "turn names into class indices (np.unique(y, return_inverse=True))"
        )
    if classes and y.shape == (rows, 1) and width > 1:
        y = y[:, 0]  # a column of a table
    if classes and y.ndim == 1:
        return _indices(y, width)
    if y.ndim == 1 and width == 1:
        y = y[:, np.newaxis]
    if y.shape != (rows, width):
        hint = "; onehotbatch(y, labels) turns class indices into rows" if y.ndim == 1 else ""
        raise ShapeError(f"the network gives {width} outputs, so y must be ({rows}, {width}), got {y.shape}{hint}")
    with np.errstate(over="ignore"):  # too large a number becomes infinity, which is refused
        targets = y.astype(dtype)
    if not np.isfinite(targets).all():
        raise InputError(f"y holds NaN, infinity or a number too large for {dtype}: remove or fill such rows first")
    return _distributions(targets) if classes else targets


def _indices(y: NDArray[np.generic], width: int) -> NDArray[np.int64]:
    if y.dtype.kind == "f" and not np.array_equal(y, np.floor(y)):
        found = "NaN" if np.isnan(y).any() else f"{y[y != np.floor(y)][0]:g}"
        raise LabelError(f"y must hold whole class indices for a cross-entropy, got {found}; for values use loss=mse")
    low, high = y.min(), y.max()
    if low < 0 or high >= width:
        wrong = low if low < 0 else high
        raise LabelError(f"y holds class {wrong}, but the network has {width} outputs: classes 0 to {width - 1}")
    return y.astype(np.int64)


def _distributions(targets: NDArray[np.floating]) -> NDArray[np.generic]:
    """Check rows of probabilities; rows that are exactly one-hot become indices, the cheap form of the same fact."""
    if (targets < 0).any() or not np.allclose(targets.sum(axis=1), 1, atol=1e-4):
        raise LabelError("for a cross-entropy every row of y must be a distribution: entries >= 0 that sum to 1")
    return targets.argmax(axis=1) if np.isin(targets, (0, 1)).all() else targets


def onehot(label: object, labels: Sequence[object]) -> NDArray[np.float32]:
    """Return the row with a 1 at the place of `label` among `labels`.

    Raises
    ------
    LabelError
        When it is none of them.

    Examples
    --------
    >>> onehot("b", ["a", "b", "c"])
    array([0., 1., 0.], dtype=float32)
    """
    row: NDArray[np.float32] = onehotbatch([label], labels)[0]
    return row


def _listed(values: Any) -> list[Any]:
    """Return labels as Python values; a list keeps numbers and text apart, which an array would not."""
    return values.tolist() if isinstance(values, np.ndarray) else list(values)


def onehotbatch(ys: Any, labels: Sequence[object]) -> NDArray[np.float32]:
    """Return rows (n, K) with a 1 in the place of each label among the K labels.

    Raises
    ------
    LabelError
        When a label is none of them, or `labels` repeats one.

    Examples
    --------
    >>> onehotbatch([2, 0], range(3))
    array([[0., 0., 1.],
           [1., 0., 0.]], dtype=float32)
    """
    if not isinstance(labels, Sequence | np.ndarray):
        raise LabelError(f"labels must be the sequence of all labels, such as range(10); got {labels!r}")
    places = {label: place for place, label in enumerate(_listed(labels))}
    if len(places) != len(labels):
        raise LabelError("labels must differ from one another")
    if np.ndim(ys) == 0 or isinstance(ys, str):
        raise LabelError(f"onehotbatch takes many labels; for one, such as {ys!r}, there is onehot")
    index = []
    for label in _listed(ys):
        if isinstance(label, list) or label not in places:
            raise LabelError(f"label {label!r} is none of {list(places)}")
        index.append(places[label])
    rows = np.zeros((len(index), len(places)), np.float32)
    rows[np.arange(len(index)), index] = 1
    return rows


def onecold(p: ArrayLike, labels: Sequence[object] | None = None) -> object:
    """Return the label of the largest entry: of one vector (K,), or of each row (n, K); the first one of equals.

    Without `labels`, the class index.

    Raises
    ------
    ShapeError
        When there are not as many labels as entries.

    Examples
    --------
    >>> onecold([0.1, 0.9], ["cat", "dog"]), onecold([[0.1, 0.9], [0.8, 0.2]])
    ('dog', array([1, 0]))
    """
    rows, single = _batch(p)
    index = rows.argmax(axis=1)
    if labels is None:
        return int(index[0]) if single else index
    if len(labels) != rows.shape[1]:
        raise ShapeError(f"{rows.shape[1]} entries want as many labels, got {len(labels)}")
    if single:
        return labels[int(index[0])]
    kinds = {type(label) for label in labels}
    if len(kinds) == 1 and kinds <= {int, str, float}:
        return np.asarray(labels)[index]
    mixed = np.empty(len(labels), dtype=object)
    mixed[:] = labels
    return mixed[index]


identity, sigmoid, tanh, relu, leaky_relu, elu = map(
    Activation, ("identity", "sigmoid", "tanh", "relu", "leaky_relu", "elu")
)
selu, gelu, silu, mish, softplus, hard_sigmoid = map(
    Activation, ("selu", "gelu", "silu", "mish", "softplus", "hard_sigmoid")
)
softmax, modified_softmax = map(Head, ("softmax", "modified_softmax"))
crossentropy, logitcrossentropy, mse = map(Loss, ("crossentropy", "logitcrossentropy", "mse"))
