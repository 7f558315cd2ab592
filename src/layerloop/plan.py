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
from typing import TYPE_CHECKING, ClassVar, Protocol

import numpy as np

from layerloop.errors import NetworkError, UnknownNameError, did_you_mean
from layerloop.settings import whole

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Vector = NDArray[np.floating]

# The names that every table of the library has a row for; a test holds the tables against them.
ACTIVATIONS = (
    "identity",
    "sigmoid",
    "tanh",
    "relu",
    "leaky_relu",
    "elu",
    "selu",
    "gelu",
    "silu",
    "mish",
    "softplus",
    "hard_sigmoid",
)
HEADS = ("identity", "softmax", "modified_softmax")
LOSSES = ("crossentropy", "logitcrossentropy", "mse")

# Head and loss whose composition has a stable form of its own; the gradient with respect to the scores is g - y.
FUSED: Mapping[tuple[str, str], str] = {
    ("softmax", "crossentropy"): "softmax_crossentropy",
    ("modified_softmax", "crossentropy"): "modified_softmax_crossentropy",
    ("identity", "logitcrossentropy"): "softmax_crossentropy",
}

# A custom loss: value(outputs, y) is the mean loss of a batch, gradient(outputs, y) its derivative, shaped as outputs.
Pair = tuple[Callable[..., float], Callable[..., "NDArray[np.floating]"]]


def known_name(value: object, names: Sequence[str], what: str) -> str:
    """Return the name of a table row, given as its name or as an object that carries it (`sigmoid`).

    Raises
    ------
    UnknownNameError
        When no row has that name; the message proposes the nearest.
    """
    name = getattr(value, "name", value)
    if isinstance(name, str) and name in names:
        return name
    shown = getattr(value, "__name__", name)
    if callable(value) and shown in names:
        raise UnknownNameError(f"{what} {shown} is another library's function: pass {shown!r}, or layerloop.{shown}")
    raise UnknownNameError(f"unknown {what} {shown!r}.{did_you_mean(shown, names)}")


class Named(Protocol):
    """An object that stands for a row of a table, such as `sigmoid`."""

    @property
    def name(self) -> str:
        """The row's name."""
        ...


@dataclass(frozen=True, init=False)
class Dense:
    """An affine map and an activation: g(W; z) = sigma(W z^{;1}), section 7.1.

    Parameters
    ----------
    n_in, n_out : int
        Widths.
    activation : str or activation
        A row of the table, by name or as the object (`sigmoid`); none by default, as in the notes' program.

    Raises
    ------
    SettingError
        A width below 1.
    UnknownNameError
        An unknown activation.

    Examples
    --------
    >>> Dense(784, 32, "sigmoid")
    Dense(784, 32, sigmoid)
    """

    kind: ClassVar[str] = "dense"
    n_in: int
    n_out: int
    activation: str

    def __init__(self, n_in: int, n_out: int, activation: str | Named = "identity") -> None:
        object.__setattr__(self, "n_in", whole(n_in, "Dense: n_in", least=1))
        object.__setattr__(self, "n_out", whole(n_out, "Dense: n_out", least=1))
        object.__setattr__(self, "activation", known_name(activation, ACTIVATIONS, "activation"))

    @property
    def shape(self) -> tuple[int, int]:
        """The shape of its block of the flat vector: (n_in + 1, n_out), biases last."""
        return self.n_in + 1, self.n_out

    @property
    def size(self) -> int:
        """The number r_i of its parameters."""
        return (self.n_in + 1) * self.n_out

    def __repr__(self) -> str:
        activation = "" if self.activation == "identity" else f", {self.activation}"
        return f"Dense({self.n_in}, {self.n_out}{activation})"


@dataclass(frozen=True)
class Architecture:
    """Layers and head: all that prediction needs besides the numbers.

    Parameters
    ----------
    layers : tuple of Dense
        Layers 1..L.
    head : str
        Layer L+1: "identity", "softmax" or "modified_softmax" (n_{L+1} = K - 1 scores, K outputs).
    n_in : int
        Width of the input; with layers, that of the first.

    Raises
    ------
    NetworkError
        Widths that do not chain, or an unknown head.
    """

    layers: tuple[Dense, ...]
    head: str
    n_in: int

    def __post_init__(self) -> None:
        known_name(self.head, HEADS, "head")
        width = whole(self.n_in, "Architecture: n_in", least=1)
        for i, layer in enumerate(self.layers, start=1):
            if layer.n_in != width:
                said = "the input has" if i == 1 else f"layer {i - 1} gives"
                raise NetworkError(f"layer {i}, {layer}, takes {layer.n_in} numbers, but {said} {width}")
            width = layer.n_out

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

    def stretches(self) -> list[slice]:
        """Return where each layer lies in the flat vector."""
        ends = np.cumsum([0, *(layer.size for layer in self.layers)]).tolist()
        return [slice(start, stop) for start, stop in itertools.pairwise(ends)]

    def blocks(self, flat: Vector) -> list[Vector]:
        """Return the blocks (n_i + 1, n_{i+1}) as views into the flat vector."""
        return [flat[s].reshape(layer.shape) for s, layer in zip(self.stretches(), self.layers, strict=True)]

    def to_notes(self, flat: Vector) -> Vector:
        """Return a vector in the notes' order, w = (w_1; ...; w_L), row after row of each W_i, bias last in its row."""
        parts = [block.T.ravel() for block in self.blocks(flat)]
        return np.concatenate(parts) if parts else flat.copy()

    def from_notes(self, w: Vector) -> Vector:
        """Return a vector of the notes' order in the flat order; the inverse of `to_notes`."""
        flat = np.empty_like(w)
        pairs = zip(self.blocks(flat), self.stretches(), strict=True)
        for block, stretch in pairs:
            block[...] = w[stretch].reshape(block.shape[::-1]).T
        return flat

    def cut(self, layers: slice) -> Architecture:
        """Return the part that `layers` names, the head counting as the last layer where there is one."""
        depth = len(self.layers)
        start, stop, step = layers.indices(depth + (self.head != "identity"))
        if step != 1 or stop <= start:
            raise NetworkError(f"a chain is cut into one piece from front to back, got [{start}:{stop}:{step}]")
        width = self.layers[start].n_in if start < depth else self.n_scores
        return Architecture(self.layers[start:stop], self.head if stop > depth else "identity", width)


def fused_name(head: str, loss: str | Pair) -> str | None:
    """Return the name of the stable form in which head and loss are computed together, or None.

    Raises
    ------
    NetworkError
        `logitcrossentropy` behind a head: it takes the scores before the softmax.

    Examples
    --------
    >>> fused_name("softmax", "crossentropy")
    'softmax_crossentropy'
    """
    if loss == "logitcrossentropy" and head != "identity":
        raise NetworkError(
            f"logitcrossentropy takes scores and applies the softmax itself, but this chain ends in {head}: "
            "use crossentropy (computed in the same stable form), or leave the head off the chain"
        )
    return FUSED.get((head, loss)) if isinstance(loss, str) else None


@dataclass(frozen=True)
class Plan:
    """All that an engine needs to know to train: the architecture, the loss, and the float type."""

    architecture: Architecture
    loss: str | Pair
    dtype: str = "float32"

    def __post_init__(self) -> None:
        if isinstance(self.loss, str):
            known_name(self.loss, LOSSES, "loss")
        fused_name(self.architecture.head, self.loss)

    @cached_property
    def fused(self) -> str | None:
        """The name of the fused form of head and loss, or None where they are computed one after the other."""
        return fused_name(self.architecture.head, self.loss)

    @property
    def integer_targets(self) -> bool:
        """Whether class indices serve as targets (every cross-entropy); other losses take rows of numbers."""
        return self.loss in ("crossentropy", "logitcrossentropy")
