"""All kinds of layers, those made of others, and chains of them: forward on a batch, and back.

Letters as in `kind`; a chain of layers i = 1..L has Z_1 = Z, Z_{i+1} = g_i(w_i; Z_i), and w = (w_1; ...; w_L). Back
through it go Q_{L+1}, p_i = A_i^T Q_{i+1} and Q_i = B_i^T Q_{i+1}, the loops of section 7.2 on a batch.

Behind `Members(n, k)` a sample is k blocks. Layers then act block by block (:class:`Blocks`) with shared w, but those
with `members=k` of their own; statistics of a batch are taken over all samples and members.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from layerloop.errors import NetworkError
from layerloop.maths.affine import Dense, Parametric, Scale
from layerloop.maths.columns import Embedding, Periodic, PiecewiseLinear
from layerloop.maths.heads import as_vector
from layerloop.maths.kind import Layer, OfBatches, OfSamples, Part, as_batch, stretches
from layerloop.maths.normal import BatchNorm, Dropout, LayerNorm

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Self

    from numpy.typing import ArrayLike

    from layerloop.maths.activations import Array


def split(layers: Sequence[Layer], w: ArrayLike) -> list[Array]:
    """Return w_1, ..., w_L, views of w = (w_1; ...; w_L).

    Examples
    --------
    >>> split([Scale(1), Scale(2)], [1.0, 2.0, 3.0])
    [array([1.]), array([2., 3.])]
    """
    sizes = [layer.size for layer in layers]
    return stretches(as_vector(w, "w", sum(sizes)), sizes)


def forward_batch(layers: Sequence[Layer], w: ArrayLike, Z: ArrayLike) -> list[Array]:
    """Return Z_1, ..., Z_{L+1} of a batch.

    Examples
    --------
    >>> forward_batch([Scale(1), Scale(1)], [2.0, 3.0], [[1.0], [10.0]])[-1]
    array([[ 6.],
           [60.]])
    """
    Zs = [np.asarray(Z)]
    for layer, w_i in zip(layers, split(layers, w), strict=True):
        Zs.append(layer.g_batch(w_i, Zs[-1]))
    return Zs


def backward_batch(layers: Sequence[Layer], w: ArrayLike, Zs: Sequence[Array], Q: Array) -> tuple[Array, Array]:
    """Return (p_1; ...; p_L) and Q_1 for Q = Q_{L+1}, without dense matrices.

    Examples
    --------
    >>> layers, w = [Scale(1), Scale(1)], [2.0, 3.0]
    >>> backward_batch(layers, w, forward_batch(layers, w, [[5.0]]), np.array([[1.0]]))
    (array([15., 10.]), array([[6.]]))
    """
    p = []
    for layer, w_i, Z in reversed(list(zip(layers, split(layers, w), Zs[:-1], strict=True))):
        p.append(layer.A_vjp_batch(w_i, Z, Q))
        Q = layer.B_vjp_batch(w_i, Z, Q)
    return np.concatenate([np.empty(0), *p[::-1]]), Q


def moved(layers: Sequence[Layer], w: ArrayLike, Z: ArrayLike) -> Array:
    """Return w after the forward loop of a training step: running statistics have moved, all else is as it was."""
    Zs = forward_batch(layers, w, Z)
    parts = zip(layers, split(layers, w), Zs[:-1], strict=True)
    return np.concatenate([np.empty(0), *(layer.moved(w_i, Z_i) for layer, w_i, Z_i in parts)])


def in_training(layers: Sequence[Layer], masks: Iterator[ArrayLike]) -> tuple[Layer, ...]:
    """Return the layers as a step of training sees them, each dropout with the next of the masks."""
    return tuple(layer.in_training(masks) for layer in layers)


def check_widths(layers: Sequence[Layer]) -> None:
    """Raise NetworkError unless each layer takes as many numbers as the one before it gives."""
    for i, (before, after) in enumerate(pairwise(layers), start=2):
        if after.takes != before.gives:
            raise NetworkError(
                f"layer {i}, {after}, takes {after.takes} numbers, but layer {i - 1} gives {before.gives}"
            )


@dataclass(frozen=True)
class Members(OfSamples):
    """From here on k networks: g(z) = (z; z; ...; z), k blocks (TabM, arXiv 2410.24210).

    Examples
    --------
    >>> Members(2, 3).g([], [1.0, 2.0])
    array([1., 2., 1., 2., 1., 2.])
    """

    kind: ClassVar[str] = "members"
    n: int
    members: int

    @property
    def takes(self) -> int:
        """The width n."""
        return self.n

    @property
    def gives(self) -> int:
        """All blocks together."""
        return self.members * self.n

    def g(self, w: ArrayLike, z: ArrayLike) -> Array:
        """Return (z; z; ...; z)."""
        return np.tile(self.pair(w, z)[1], self.members)

    def A(self, w: ArrayLike, z: ArrayLike) -> Array:
        """Return the empty Jacobian, (k n, 0)."""
        return np.empty((self.gives, 0))

    def B(self, w: ArrayLike, z: ArrayLike) -> Array:
        """Return k unit matrices above one another, (k n, n)."""
        return np.tile(np.eye(self.n), (self.members, 1))

    def A_vjp(self, w: ArrayLike, z: ArrayLike, q: ArrayLike) -> Array:
        """Return the empty vector."""
        return np.empty(0)

    def B_vjp(self, w: ArrayLike, z: ArrayLike, q: ArrayLike) -> Array:
        """Return the sum of the blocks of q."""
        return np.asarray(self.q_of(q).reshape(self.members, self.n).sum(axis=0))


@dataclass(frozen=True)
class Blocks(OfBatches):
    """A layer on each of k blocks, with one w: g(w; (z^1; ...; z^k)) = (l(w; z^1); ...; l(w; z^k)).

    A batch of N samples is one of N k rows to the layer.

    Examples
    --------
    >>> Blocks(Scale(2), 2).g([2.0, 3.0], [1.0, 1.0, 10.0, 10.0])
    array([ 2.,  3., 20., 30.])
    """

    kind: ClassVar[str] = "blocks"
    layer: Layer
    members: int

    @property
    def takes(self) -> int:
        """The blocks' numbers together."""
        return self.members * self.layer.takes

    @property
    def gives(self) -> int:
        """The blocks' outputs together."""
        return self.members * self.layer.gives

    @property
    def parts(self) -> tuple[Part, ...]:
        """Those of the layer."""
        return self.layer.parts

    def shaped(self, w: Array) -> Array:
        """Return w as the layer has it."""
        return self.layer.shaped(w)

    def _rows(self, Z: ArrayLike) -> Array:
        """Return the blocks of all samples as rows, (N k, n)."""
        return as_batch(Z, self.takes).reshape(-1, self.layer.takes)

    def _back(self, Q: ArrayLike) -> Array:
        return as_batch(Q, self.gives, "Q").reshape(-1, self.layer.gives)

    def g_batch(self, w: ArrayLike, Z: ArrayLike) -> Array:
        """Return the layer's outputs of all blocks, (N, k m)."""
        return self.layer.g_batch(w, self._rows(Z)).reshape(-1, self.gives)

    def A_batch(self, w: ArrayLike, Z: ArrayLike) -> Array:
        """Return the layer's A of all blocks."""
        return self.layer.A_batch(w, self._rows(Z))

    def B_batch(self, w: ArrayLike, Z: ArrayLike) -> Array:
        """Return the layer's B of all blocks."""
        return self.layer.B_batch(w, self._rows(Z))

    def A_vjp_batch(self, w: ArrayLike, Z: ArrayLike, Q: ArrayLike) -> Array:
        """Return the layer's A^T q, summed over all blocks."""
        return self.layer.A_vjp_batch(w, self._rows(Z), self._back(Q))

    def B_vjp_batch(self, w: ArrayLike, Z: ArrayLike, Q: ArrayLike) -> Array:
        """Return the layer's B^T q of each block, (N, k n)."""
        return self.layer.B_vjp_batch(w, self._rows(Z), self._back(Q)).reshape(-1, self.takes)

    def t(self, w: ArrayLike, z: ArrayLike) -> Array:
        """Return the layer's t of each block, one behind another."""
        return np.concatenate([self.layer.t(w, row) for row in self._rows(self.one(z))])

    def kinks(self, w: ArrayLike, z: ArrayLike) -> Iterator[tuple[float, str]]:
        """Yield the layer's, member by member."""
        for j, row in enumerate(self._rows(self.one(z)), start=1):
            for distance, name in self.layer.kinks(w, row):
                yield distance, f"member {j}, {name}"

    def in_training(self, masks: Iterator[ArrayLike]) -> Self:
        """Return it around the layer in training."""
        return replace(self, layer=self.layer.in_training(masks))

    def moved(self, w: ArrayLike, Z: ArrayLike) -> Array:
        """Return w as the layer moves it, on the rows of all samples and members."""
        return self.layer.moved(w, self._rows(Z))


@dataclass(frozen=True)
class Residual(OfBatches):
    """Layers with a way around them: g(w; z) = z + f(w; z), f the chain of `layers` (He et al. 2016).

    w is theirs one after another; B = I + B_f and A = A_f by the chain rule. Where one layer has members, the others
    act on its blocks.

    Raises
    ------
    NetworkError
        When there is no layer, the widths do not chain, or the last gives another width than the first takes.

    Examples
    --------
    >>> Residual([Scale(1, bias=True), Scale(1)]).g([2.0, 1.0, 3.0], [10.0])  # 10 + 3 (2 10 + 1)
    array([73.])
    """

    kind: ClassVar[str] = "residual"
    layers: Sequence[Layer]

    def __post_init__(self) -> None:
        k = max((_members(layer) for layer in self.layers), default=1)
        object.__setattr__(self, "layers", tuple(_by_blocks(layer, k) for layer in self.layers))
        if not self.layers or any(isinstance(layer, Members) for layer in self.layers):
            raise NetworkError(f"a residual goes around at least one layer, and none of Members, got {self.layers}")
        check_widths(self.layers)
        if self.layers[0].takes != self.layers[-1].gives:
            raise NetworkError(f"{self} takes {self.layers[0].takes} numbers, but f gives {self.layers[-1].gives}")

    @property
    def takes(self) -> int:
        """The width."""
        return self.layers[0].takes

    gives = takes

    @property
    def parts(self) -> tuple[Part, ...]:
        """Those of the layers, each behind the number of its layer."""
        numbered = enumerate(self.layers, start=1)
        return tuple(part._replace(name=f"{i}, {part.name}") for i, layer in numbered for part in layer.parts)

    def g_batch(self, w: ArrayLike, Z: ArrayLike) -> Array:
        """Return Z + f(w; Z)."""
        Zs = forward_batch(self.layers, w, as_batch(Z, self.takes))
        return np.asarray(Zs[0] + Zs[-1])

    def _jacobians(self, w: ArrayLike, Z: ArrayLike) -> tuple[Array, Array]:
        """Return A_f and B_f: from the last layer to the first, A_i and B_i times what follows them."""
        Zs = forward_batch(self.layers, w, as_batch(Z, self.takes))
        J, A = np.eye(Zs[-1].size), []
        for layer, w_i, Z_i in reversed(list(zip(self.layers, split(self.layers, w), Zs[:-1], strict=True))):
            A.append(J @ layer.A_batch(w_i, Z_i))
            J = J @ layer.B_batch(w_i, Z_i)
        return np.hstack(A[::-1]), J

    def A_batch(self, w: ArrayLike, Z: ArrayLike) -> Array:
        """Return A_f."""
        return self._jacobians(w, Z)[0]

    def B_batch(self, w: ArrayLike, Z: ArrayLike) -> Array:
        """Return I + B_f."""
        B = self._jacobians(w, Z)[1]
        return np.asarray(np.eye(len(B)) + B)

    def _through(self, w: ArrayLike, Z: ArrayLike, Q: ArrayLike) -> tuple[Array, Array]:
        Zs = forward_batch(self.layers, w, as_batch(Z, self.takes))
        return backward_batch(self.layers, w, Zs, as_batch(Q, self.gives, "Q"))

    def A_vjp_batch(self, w: ArrayLike, Z: ArrayLike, Q: ArrayLike) -> Array:
        """Return A_f^T Q."""
        return self._through(w, Z, Q)[0]

    def B_vjp_batch(self, w: ArrayLike, Z: ArrayLike, Q: ArrayLike) -> Array:
        """Return Q + B_f^T Q."""
        return np.asarray(as_batch(Q, self.gives, "Q") + self._through(w, Z, Q)[1])

    def kinks(self, w: ArrayLike, z: ArrayLike) -> Iterator[tuple[float, str]]:
        """Yield those of the layers, each at its own input."""
        Zs = forward_batch(self.layers, w, self.one(z))
        for i, (layer, w_i, Z) in enumerate(zip(self.layers, split(self.layers, w), Zs[:-1], strict=True), start=1):
            for distance, name in layer.kinks(w_i, Z[0]):
                yield distance, f"{i}, {name}"

    def in_training(self, masks: Iterator[ArrayLike]) -> Self:
        """Return it around the layers in training."""
        return replace(self, layers=in_training(self.layers, masks))

    def moved(self, w: ArrayLike, Z: ArrayLike) -> Array:
        """Return w as the layers move it."""
        return moved(self.layers, w, as_batch(Z, self.takes))


LAYERS: Mapping[str, type[Layer]] = MappingProxyType(
    {
        kind.kind: kind
        for kind in (
            Dense,
            Scale,
            Parametric,
            Dropout,
            BatchNorm,
            LayerNorm,
            Residual,
            Embedding,
            Periodic,
            PiecewiseLinear,
            Members,
        )
    }
)


def by_blocks(layers: Sequence[Layer]) -> tuple[Layer, ...]:
    """Return the layers as maps of whole samples: behind `Members` each acts on its k blocks.

    Raises
    ------
    NetworkError
        When there are two `Members`, or a layer has members that `Members` does not say.

    Examples
    --------
    >>> by_blocks([Members(2, 3), Scale(2, members=3), LayerNorm(2)])[2]
    Blocks(layer=LayerNorm(n=2, epsilon=1e-05), members=3)
    """
    found: list[Layer] = []
    k = 1
    for layer in layers:
        if isinstance(layer, Members):
            if k > 1:
                raise NetworkError(f"{layer}: a network has one Members; a second would have members twice")
            k = layer.members
            found.append(layer)
        else:
            found.append(_by_blocks(layer, k))
    return tuple(found)


def _members(layer: Layer) -> int:
    """Return how many blocks a layer acts on by itself, 1 where it says nothing."""
    inner = layer.layers if isinstance(layer, Residual) else ()
    return max(getattr(layer, "members", 1), *map(_members, inner), 1)


def _by_blocks(layer: Layer, k: int) -> Layer:
    if isinstance(layer, Residual):
        return Residual(tuple(_by_blocks(inner, k) for inner in layer.layers))
    own = _members(layer)
    if own not in (1, k):
        raise NetworkError(f"{layer} has {own} members: it wants Members(..., {own}) before it")
    return layer if k == own else Blocks(layer, k)
