"""What is to be computed, as plain data: layers, head, loss, and where each layer lies in the flat vector.

Letters as in the notes: layer i = 1..L has n_i inputs and n_{i+1} outputs; the head is layer L+1. The flat vector
keeps layer i as a block of shape (n_i + 1, n_{i+1}), the transpose of the notes' W_i: column k is w_i^(k), the biases
are the last row. A block is contiguous, so a batch is one product and a sparse row touches one stretch of memory.
The notes' own order, w = (w_1; ...; w_L) with each W_i row after row, is `to_notes(flat)`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from layerloop import describe
from layerloop.errors import NetworkError
from layerloop.layers import Dense, Embedding, Members, OfColumns, Residual, Scale, chained, known_name
from layerloop.losses import LOSSES as LOSS_TABLE
from layerloop.losses import LossSpec, spec_of
from layerloop.settings import whole

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from layerloop.layers import Layer, Part

    Vector = NDArray[np.floating]

# The names that every table of the library has a row for, beside those of the layers and losses.
HEADS = ("identity", "softmax", "modified_softmax", "sigmoid", "exp")
LOSSES = tuple(LOSS_TABLE)

# Head and loss whose composition has a stable form of its own; the gradient with respect to the scores is output - y.
FUSED: Mapping[tuple[str, str], str] = {
    ("softmax", "crossentropy"): "softmax_crossentropy",
    ("modified_softmax", "crossentropy"): "modified_softmax_crossentropy",
    ("identity", "logitcrossentropy"): "softmax_crossentropy",
    ("sigmoid", "binarycrossentropy"): "sigmoid_binarycrossentropy",
    ("identity", "logitbinarycrossentropy"): "sigmoid_binarycrossentropy",
    ("exp", "poisson"): "exp_poisson",
}

# A custom loss: value(outputs, y) is the mean loss of a batch, gradient(outputs, y) its derivative, shaped as outputs.
Pair = tuple[Callable[..., float], Callable[..., "NDArray[np.floating]"]]


class Op(NamedTuple):
    """One entry of a network's program, in the order in which the forward loop runs them.

    Attributes
    ----------
    layer : Layer or None
        What it computes; None where the way around a residual ends, which adds what node `skip` holds.
    name : str
        What its parameters are called by: "layer3", or "layer3.1" inside a residual.
    at : int
        Where its stretch of the flat vector begins.
    width : int
        Numbers that a row has behind it.
    skip : int or None
        Node, counted from the input as 0, that a residual adds.
    """

    layer: Layer | None
    name: str
    at: int
    width: int
    skip: int | None = None

    @property
    def part(self) -> slice:
        """Its stretch of the flat vector."""
        return slice(self.at, self.at + (self.layer.size if self.layer else 0))


def _program(layers: Sequence[Layer], prefix: str, node: int, at: int) -> Iterator[Op]:
    """Yield the operations of layers, residuals unrolled; `node` is the one that holds their input."""
    for i, layer in enumerate(layers, start=1):
        name = f"{prefix}{i}"
        if isinstance(layer, Residual):
            inner = list(_program(layer.layers, f"{name}.", node, at))
            yield from inner
            yield Op(None, name, at + layer.size, layer.n_out, skip=node)
            node += len(inner) + 1
        else:
            yield Op(layer, name, at, layer.n_out)
            node += 1
        at += layer.size


@dataclass(frozen=True)
class Architecture:
    """Layers and head: all that prediction needs besides the numbers.

    Parameters
    ----------
    layers : tuple of Layer
        Layers 1..L.
    head : str
        Layer L+1: "identity", "softmax", "modified_softmax" (n_{L+1} = K - 1 scores, K outputs), "sigmoid" or "exp".
    n_in : int
        Width of the input; with layers, that of the first.

    Raises
    ------
    NetworkError
        Widths that do not chain, members without `Members`, codes that are no columns of the input.
    UnknownNameError
        An unknown head.
    """

    layers: tuple[Layer, ...]
    head: str
    n_in: int

    def __post_init__(self) -> None:
        known_name(self.head, HEADS, "head")
        width = whole(self.n_in, "Architecture: n_in", least=1)
        object.__setattr__(self, "layers", chained(self.layers, width))
        _check_members(self.ops)
        _check_codes(self.ops)
        tuple(_codes(self.ops, self.n_in))  # raises for a code that no column of the input holds

    @cached_property
    def ops(self) -> tuple[Op, ...]:
        """The program: every layer in its turn, residuals unrolled."""
        return tuple(_program(self.layers, "layer", 0, 0))

    @property
    def takes_sparse(self) -> bool:
        """Whether the first layer computes on sparse rows as they are."""
        first = self.layers[0] if self.layers else None
        return isinstance(first, Dense) and first.members == 1 and all(op.skip != 0 for op in self.ops)

    @property
    def last_activation(self) -> str:
        """The activation of the last layer, "identity" where it has none."""
        last = self.layers[-1] if self.layers else None
        return last.activation if isinstance(last, Dense | Scale) else "identity"

    @cached_property
    def ends(self) -> tuple[int, ...]:
        """The node behind each layer, counted from the input as 0."""
        return tuple(i for i, op in enumerate(self.ops, start=1) if "." not in op.name)

    @cached_property
    def members(self) -> int:
        """How many networks it is behind `Members`; 1 without."""
        return next((op.layer.members for op in self.ops if isinstance(op.layer, Members)), 1)

    @cached_property
    def codes(self) -> tuple[tuple[int, int], ...]:
        """The columns of the input that hold codes of categories, each with the number of its codes."""
        return tuple(_codes(self.ops, self.n_in))

    @cached_property
    def untrained(self) -> tuple[slice, ...]:
        """The stretches of the flat vector that training moves but does not train: running statistics."""
        ends = itertools.accumulate((part.size for _, part in self.stretches), initial=0)
        pairs = zip(ends, self.stretches, strict=False)
        return tuple(slice(at, at + part.size) for at, (_, part) in pairs if not part.trained)

    @cached_property
    def stretches(self) -> tuple[tuple[str, Part], ...]:
        """The pieces of the flat vector one after another, with their full names, such as "layer1.weight"."""
        return tuple((f"{op.name}.{p.name}", p) for op in self.ops if op.layer for p in op.layer.stretches)

    def views(self, flat: Vector) -> dict[str, Vector]:
        """Return the named parts of a flat vector, as views into it."""
        return {
            f"{op.name}.{name}": view
            for op in self.ops
            if op.layer
            for name, view in op.layer.views(flat[op.part]).items()
        }

    @property
    def n_scores(self) -> int:
        """The width n_{L+1} of what enters the head."""
        return self.layers[-1].n_out if self.layers else self.n_in

    @property
    def n_out(self) -> int:
        """The width of the output: K, or that of the last layer where the head is the identity."""
        return self.n_scores + (self.head == "modified_softmax")

    @property
    def size(self) -> int:
        """The number of parameters, r_1 + ... + r_L."""
        return sum(layer.size for layer in self.layers)

    def to_notes(self, flat: Vector) -> Vector:
        """Return a vector in the notes' order, w = (w_1; ...; w_L), row after row of each W_i, bias last in its row.

        The notes have dense layers only; the parameters of others stand as they lie in the flat vector.
        """
        w = flat.copy()
        for layer, at in self._dense():
            w[at] = layer.blocks(flat[at]).transpose(0, 2, 1).ravel()
        return w

    def from_notes(self, w: Vector) -> Vector:
        """Return a vector of the notes' order in the flat order; the inverse of `to_notes`."""
        flat = w.copy()
        for layer, at in self._dense():
            blocks = layer.blocks(flat[at])
            blocks[...] = w[at].reshape(len(blocks), layer.n_out, layer.n_in + 1).transpose(0, 2, 1)
        return flat

    def _dense(self) -> Iterator[tuple[Dense, slice]]:
        return ((op.layer, op.part) for op in self.ops if isinstance(op.layer, Dense))

    def place(self, start: int, stop: int) -> slice:
        """Return the stretch of the flat vector that layers[start:stop] take."""
        ends = [0, *itertools.accumulate(layer.size for layer in self.layers)]
        return slice(ends[min(start, len(ends) - 1)], ends[min(stop, len(ends) - 1)])

    def cut(self, layers: slice) -> Architecture:
        """Return the part that `layers` names, the head counting as the last layer where there is one."""
        depth = len(self.layers)
        start, stop, step = layers.indices(depth + (self.head != "identity"))
        if step != 1 or stop <= start:
            raise NetworkError(f"a chain is cut into one piece from front to back, got [{start}:{stop}:{step}]")
        width = self.layers[start].n_in if start < depth else self.n_scores
        return Architecture(self.layers[start:stop], self.head if stop > depth else "identity", width)


def _check_members(ops: Sequence[Op]) -> None:
    """Raise NetworkError unless every layer with members of its own stands behind as many `Members`, of one layer."""
    now = 1
    for op in ops:
        wanted = getattr(op.layer, "members", 1)
        if isinstance(op.layer, Members):
            if now > 1:
                raise NetworkError(f"{op.name}, {op.layer}: a chain has one Members; a second would have members twice")
            now = wanted
        elif wanted not in (1, now):
            said = f"Members({op.width}, {wanted}) before it" if now == 1 else f"members={now} as Members says"
            raise NetworkError(f"{op.name}, {op.layer}, has {wanted} members: it wants {said}")


def _codes(ops: Sequence[Op], n_in: int) -> Iterator[tuple[int, int]]:
    """Yield (column of the input, number of codes) of every embedding, traced through the layers of columns."""
    origin: Sequence[int | None] = range(n_in)  # of each column at this place; None once it is no input any more
    for op in ops:
        if not isinstance(op.layer, OfColumns):
            return
        if isinstance(op.layer, Embedding):
            for place, count in op.layer.columns:
                found = origin[place]
                if found is None:
                    raise NetworkError(f"{op.name}: column {place} was made by the layers before it and holds no codes")
                yield found, count
        origin = [origin[j] for j in op.layer.rest] + [None] * sum(op.layer.added)


def _check_codes(ops: Sequence[Op]) -> None:
    """Raise NetworkError for an embedding behind layers that leave no column as it is."""
    of_columns = True
    for op in ops:
        if isinstance(op.layer, Embedding) and not of_columns:
            raise NetworkError(
                f"{op.name}, {op.layer}, takes codes: it stands first, or behind other layers of columns only"
            )
        of_columns = of_columns and isinstance(op.layer, OfColumns)


def fused_name(head: str, loss: str | Pair) -> str | None:
    """Return the name of the stable form in which head and loss are computed together, or None.

    Raises
    ------
    NetworkError
        A loss of scores, such as `logitcrossentropy`, behind a head: it takes what comes before one.

    Examples
    --------
    >>> fused_name("softmax", "crossentropy")
    'softmax_crossentropy'
    """
    if not isinstance(loss, str):
        return None
    row = LOSS_TABLE[loss]
    if row.scores and head != "identity":
        raise NetworkError(
            f"{loss} takes scores and applies the {row.head} itself, but this chain ends in {head}: "
            f"use {loss.removeprefix('logit')} (computed in the same stable form), or leave the head off the chain"
        )
    return FUSED.get((head, loss))


@dataclass(frozen=True)
class Plan:
    """All that an engine needs to know to train: the architecture, the loss, the float type, the seed of the masks.

    Where a loss of the table stands, its name or text, such as "huber:delta=0.5", does too.
    """

    architecture: Architecture
    loss: LossSpec | Pair
    dtype: str = "float32"
    seed: int = 0

    def __post_init__(self) -> None:
        loss: object = self.loss
        if isinstance(loss, str):
            object.__setattr__(self, "loss", spec_of(loss))
        if isinstance(self.loss, LossSpec):
            fused_name(self.architecture.head, self.loss.name)
            check_columns(self.loss, self.architecture.n_out)

    @cached_property
    def fused(self) -> str | None:
        """The name of the fused form of head and loss, or None where they are computed one after the other."""
        return fused_name(self.architecture.head, self.loss.name) if isinstance(self.loss, LossSpec) else None

    @property
    def named(self) -> LossSpec | None:
        """The loss where it is one of the table."""
        return self.loss if isinstance(self.loss, LossSpec) else None

    @property
    def integer_targets(self) -> bool:
        """Whether class indices serve as targets (the cross-entropies of classes); others take rows of numbers."""
        return self.named is not None and self.named.row.targets == "classes"


def check_columns(loss: LossSpec, width: int) -> None:
    """Raise NetworkError unless a loss has one number for all outputs, or one for each."""
    found = len(loss.columns(width))
    if found != width:
        what, outputs = "level" if loss.levels > 1 else "delta", describe.count(width, "output")
        raise NetworkError(f"{loss} has {found} {what}s, but the network has {outputs}: one {what}, or one for each")
