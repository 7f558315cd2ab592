"""Chain: layers, one flat parameter vector, and named views into it."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias, overload

import numpy as np

from layerloop import describe, optim
from layerloop.arraylike import Samples, as_array
from layerloop.csr import Csr
from layerloop.data.weights import checked_weights, normalised
from layerloop.decision import likeliest
from layerloop.engine import Rows, kept, make_engine
from layerloop.errors import InputError, LabelError, NetworkError, ShapeError, did_you_mean, expect
from layerloop.figures import figures_of
from layerloop.initialise import initial
from layerloop.layers import ACTIVATIONS, Dense, Kind, known_name, width_into
from layerloop.layers import Layer as AnyLayer
from layerloop.losses import LossSpec, spec_of
from layerloop.plan import HEADS, Architecture, Plan
from layerloop.prediction import blocks, predict
from layerloop.preprocessing import Inputs, as_rows
from layerloop.settings import float_name, whole
from layerloop.targets import check_length, checked_targets
from layerloop.vocabulary import Activation, Head, Loss, crossentropy

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from numpy.typing import ArrayLike, NDArray

    from layerloop.engine import Engine
    from layerloop.plan import Pair

    Floats = NDArray[np.floating]

AnyLoss: TypeAlias = "Loss | LossSpec | str | Pair"


class Parameters(Mapping[str, "Floats"]):
    """One flat vector and its parts by name: `layer1.weight` (n_in, n_out), `layer1.bias` (n_out,), ...

    The parts are views: writing into one writes into the vector. Gradients come in the same form.

    Examples
    --------
    >>> ps = params(Chain(Dense(3, 2)))
    >>> list(ps), ps["layer1.weight"].shape, ps.flat.shape
    (['layer1.weight', 'layer1.bias'], (3, 2), (8,))
    """

    def __init__(self, architecture: Architecture, flat: Floats) -> None:
        self.architecture = architecture
        self.flat = flat
        self._parts = architecture.views(flat)

    def __getitem__(self, name: str) -> Floats:
        if name not in self._parts:
            raise KeyError(f"no parameter {name!r}.{did_you_mean(name, self._parts)}")
        return self._parts[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)

    def W(self, i: int) -> Floats:
        """Return the notes' W_i, (n_out, n_in + 1) with the bias as last column, i = 1..L: a view.

        Behind `Members`, where each has weights of its own, (members, n_out, n_in + 1).
        """
        depth = len(self.architecture.layers)
        if not 1 <= i <= depth:
            raise IndexError(f"layers are counted from 1 to {depth} here, as in the notes; got {i}")
        layer = self.architecture.layers[i - 1]
        if not isinstance(layer, Dense):
            raise NetworkError(f"layer {i}, {layer}, is no Dense and has no W: its parameters are named in params(m)")
        W = layer.blocks(self.flat[self.architecture.place(i - 1, i)]).transpose(0, 2, 1)
        return W[0] if layer.members == 1 else W

    @property
    def w(self) -> Floats:
        """The notes' w = (w_1; ...; w_L), the rows of each W_i one after another: a copy in that order."""
        return self.architecture.to_notes(self.flat)

    def __reduce__(self) -> tuple[object, ...]:
        return Parameters, (self.architecture, self.flat)  # a copy has views of its own vector

    def __repr__(self) -> str:
        parts = "".join(f"\n  {name} {part.shape}" for name, part in self.items())
        return f"Parameters({describe.count(self.flat.size)} {self.flat.dtype}){parts}"


class Layer:
    """One layer of a chain with its numbers: callable, its parameters as attributes (`weight`, `bias`), `W`."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain
        self.spec = chain.architecture.layers[0]

    def __getattr__(self, name: str) -> Floats:
        """Return a parameter by its name, such as `weight`: a view."""
        if name.startswith("_"):
            raise AttributeError(name)
        found = {part.removeprefix("layer1."): view for part, view in params(self._chain).items()}
        if name not in found:
            raise AttributeError(f"{self.spec} has no parameter {name!r}.{did_you_mean(name, found)}")
        return found[name]

    @property
    def W(self) -> Floats:
        """The notes' W of a dense layer, (n_out, n_in + 1) with the bias as last column: a view."""
        return params(self._chain).W(1)

    def __call__(self, x: Samples) -> Floats:
        """Return g(w; z) for one sample or a batch."""
        return self._chain(x)

    def __repr__(self) -> str:
        return repr(self.spec)


class Chain:
    """A feedforward network: h_x(w) = g_{L+1}(g_L(w_L; ... g_1(w_1; x))), section 7.1.

    Parameters
    ----------
    *layers : Dense or another kind of layer, then at most one of softmax, modified_softmax, sigmoid and exp
        From input to output.
    seed : int or Generator
        Draws the weights: Glorot-uniform, biases zero. The same seed gives the same weights.
    dtype : "float32" or "float64"
        Type of parameters and arithmetic.
    inputs : Inputs
        What is done to rows before the first layer; part of the network and of its file.
    classes : sequence of str
        Names of the classes in the order of the outputs.

    Attributes
    ----------
    flat : ndarray
        All parameters as one vector; `params(m)` names its parts.
    record : dict
        Plain facts about the training that are kept in the model file.

    Raises
    ------
    NetworkError
        Widths that do not chain, a head that is not last, a number of classes that is not that of the outputs.

    Examples
    --------
    >>> m = Chain(Dense(784, 32, "sigmoid"), Dense(32, 10), Head("softmax"))
    >>> m
    Chain(Dense(784, 32, sigmoid), Dense(32, 10), softmax)  # 25,450 parameters
    >>> m(np.zeros(784)).shape, m(np.zeros((5, 784))).shape
    ((10,), (5, 10))
    """

    def __init__(
        self,
        *layers: AnyLayer | Head | Activation | str,
        seed: int | np.random.Generator = 0,
        dtype: object = "float32",
        inputs: Inputs | None = None,
        classes: Sequence[str] = (),
    ) -> None:
        self._settle(_architecture(layers), float_name(dtype), inputs or Inputs(), tuple(map(str, classes)))
        rng = seed if isinstance(seed, np.random.Generator) else np.random.default_rng(whole(seed, "seed", least=0))
        self.flat[...] = initial(self.architecture, rng)

    def _settle(
        self,
        architecture: Architecture,
        dtype: str,
        inputs: Inputs,
        classes: tuple[str, ...],
        flat: Floats | None = None,
    ) -> None:
        _check_inputs(architecture, inputs)
        _check_classes(architecture, classes)
        self.architecture = architecture
        self.dtype = dtype
        self.inputs = inputs
        self.classes = classes
        self.record: dict[str, object] = {}
        self.flat: Floats = np.zeros(architecture.size, dtype) if flat is None else flat
        self._engine: Engine | None = None

    @classmethod
    def from_parts(
        cls,
        architecture: Architecture,
        flat: Floats,
        *,
        inputs: Inputs | None = None,
        classes: Sequence[str] = (),
    ) -> Self:
        """Return the network of this architecture on this parameter vector, which it uses without copying.

        Raises
        ------
        ShapeError
            When the vector is not as long as the architecture has parameters, or has gaps: then its layers would be
            copies, not views.
        """
        if flat.shape != (architecture.size,) or not flat.flags.c_contiguous:
            gaps = "" if flat.flags.c_contiguous else " with gaps; np.ascontiguousarray closes them"
            raise ShapeError(f"the architecture has {architecture.size} parameters, the vector {flat.shape}{gaps}")
        chain = cls.__new__(cls)
        chain._settle(architecture, float_name(flat.dtype), inputs or Inputs(), tuple(map(str, classes)), flat)
        return chain

    @property
    def engine(self) -> Engine:
        """The engine that runs this network, made at first use."""
        if self._engine is None:
            self._engine = make_engine(self.architecture, self.dtype)
        return self._engine

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_engine": None}  # buffers are remade, not copied

    def __call__(self, x: Samples) -> Floats:
        """Return the outputs for one sample (n_in,) or a batch (n, n_in), which may be a sparse matrix.

        Raw bytes are scaled by `inputs.scale`.

        Raises
        ------
        ShapeError
            A wrong width.
        InputError
            NaN, infinity, or raw bytes for a network without a scale.
        """
        rows, single = as_rows(x, self.architecture.n_in)
        result = np.empty((len(rows), self.architecture.n_out), self.dtype)
        predict(self.engine, self.flat, self.inputs, rows, result, self.ready if self.architecture.codes else None)
        return result[0] if single else result

    def ready(self, X: NDArray[np.generic] | Csr) -> tuple[NDArray[Any] | Csr, float | None]:
        """Return (rows, scale) as the engine takes them, checked.

        Raises
        ------
        InputError, NonFiniteInputError
            What is not real and finite, raw bytes without a scale, a column of an `Embedding` that holds no codes.
        """
        rows, scale = self.inputs.ready(X, self.dtype)
        check_codes(self, rows, scale)
        return rows, scale

    @property
    def layers(self) -> tuple[AnyLayer | Head, ...]:
        """The layers as plain settings, the head last where there is one."""
        head = self.architecture.head
        return self.architecture.layers if head == "identity" else (*self.architecture.layers, Head(head))

    def __len__(self) -> int:
        return len(self.layers)

    @overload
    def __getitem__(self, index: int) -> Layer | Head: ...
    @overload
    def __getitem__(self, index: slice) -> Chain: ...
    def __getitem__(self, index: int | slice) -> Layer | Head | Chain:
        """Return one layer, or the chain of some: `m[0:2]` shares its numbers with m.

        Only a part that starts at layer 0 keeps `inputs`, and only one that ends where m ends keeps `classes`.
        """
        if isinstance(index, slice):
            return self._cut(index)
        if not -len(self) <= index < len(self):
            raise IndexError(f"the chain has {len(self)} layers, 0 to {len(self) - 1}; there is no layer {index}")
        place = index % len(self)
        if place == len(self.architecture.layers):
            return Head(self.architecture.head)
        return Layer(self._cut(slice(place, place + 1)))

    def _cut(self, index: slice) -> Chain:
        start, stop, _ = index.indices(len(self))
        architecture = self.architecture.cut(index)
        flat = self.flat[self.architecture.place(start, stop)]
        inputs = self.inputs if start == 0 else None
        classes = self.classes if stop == len(self) else ()
        return Chain.from_parts(architecture, flat, inputs=inputs, classes=classes)

    def __iter__(self) -> Iterator[Layer | Head]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        layers = ", ".join(map(repr, self.layers)) or "identity"
        note = "" if self.dtype == "float32" else f", {self.dtype}"
        return f"Chain({layers})  # {describe.count(self.architecture.size, 'parameter')}{note}"

    def _repr_html_(self) -> str:
        layers = [
            {"layer": i, "": repr(layer), "numbers in": layer.n_in, "out": layer.n_out, "parameters": layer.size}
            for i, layer in enumerate(self.architecture.layers, start=1)
        ]
        lines = [describe.count(self.architecture.size, "parameter") + f", {self.dtype}"]
        lines += [f"then {self.architecture.head}"] if self.architecture.head != "identity" else []
        lines += [f"classes: {', '.join(self.classes)}"] if self.classes else []
        return describe.html_table(layers, caption="Chain", left=("",)) + describe.html_lines(lines)


def check_codes(m: Chain, X: NDArray[Any] | Csr, scale: float | None = None) -> None:
    """Raise InputError for a column of an `Embedding` that holds anything but its codes 0, 1, ..."""
    codes = m.architecture.codes
    rows: Any = X.toarray() if codes and isinstance(X, Csr) else X
    for column, count in codes:
        values = rows[:, column] * (1 if scale is None else scale)
        wrong = values[(values < 0) | (values >= count) | (values != np.floor(values))]
        if wrong.size:
            raise InputError(
                f"column {column} of the input holds codes of {count} categories, 0 to {count - 1}, for an Embedding; "
                f"got {wrong[0]:g}"
            )


def _check_inputs(architecture: Architecture, inputs: Inputs) -> None:
    """Raise NetworkError unless the inputs describe as many columns as the network takes."""
    pixels = math.prod(inputs.image) if inputs.image else 0
    for name, described in (("center", len(inputs.center)), ("columns", len(inputs.columns)), ("image", pixels)):
        if described and described != architecture.n_in:
            raise NetworkError(
                f"inputs.{name} describes {described} columns, but the network takes {architecture.n_in}"
            )


def _check_classes(architecture: Architecture, classes: Sequence[str]) -> None:
    """Raise NetworkError unless there are no names, one for each output, or two for a single yes or no."""
    yes_or_no = architecture.head == "sigmoid" and architecture.n_out == 1 and len(classes) == 2
    if classes and len(classes) != architecture.n_out and not yes_or_no:
        raise NetworkError(f"{len(classes)} class names, but the network has {architecture.n_out} outputs")
    if len(set(classes)) != len(classes):
        raise NetworkError(f"class names must differ from one another, got {list(classes)}")


def _architecture(layers: Sequence[AnyLayer | Head | Activation | str]) -> Architecture:
    """Return the architecture that the arguments of Chain describe."""
    kinds = [layer for layer in layers if isinstance(layer, Kind)]
    rest = layers[len(kinds) :]
    if not kinds or tuple(kinds) != layers[: len(kinds)] or len(rest) > 1:
        raise NetworkError(f"a chain is layers, then at most one head ({', '.join(HEADS[1:])}); got {layers}")
    head = rest[0] if rest else "identity"
    name = getattr(head, "name", head)
    if name in ACTIVATIONS and name not in HEADS:
        raise NetworkError(f"an activation belongs to its layer: Dense({kinds[-1].n_in}, {kinds[-1].n_out}, {name})")
    return Architecture(tuple(kinds), known_name(head, HEADS, "head"), width_into(kinds))


def params(m: Chain) -> Parameters:
    """Return the parameters of a network: one flat vector and named views into it.

    Examples
    --------
    >>> params(Chain(Dense(3, 2)))["layer1.bias"]
    array([0., 0.], dtype=float32)
    """
    expect(m, Chain, "the network")
    return Parameters(m.architecture, m.flat)


def activations(m: Chain, x: Samples) -> tuple[Floats, ...]:
    """Return the outputs of all layers, first to last: z_2, ..., z_{L+1} and that of the head.

    Examples
    --------
    >>> [z.shape for z in activations(Chain(Dense(4, 3, "tanh"), Dense(3, 2), Head("softmax")), np.zeros(4))]
    [(3,), (2,), (2,)]
    """
    expect(m, Chain, "the network")
    rows, single = as_rows(x, m.architecture.n_in)
    seen = m.inputs.apply(rows, m.dtype)
    check_codes(m, seen)
    results = m.engine.activations(m.flat, seen)
    return tuple(result[0] if single else result for result in results)


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


def make_rows(m: Chain, X: Samples, y: ArrayLike, plan: Plan, weights: ArrayLike | None = None) -> Rows:
    """Return rows, targets and weights as the engine takes them, all checked."""
    samples, single = as_rows(X, m.architecture.n_in)
    targets = targets_for(m, _as_batch(y, single), plan, len(samples))
    rows, scale = m.ready(samples)
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
    >>> m = Chain(Dense(3, 2), Head("softmax"))
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
    >>> setup(optim.Adam(1e-3), Chain(Dense(3, 2))).t
    0
    """
    expect(m, Chain, "the network")
    return optim.init(optimizer, m.flat, layout(m))


def layout(m: Chain) -> tuple[tuple[str, int], ...]:
    """Return names and sizes of the parameters' parts, in their order in the flat vector.

    Examples
    --------
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
    >>> m = Chain(Dense(3, 2), Head("softmax"))
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

    >>> m = Chain(Dense(3, 2), Head("softmax"))
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
    >>> m = Chain(Dense(2, 2), Head("softmax"))
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
    (1 - sum (y - yhat)^2 / sum (y - mean y)^2, NaN for constant y) where it is mse, mae or huber. For a binary
    cross-entropy accuracy is the share of entries on the right side of 1/2, which is itself a no. With weights (n,)
    every mean is a weighted one.

    Examples
    --------
    >>> m = Chain(Dense(2, 2), Head("softmax"))
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
