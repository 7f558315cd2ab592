"""The words of the notes' program as objects: activations, heads, losses, and labels to and from one-hot rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from layerloop.data.weights import checked_weights
from layerloop.engine.activations import ACTIVATIONS
from layerloop.engine.heads import HEADS
from layerloop.engine.losses import FUSED, LOSSES, Term
from layerloop.errors import InputError, LabelError, ShapeError
from layerloop.losses import LossSpec
from layerloop.plan import FUSED as PLANNED
from layerloop.plan import check_columns
from layerloop.targets import checked_targets

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


@dataclass(frozen=True, repr=False)
class Loss:
    """A loss of the table with its settings: for `train`, and callable on outputs and targets.

    Examples
    --------
    >>> round(crossentropy([0.25, 0.75], [0, 1]), 4)
    0.2877
    >>> huber.with_(delta=0.5), huber.with_(delta=0.5)([3.0], [0.0])
    (huber:delta=0.5, 1.375)
    """

    spec: LossSpec

    @property
    def name(self) -> str:
        """The row of the table."""
        return self.spec.name

    def with_(self, **settings: object) -> Loss:
        """Return the same loss with other settings: crossentropy's smoothing, huber's delta, quantile's levels.

        Raises
        ------
        UnknownNameError
            A setting that this loss does not have.
        SettingError
            A value outside its range.

        Examples
        --------
        >>> quantile.with_(levels=(0.1, 0.5, 0.9))
        quantile:levels=0.1,0.5,0.9
        """
        return Loss(self.spec.with_(**settings))

    def __call__(self, outputs: ArrayLike, y: ArrayLike, weights: ArrayLike | None = None) -> float:
        """Return the mean loss per sample of outputs (K,) or (n, K), with weights (n,) sum_i w_i l_i / n.

        y holds class indices, or rows of the shape of the outputs; where the name begins with `logit` these are scores.
        """
        P, single = _batch(outputs)
        n, K = P.shape
        targets = np.asarray(y)[np.newaxis] if single else np.asarray(y)
        targets = checked_targets(targets, K, P.dtype.name, kind=self.spec.row.targets, rows=n, levels=self.spec.levels)
        own = None if weights is None else checked_weights(weights, n).astype(P.dtype)
        check_columns(self.spec, K)
        term = Term(np.asarray(self.spec.columns(K), P.dtype), self.spec.smoothing, own)
        Q = np.empty_like(P)
        with np.errstate(all="ignore"):
            if self.name in LOSSES:
                return LOSSES[self.name](P, targets, Q, term)
            form = PLANNED["identity", self.name]
            return FUSED[form](P, targets, np.empty_like(P), Q, np.empty(n, P.dtype), term)

    def __repr__(self) -> str:
        return str(self.spec)


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
exp = Head("exp")
crossentropy, logitcrossentropy, binarycrossentropy, logitbinarycrossentropy = (
    Loss(LossSpec(name))
    for name in ("crossentropy", "logitcrossentropy", "binarycrossentropy", "logitbinarycrossentropy")
)
mse, mae, huber, quantile, poisson = (Loss(LossSpec(name)) for name in ("mse", "mae", "huber", "quantile", "poisson"))
