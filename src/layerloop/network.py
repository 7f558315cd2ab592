"""What a network is asked for beside its outputs: loss and gradient, steps of an optimiser, and figures."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from layerloop import optim
from layerloop.arraylike import Samples, as_array
from layerloop.chain import Chain, Layer, activations, check_codes, params
from layerloop.data.weights import checked_weights, normalised
from layerloop.decision import likeliest
from layerloop.engine import Rows, kept
from layerloop.errors import LabelError, NetworkError, ShapeError, did_you_mean, expect
from layerloop.figures import figures_of
from layerloop.losses import LossSpec, spec_of
from layerloop.parameters import Parameters
from layerloop.plan import Plan
from layerloop.prediction import blocks
from layerloop.preprocessing import as_rows
from layerloop.settings import whole
from layerloop.targets import check_length, checked_targets
from layerloop.vocabulary import Loss, crossentropy

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from layerloop.plan import Pair

    Floats = NDArray[np.floating]

__all__ = [
    "AnyLoss",
    "Chain",
    "Layer",
    "Parameters",
    "accuracy",
    "activations",
    "check_codes",
    "class_indices",
    "evaluate",
    "layout",
    "make_plan",
    "make_rows",
    "params",
    "setup",
    "targets_for",
    "update",
    "use_average",
    "value_and_gradient",
    "weights_for",
]

AnyLoss: TypeAlias = "Loss | LossSpec | str | Pair"


def make_plan(m: Chain, loss: AnyLoss, seed: int = 0) -> Plan:
    """Return what an engine is to compute for this network and loss; `seed` draws the masks of `Dropout`.

    Raises
    ------
    NetworkError
        A loss that does not fit the head, or no layers to train.
    UnknownNameError
        An unknown loss.
    """
    expect(m, Chain, "the network")
    if isinstance(loss, tuple):
        if len(loss) != 2 or not all(map(callable, loss)):
            raise NetworkError("a custom loss is a pair of functions (value, gradient) of (outputs, y)")
        return Plan(m.architecture, loss, m.dtype, seed)
    return Plan(m.architecture, spec_of(loss), m.dtype, seed)


def targets_for(m: Chain, y: NDArray[np.generic], plan: Plan, rows: int) -> NDArray[np.generic]:
    """Return y as the engine takes it under this plan; class names become indices where the network has names."""
    if m.classes and y.dtype.kind in "UO":
        y = _named(y, m.classes)
    if plan.named is None:
        check_length(y, rows)
        return y
    kind, levels = plan.named.row.targets, plan.named.levels
    return checked_targets(y, m.architecture.n_out, m.dtype, kind=kind, rows=rows, levels=levels)


def _named(y: NDArray[np.generic], classes: tuple[str, ...]) -> NDArray[np.int64]:
    """Return the index of each class name."""
    places = {name: place for place, name in enumerate(classes)}
    try:
        return np.array([places[str(label)] for label in y.ravel()]).reshape(y.shape)
    except KeyError as error:
        wrong = error.args[0]
        raise LabelError(f"{wrong!r} is none of the network's classes.{did_you_mean(wrong, classes)}") from None


def make_rows(
    m: Chain, X: Samples, y: ArrayLike, plan: Plan, weights: ArrayLike | None = None, *, finite: bool = False
) -> Rows:
    """Return rows, targets and weights as the engine takes them, all checked, but for an X known to be `finite`."""
    samples, single = as_rows(X, m.architecture.n_in)
    targets = targets_for(m, _as_batch(y, single), plan, len(samples))
    rows, scale = m.ready(samples, finite=finite)
    return Rows(rows, targets, scale, weights_for(m, weights, plan, len(samples)))


def weights_for(m: Chain, weights: ArrayLike | None, plan: Plan, rows: int) -> Floats | None:
    """Return weights in the network's type, once it is sure that the loss takes them."""
    if weights is None:
        return None
    for function in plan.loss if isinstance(plan.loss, tuple) else ():
        try:
            inspect.signature(function).bind(None, None, None)
        except TypeError:
            raise NetworkError(
                "a loss of one's own takes the weights of the rows as a third argument: (value, gradient) of "
                "(outputs, y, weights), the mean being sum_i w_i l_i / n"
            ) from None
        except ValueError:
            continue  # a function of C has no signature to look at: it is called with three arguments
    return checked_weights(weights, rows).astype(m.dtype)


def _as_batch(y: ArrayLike, single: bool) -> NDArray[np.generic]:
    """Return targets of a batch: those of a single sample become a batch of one."""
    targets = as_array(y, "y")
    return targets[np.newaxis] if single and targets.ndim < 2 and targets.shape != (1,) else targets


def value_and_gradient(
    m: Chain,
    X: Samples,
    y: ArrayLike,
    loss: AnyLoss = crossentropy,
    *,
    weights: ArrayLike | None = None,
    step: int | None = None,
    seed: int = 0,
) -> tuple[float, Parameters]:
    """Return the mean loss of a batch and its gradient, named and laid out as `params(m)`.

    As it stands it belongs to prediction: `Dropout` drops nothing and `BatchNorm` uses its running statistics. In a
    training loop of one's own with such layers, pass the number of the step, `step=state.t`.

    Parameters
    ----------
    X, y : one sample (n_in,) and its target, or a batch (n, n_in) and its targets
    loss : loss, its name, or a pair (value, gradient)
    weights : (n,), optional
        Taken as they are: the mean loss is sum_i w_i l_i / n. (A `DataLoader` gives those of mean 1 over its data.)
    step : int, optional
        Number of a training step: `Dropout` drops, `BatchNorm` takes the batch's statistics and its running ones move.
    seed : int
        Draws the masks of `Dropout`, together with the step.

    Examples
    --------
    >>> from layerloop import Dense, softmax
    >>> m = Chain(Dense(3, 2), softmax)
    >>> value, gradient = value_and_gradient(m, np.eye(3), [0, 1, 1])
    >>> gradient["layer1.weight"].shape, gradient.w.shape
    ((3, 2), (8,))
    """
    plan = make_plan(m, loss, whole(seed, "seed", least=0))
    step = None if step is None else whole(step, "step", least=0)
    flat = np.empty_like(m.flat)
    value = m.engine.value_and_gradient(m.flat, make_rows(m, X, y, plan, weights), plan, flat, step)
    return value, Parameters(m.architecture, flat)


def setup(optimizer: optim.Rule, m: Chain) -> optim.State:
    """Return the optimiser's state for this network, before its first step.

    Raises
    ------
    SettingError
        When `optimizer` is no rule, or does not know how many steps there are.

    Examples
    --------
    >>> from layerloop import Dense
    >>> setup(optim.Adam(1e-3), Chain(Dense(3, 2))).t
    0
    """
    expect(m, Chain, "the network")
    return optim.init(optimizer, m.flat, layout(m))


def layout(m: Chain) -> tuple[tuple[str, int], ...]:
    """Return names and sizes of the parameters' parts, in their order in the flat vector.

    Examples
    --------
    >>> from layerloop import Dense
    >>> layout(Chain(Dense(3, 2)))
    (('layer1.weight', 6), ('layer1.bias', 2))
    """
    return tuple((name, part.size) for name, part in m.architecture.stretches)


def use_average(m: Chain, state: optim.State) -> Floats:
    """Give the network the average of its parameters that the optimiser has kept; return those that it had.

    The state is left alone. To go on training as if nothing had been, write the old ones back: `m.flat[...] = old`.

    Raises
    ------
    SettingError
        When the optimiser keeps no average, or nothing has been averaged yet.
    ShapeError
        When the state is that of another network.

    Examples
    --------
    >>> from layerloop import Dense, softmax
    >>> m = Chain(Dense(3, 2), softmax)
    >>> state = setup(optim.Adjusted(optim.Adam(0.1), ema=0.9), m)
    >>> for _ in range(5):
    ...     update(m, value_and_gradient(m, np.eye(3), [0, 1, 1])[1], state)
    >>> last = use_average(m, state)
    >>> bool(np.abs(m.flat).sum() < np.abs(last).sum())  # the average lags behind weights that grow
    True
    """
    expect(m, Chain, "the network")
    expect(state, optim.State, "the optimiser's state (of setup)")
    average, old = optim.average_of(state), m.flat.copy()
    if average.shape != m.flat.shape:
        raise ShapeError(f"the network has {m.flat.size} parameters, the average {average.size}")
    m.flat[...] = average
    return old


def update(m: Chain, gradient: Parameters, state: optim.State) -> None:
    """Take one step of the optimiser: the network's parameters and the state change in place.

    Examples
    --------
    The training loop, written out:

    >>> from layerloop import Dense, softmax
    >>> m = Chain(Dense(3, 2), softmax)
    >>> state = setup(optim.Adam(0.1), m)
    >>> for _ in range(50):
    ...     value, gradient = value_and_gradient(m, np.eye(3), [0, 1, 1])
    ...     update(m, gradient, state)
    >>> bool(value < 0.1)
    True
    """
    expect(m, Chain, "the network")
    expect(gradient, Parameters, "the gradient")
    expect(state, optim.State, "the optimiser's state (of setup)")
    if gradient.flat.shape != m.flat.shape:
        raise ShapeError(f"the network has {m.flat.size} parameters, the gradient {gradient.flat.size}")
    with kept(m.flat, m.architecture.untrained):
        state.rule.step(m.flat, gradient.flat, state)


def class_indices(m: Chain, y: ArrayLike, rows: int) -> NDArray[np.int64]:
    """Return labels as class indices; they may be indices, names of the network's classes, or one-hot rows.

    Raises
    ------
    LabelError
        When they are no classes of this network.
    """
    labels = as_array(y, "y")
    if m.classes and labels.dtype.kind in "UO":
        labels = _named(labels, m.classes)
    width = max(m.architecture.n_out, len(m.classes))  # a single yes or no has two classes
    targets = checked_targets(labels, width, m.dtype, kind="classes", rows=rows)
    return (targets.argmax(axis=1) if targets.ndim == 2 else targets).astype(np.int64)


def accuracy(m: Chain, X: Samples, y: ArrayLike) -> float:
    """Return the share of rows whose largest output is that of their class; y as indices, names or one-hot rows.

    Raises
    ------
    LabelError
        When y holds no classes of this network.

    Examples
    --------
    >>> from layerloop import Dense, softmax
    >>> m = Chain(Dense(2, 2), softmax)
    >>> params(m)["layer1.weight"][...] = np.eye(2)
    >>> accuracy(m, np.eye(2), [0, 1]), accuracy(m, np.eye(2), [0, 0])
    (1.0, 0.5)
    """
    expect(m, Chain, "the network")
    rows, single = as_rows(X, m.architecture.n_in)
    labels = class_indices(m, _as_batch(y, single), len(rows))
    return float(np.mean(likeliest(m(rows)) == labels))


def evaluate(
    m: Chain, X: Samples, y: ArrayLike, loss: AnyLoss = crossentropy, *, weights: ArrayLike | None = None
) -> dict[str, float]:
    """Return the figures of a network on some data, of any number of rows: they are taken in blocks.

    `loss` is the mean loss per sample; beside it stands `accuracy` where the loss is a cross-entropy, and `r2`
    (1 - sum (y - yhat)^2 / sum (y - mean y)^2, NaN for constant y; of several values a row the mean over those that
    are not constant) where it is mse, mae or huber. For a binary cross-entropy accuracy is the share of entries on the
    right side of 1/2, which is itself a no. With weights (n,) every mean is a weighted one.

    Examples
    --------
    >>> from layerloop import Dense, softmax
    >>> m = Chain(Dense(2, 2), softmax)
    >>> sorted(evaluate(m, np.eye(2), [0, 1]))
    ['accuracy', 'loss']
    """
    plan = make_plan(m, loss)
    samples, single = as_rows(X, m.architecture.n_in)
    targets = targets_for(m, _as_batch(y, single), plan, len(samples))
    w = None if weights is None else normalised(weights, len(samples))
    own = weights_for(m, w, plan, len(samples))
    outputs = np.empty((len(samples), m.architecture.n_out), m.dtype)
    total = 0.0
    for part in blocks(len(samples)):
        X_part, scale = m.ready(samples[part])
        rows = Rows(X_part, targets[part], scale, None if own is None else own[part])
        outputs[part], mean = m.engine.outputs_and_loss(m.flat, rows, plan)
        total += mean * len(X_part)
    return {"loss": total / len(samples), **figures_of(plan.named, outputs, targets, w)}
