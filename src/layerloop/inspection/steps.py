"""The values of both loops in the order in which they are computed, each with its formula and what enters it.

Letters as in `maths.loops`; besides, s_i = sigma'(t_i), the slope of layer i's activation where it has one, and G the
gradient in the order of w, (p_1; ...; p_L).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from layerloop.errors import look_up
from layerloop.inspection import formulas
from layerloop.inspection.norms import head_norm, jacobian_norms, norm
from layerloop.maths.activations import ACTIVATIONS
from layerloop.maths.heads import HEADS
from layerloop.maths.kind import block_diagonal
from layerloop.maths.layers import Blocks, split

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layerloop.maths.activations import Array
    from layerloop.maths.kind import Layer
    from layerloop.maths.loops import Backward, Forward
    from layerloop.maths.net import Net


@dataclass(frozen=True)
class Step:
    """One value of the loops, and how it came about.

    Attributes
    ----------
    name : str
        "z_2", "A_1", "q_3", "p_1" ...: the letter and the number of the notes.
    loop : "forward" or "backward"
    formula : str
        Row of `inspection.formulas`, such as "layer:dense" or "head:softmax".
    text : str
        The right-hand side, such as "W_1 z_1^;1".
    sources : tuple of str
        The values that enter it.
    shape : tuple of int
    norm : float
        Euclidean, of a matrix Frobenius.
    """

    name: str
    loop: str
    formula: str
    text: str
    sources: tuple[str, ...]
    shape: tuple[int, ...]
    norm: float


@dataclass(frozen=True, repr=False)
class Loops:
    """Both loops on one sample.

    Attributes
    ----------
    net, w : Net, array
        The network as `layerloop.maths` has it.
    loss : str
        Name or text of the loss, or "a loss of one's own".
    y : array
        The target as a row (K,).
    forward, backward : Forward, Backward
        z, t and q, p by number, without dense matrices; those are made by :meth:`value`.
    fused : bool
        Whether q_{L+1} was taken from head and loss together, because an output underflowed and -y / z is infinite.
    """

    net: Net
    w: Array
    loss: str
    y: Array
    forward: Forward
    backward: Backward
    fused: bool

    @property
    def gradient(self) -> Array:
        """The gradient in the order of w, (p_1; ...; p_L)."""
        return np.concatenate([np.empty(0), *(self.backward.p[i] for i in range(1, self.net.L + 1))])

    def layer(self, i: int) -> tuple[Layer, Array]:
        """Return layer i = 1..L as `maths` has it, and its w_i."""
        return self.net.layers[i - 1], split(self.net.layers, self.w)[i - 1]

    @cached_property
    def weights(self) -> dict[int, str]:
        """By layer "W_i" of a dense one and "w_i" of another that has parameters."""
        pairs = enumerate(self.net.layers, start=1)
        return {i: f"{'W' if kind_of_layer(layer) == 'dense' else 'w'}_{i}" for i, layer in pairs if layer.size}

    @cached_property
    def steps(self) -> dict[str, Step]:
        """All values of both loops by name, in the order in which they are computed."""
        return {step.name: step for step in (*_forward_steps(self), *_backward_steps(self))}

    def value(self, name: str) -> Array:
        """Return the numbers of a step or of parameters by name: "z_2", "s_1", "A_1", "W_2", "q_1", "G".

        Raises
        ------
        UnknownNameError
            When the loops have no such value.
        """
        look_up(dict.fromkeys([*self.steps, *self.weights.values(), "G"]), name, "value of the loops")
        letter, _, number = name.partition("_")
        return self._value(letter, int(number or 0))

    def _value(self, letter: str, i: int) -> Array:
        kept = {"z": self.forward.z, "t": self.forward.t, "q": self.backward.q, "p": self.backward.p}
        if letter in kept:
            return np.asarray(kept[letter][i])
        if letter == "G":
            return self.gradient
        if i == self.net.L + 1:
            return _head_jacobian(self.net, self.forward.z[i])
        (layer, w_i), z = self.layer(i), self.forward.z[i]
        if letter in "Ww":
            return layer.shaped(w_i)
        if letter == "s":
            return ACTIVATIONS[activation_of(layer)].df(self.forward.t[i])
        return layer.A(w_i, z) if letter == "A" else layer.B(w_i, z)


def kind_of_layer(layer: Layer) -> str:
    """Return a layer's row of the table, seen through the blocks of members."""
    return layer.layer.kind if isinstance(layer, Blocks) else layer.kind


def activation_of(layer: Layer) -> str:
    """Return the name of a layer's activation, "" where its kind has none."""
    return str(getattr(layer.layer if isinstance(layer, Blocks) else layer, "activation", ""))


def _row(layer: Layer) -> str:
    """Return a layer's row of the formulas."""
    own = layer.layer if isinstance(layer, Blocks) else layer
    return "dense, ntk" if getattr(own, "ntk", False) else kind_of_layer(layer)


def _forward_steps(t: Loops) -> Iterator[Step]:
    z, L = t.forward.z, t.net.L
    yield _vector("z_1", "forward", "input", "x", (), z[1])
    for i in range(1, L + 1):
        yield from _layer_steps(t, i)
    head, jacobian = (formulas.written(text, L + 1) for text in formulas.HEADS[t.net.head])
    yield _vector(f"z_{L + 2}", "forward", f"head:{t.net.head}", head, (f"z_{L + 1}",), z[L + 2])
    size = head_norm(t.net, z[L + 1])
    shape = (z[L + 2].size, z[L + 1].size)
    yield Step(f"B_{L + 1}", "forward", f"head:{t.net.head}", jacobian, (f"z_{L + 1}", f"z_{L + 2}"), shape, size)
    formula, (value, _) = _loss_row(t)
    text = formulas.written(value, L + 2)
    yield _vector(f"z_{L + 3}", "forward", formula, text, (f"z_{L + 2}", "y"), np.asarray(z[L + 3]))


def _layer_steps(t: Loops, i: int) -> Iterator[Step]:
    layer, w_i = t.layer(i)
    row, f, name = formulas.LAYERS[_row(layer)], activation_of(layer), f"layer:{_row(layer)}"
    weights = (t.weights[i],) if i in t.weights else ()
    z = (f"z_{i}",)
    if row.t:
        yield _vector(f"t_{i}", "forward", name, formulas.written(row.t, i), weights + z, t.forward.t[i])
        yield _vector(f"s_{i}", "forward", name, f"{f}'(t_{i})", (f"t_{i}",), t._value("s", i))
    made = (f"t_{i}",) if row.z == "{f}(t_{i})" else weights + z
    yield _vector(f"z_{i + 1}", "forward", name, formulas.written(row.z, i, f), made, t.forward.z[i + 1])
    norms = jacobian_norms(layer, w_i, t.forward.z[i])
    slope = (f"s_{i}",) if row.t else ()
    for letter, text, size, width in zip("AB", (row.A, row.B), norms, (layer.size, layer.takes), strict=True):
        sources = slope + (z if letter == "A" else weights)
        shape = (layer.gives, width)
        yield Step(f"{letter}_{i}", "forward", name, formulas.written(text, i, f), sources, shape, size)


def _backward_steps(t: Loops) -> Iterator[Step]:
    q, p, L = t.backward.q, t.backward.p, t.net.L
    formula, (_, slope) = _loss_row(t)
    text = formulas.written(slope, L + 2)
    yield _vector(f"q_{L + 2}", "backward", formula, text, ("y", f"z_{L + 2}"), q[L + 2])
    through, sources = f"B_{L + 1}^T q_{L + 2}", (f"B_{L + 1}", f"q_{L + 2}")
    if t.fused:
        name = t.loss.partition(":")[0]
        through, sources = formulas.written(formulas.FUSED[t.net.head, name], L + 1), (f"z_{L + 2}", "y")
    yield _vector(f"q_{L + 1}", "backward", "fused" if t.fused else "backward:q", through, sources, q[L + 1])
    for i in range(L, 0, -1):
        for letter, matrix, values in (("p", "A", p[i]), ("q", "B", q[i])):
            sources = (f"{matrix}_{i}", f"q_{i + 1}")
            text = f"{matrix}_{i}^T q_{i + 1}"
            yield _vector(f"{letter}_{i}", "backward", f"backward:{letter}", text, sources, values)


def _vector(name: str, loop: str, formula: str, text: str, sources: tuple[str, ...], values: Array) -> Step:
    return Step(name, loop, formula, text, sources, values.shape, norm(values))


def _loss_row(t: Loops) -> tuple[str, tuple[str, str]]:
    name = t.loss.partition(":")[0]
    return (f"loss:{name}", formulas.LOSSES[name]) if name in formulas.LOSSES else ("loss", formulas.OWN_LOSS)


def _head_jacobian(net: Net, scores: Array) -> Array:
    """Return B_{L+1}, of members one block behind another along the diagonal."""
    return block_diagonal([HEADS[net.head].jacobian(block) for block in np.split(scores, net.k)])
