"""Chain: layers, one flat parameter vector, and what the network says of rows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from layerloop import describe
from layerloop.csr import Csr
from layerloop.engine import make_engine
from layerloop.errors import InputError, NetworkError, ShapeError, did_you_mean, expect
from layerloop.initialise import initialise
from layerloop.layers import ACTIVATIONS, Kind, known_name, width_into
from layerloop.layers import Layer as AnyLayer
from layerloop.memory import aligned_zeros
from layerloop.parameters import Parameters
from layerloop.plan import HEADS, Architecture
from layerloop.prediction import predict
from layerloop.preprocessing import Inputs, as_rows
from layerloop.settings import float_name, whole
from layerloop.vocabulary import Activation, Head

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Self

    from numpy.typing import NDArray

    from layerloop.arraylike import Samples
    from layerloop.engine import Engine

    Floats = NDArray[np.floating]


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
    >>> from layerloop import Dense, softmax
    >>> m = Chain(Dense(784, 32, "sigmoid"), Dense(32, 10), softmax)
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
        initialise(self.flat, self.architecture, rng)

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
        self.flat: Floats = aligned_zeros(architecture.size, dtype) if flat is None else flat
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

    def ready(self, X: NDArray[np.generic] | Csr, *, finite: bool = False) -> tuple[NDArray[Any] | Csr, float | None]:
        """Return (rows, scale) as the engine takes them, checked; of an X that is known to be `finite`, the rest is.

        Raises
        ------
        InputError, NonFiniteInputError
            What is not real and finite, raw bytes without a scale, a column of an `Embedding` that holds no codes.
        """
        rows, scale = self.inputs.ready(X, self.dtype, finite=finite)
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
    >>> from layerloop import Dense
    >>> params(Chain(Dense(3, 2)))["layer1.bias"]
    array([0., 0.], dtype=float32)
    """
    expect(m, Chain, "the network")
    return Parameters(m.architecture, m.flat)


def activations(m: Chain, x: Samples) -> tuple[Floats, ...]:
    """Return the outputs of all layers, first to last: z_2, ..., z_{L+1} and that of the head.

    Examples
    --------
    >>> from layerloop import Dense, softmax
    >>> [z.shape for z in activations(Chain(Dense(4, 3, "tanh"), Dense(3, 2), softmax), np.zeros(4))]
    [(3,), (2,), (2,)]
    """
    expect(m, Chain, "the network")
    rows, single = as_rows(x, m.architecture.n_in)
    seen = m.inputs.apply(rows, m.dtype)
    check_codes(m, seen)
    results = m.engine.activations(m.flat, seen)
    return tuple(result[0] if single else result for result in results)
