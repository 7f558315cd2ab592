"""What every kind of layer has: g(w; z), its Jacobians A and B, their transposed products, and all of it on a batch.

Letters and shapes; n = `takes` and m = `gives` are how many numbers go in and come out, r = `size` how many the layer's
own parameters are:

    w   the layer's parameters, one vector   (r,)       z   one sample               (n,)
    A   d g / d w                            (m, r)     B   d g / d z                (m, n)
    q   what comes back from the next layer  (m,)       A^T q, B^T q                 (r,), (n,)
    Z   a batch, a sample a row              (N, n)     Q   what comes back from it  (N, m)

On a batch the outputs are taken row after row: A is (N m, r) and B is (N m, N n). A layer looks at each sample alone
(:class:`OfSamples`, whose B of a batch is block diagonal), or at the batch (:class:`OfBatches`: the statistics of a
batch normalisation, and what is made of layers that may hold one); a sample is then a batch of one.
"""

from __future__ import annotations

import math
from functools import cached_property
from itertools import accumulate
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np

from layerloop.errors import ShapeError
from layerloop.maths.activations import as_numbers
from layerloop.maths.heads import as_vector

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Self

    from numpy.typing import ArrayLike

    from layerloop.maths.activations import Array


class Part(NamedTuple):
    """A named stretch of w, row after row; what is moved, not trained, has no gradient."""

    name: str
    shape: tuple[int, ...]
    trained: bool = True

    @property
    def size(self) -> int:
        """How many numbers it has."""
        return math.prod(self.shape)


class Layer:
    """What every kind has beside its map.

    Attributes
    ----------
    kind : str
        Its row of LAYERS.
    takes, gives : int
        How many numbers z and g(w; z) have.
    parts : tuple of Part
        What w is made of, in its order.
    """

    kind: ClassVar[str]
    if TYPE_CHECKING:

        @property
        def takes(self) -> int:  # noqa: D102
            ...

        @property
        def gives(self) -> int:  # noqa: D102
            ...

        def g(self, w: ArrayLike, z: ArrayLike) -> Array: ...  # noqa: D102
        def A(self, w: ArrayLike, z: ArrayLike) -> Array: ...  # noqa: D102
        def B(self, w: ArrayLike, z: ArrayLike) -> Array: ...  # noqa: D102
        def A_vjp(self, w: ArrayLike, z: ArrayLike, q: ArrayLike) -> Array: ...  # noqa: D102
        def B_vjp(self, w: ArrayLike, z: ArrayLike, q: ArrayLike) -> Array: ...  # noqa: D102
        def g_batch(self, w: ArrayLike, Z: ArrayLike) -> Array: ...  # noqa: D102
        def A_batch(self, w: ArrayLike, Z: ArrayLike) -> Array: ...  # noqa: D102
        def B_batch(self, w: ArrayLike, Z: ArrayLike) -> Array: ...  # noqa: D102
        def A_vjp_batch(self, w: ArrayLike, Z: ArrayLike, Q: ArrayLike) -> Array: ...  # noqa: D102
        def B_vjp_batch(self, w: ArrayLike, Z: ArrayLike, Q: ArrayLike) -> Array: ...  # noqa: D102

    @property
    def parts(self) -> tuple[Part, ...]:
        """The parts of w; none by default."""
        return ()

    @cached_property
    def size(self) -> int:
        """The length r of w."""
        return sum(part.size for part in self.parts)

    def shaped(self, w: Array) -> Array:
        """Return w in the form in which it is read: W_i for a dense layer, else the vector."""
        return w

    def t(self, w: ArrayLike, z: ArrayLike) -> Array:
        """What the activation is applied to; g(w; z) itself for a layer without one."""
        return self.g(w, z)

    def kinks(self, w: ArrayLike, z: ArrayLike) -> Iterator[tuple[float, str]]:
        """Yield how far each number is from the kinks of what is applied to it, with its name; none by default."""
        return iter(())

    def in_training(self, masks: Iterator[ArrayLike]) -> Self:
        """Return the layer as a step of training sees it; each dropout takes the next of the masks."""
        return self

    def moved(self, w: ArrayLike, Z: ArrayLike) -> Array:
        """Return w after a step of training on Z, before the update: running statistics have moved."""
        return as_vector(w, "w", self.size).copy()

    def pair(self, w: ArrayLike, z: ArrayLike) -> tuple[Array, Array]:
        """Return w and z as vectors of the right lengths.

        Raises
        ------
        ShapeError
            When one has another.
        """
        return as_vector(w, "w", self.size), as_vector(z, "z", self.takes)

    def q_of(self, q: ArrayLike) -> Array:
        """Return what comes back as a vector of the right length."""
        return as_vector(q, "q", self.gives)

    def split(self, w: ArrayLike) -> list[Array]:
        """Return the parts of w, each in its shape: views."""
        parts = self.parts
        own = stretches(as_vector(w, "w", self.size), [part.size for part in parts])
        return [w_j.reshape(part.shape) for part, w_j in zip(parts, own, strict=True)]


def as_batch(Z: ArrayLike, n: int, what: str = "Z") -> Array:
    """Return Z as a matrix (N, n) of numbers.

    Raises
    ------
    ShapeError
        When it is none, or has no row.
    """
    matrix = as_numbers(Z)
    if matrix.ndim != 2 or matrix.shape[1] != n or len(matrix) == 0:
        raise ShapeError(f"{what}: expected shape (N, {n}) with N >= 1, got {matrix.shape}")
    return matrix


def stretches(v: Array, lengths: Sequence[int]) -> list[Array]:
    """Return the stretches of a vector that have these lengths, one behind another: views.

    Examples
    --------
    >>> stretches(np.arange(3), [1, 2])
    [array([0]), array([1, 2])]
    """
    return [v[end - n : end] for n, end in zip(lengths, accumulate(lengths), strict=True)]


def by_member(v: Array, k: int) -> list[Array]:
    """Return the k equally long blocks of a vector, one behind another: views.

    Examples
    --------
    >>> by_member(np.arange(4), 2)
    [array([0, 1]), array([2, 3])]
    """
    return list(v.reshape(k, v.size // k))


def block_diagonal(blocks: list[Array]) -> Array:
    """Return the matrix with these blocks along its diagonal, zero elsewhere.

    Examples
    --------
    >>> block_diagonal([np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]])])
    array([[1., 2., 0.],
           [0., 0., 3.],
           [0., 0., 4.]])
    """
    heights, lengths = ([0, *np.cumsum([block.shape[axis] for block in blocks])] for axis in (0, 1))
    whole = np.zeros((heights[-1], lengths[-1]), np.result_type(np.float64, *blocks))
    for i, block in enumerate(blocks):
        whole[heights[i] : heights[i + 1], lengths[i] : lengths[i + 1]] = block
    return whole


class OfSamples(Layer):
    """A layer given by g, A, B, A_vjp and B_vjp of one sample; on a batch, row by row."""

    def g_batch(self, w: ArrayLike, Z: ArrayLike) -> Array:
        """Return g of each row, (N, m)."""
        return np.array([self.g(w, z) for z in as_batch(Z, self.takes)])

    def A_batch(self, w: ArrayLike, Z: ArrayLike) -> Array:
        """Return the rows' A above one another, (N m, r)."""
        return np.vstack([self.A(w, z) for z in as_batch(Z, self.takes)])

    def B_batch(self, w: ArrayLike, Z: ArrayLike) -> Array:
        """Return the rows' B along the diagonal, (N m, N n): no row sees another."""
        return block_diagonal([self.B(w, z) for z in as_batch(Z, self.takes)])

    def A_vjp_batch(self, w: ArrayLike, Z: ArrayLike, Q: ArrayLike) -> Array:
        """Return sum A^T q over the rows, (r,)."""
        rows = zip(as_batch(Z, self.takes), as_batch(Q, self.gives, "Q"), strict=True)
        return np.asarray(np.sum([self.A_vjp(w, z, q) for z, q in rows], axis=0))

    def B_vjp_batch(self, w: ArrayLike, Z: ArrayLike, Q: ArrayLike) -> Array:
        """Return B^T q of each row, (N, n)."""
        rows = zip(as_batch(Z, self.takes), as_batch(Q, self.gives, "Q"), strict=True)
        return np.array([self.B_vjp(w, z, q) for z, q in rows])


class OfBatches(Layer):
    """A layer given by its forms of a batch; one sample is a batch of one."""

    def one(self, z: ArrayLike) -> Array:
        """Return a sample as a batch of one."""
        return as_vector(z, "z", self.takes)[np.newaxis]

    def g(self, w: ArrayLike, z: ArrayLike) -> Array:
        """Return g(w; z), (m,)."""
        return np.asarray(self.g_batch(w, self.one(z))[0])

    def A(self, w: ArrayLike, z: ArrayLike) -> Array:
        """Return d g / d w, (m, r)."""
        return self.A_batch(w, self.one(z))

    def B(self, w: ArrayLike, z: ArrayLike) -> Array:
        """Return d g / d z, (m, n)."""
        return self.B_batch(w, self.one(z))

    def A_vjp(self, w: ArrayLike, z: ArrayLike, q: ArrayLike) -> Array:
        """Return A^T q, (r,)."""
        return self.A_vjp_batch(w, self.one(z), self.q_of(q)[np.newaxis])

    def B_vjp(self, w: ArrayLike, z: ArrayLike, q: ArrayLike) -> Array:
        """Return B^T q, (n,)."""
        return np.asarray(self.B_vjp_batch(w, self.one(z), self.q_of(q)[np.newaxis])[0])
