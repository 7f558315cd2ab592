"""Layers that turn named columns of the input into several numbers each; the others pass, in front and in their order.

Letters as in `kind`. A column's piece of the output is a function phi(w_j; x) of its number x alone, so that

    g(w; z) = (z_rest; phi(w_1; z_{c_1}); phi(w_2; z_{c_2}); ...),    A block diagonal,    one column of B for each z_j

and a kind is given by phi and its two derivatives. Columns are counted from 0, as everywhere in Python.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from layerloop.errors import NetworkError
from layerloop.maths.kind import OfSamples, Part, block_diagonal, stretches

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import ArrayLike

    from layerloop.maths.activations import Array


class OfColumns(OfSamples):
    """A layer given by `places`, `widths`, `parts_of`, and phi, dphi_dw, dphi_dx of one column."""

    if TYPE_CHECKING:
        n_in: int

        @property
        def places(self) -> tuple[int, ...]:  # noqa: D102
            ...

        @property
        def widths(self) -> tuple[int, ...]:  # noqa: D102
            ...

        def parts_of(self, j: int) -> tuple[Part, ...]: ...  # noqa: D102
        def phi(self, j: int, w: list[Array], x: complex) -> Array: ...  # noqa: D102
        def dphi_dw(self, j: int, w: list[Array], x: complex) -> Array: ...  # noqa: D102
        def dphi_dx(self, j: int, w: list[Array], x: complex) -> Array: ...  # noqa: D102

    def _check_places(self) -> None:
        places = self.places
        if not places or len(set(places)) != len(places) or not all(0 <= c < self.n_in for c in places):
            raise NetworkError(f"columns: expected different places 0 to {self.n_in - 1}, at least one, got {places}")

    @property
    def rest(self) -> list[int]:
        """The columns that pass."""
        return [c for c in range(self.n_in) if c not in self.places]

    @property
    def takes(self) -> int:
        """The width n_in."""
        return self.n_in

    @property
    def gives(self) -> int:
        """The columns that pass, and what the others become."""
        return len(self.rest) + sum(self.widths)

    @property
    def parts(self) -> tuple[Part, ...]:
        """Those of each column, in the order of columns."""
        return tuple(part for j in range(len(self.places)) for part in self.parts_of(j))

    def _columns(self, w: ArrayLike, z: ArrayLike) -> Iterator[tuple[int, list[Array], complex]]:
        """Yield (j, the parts of w_j, x) of each column."""
        w, z = self.pair(w, z)
        parts = iter(self.split(w))
        for j, c in enumerate(self.places):
            yield j, [next(parts) for _ in self.parts_of(j)], z[c]

    def _pieces(self, q: ArrayLike) -> list[Array]:
        """Return q cut into the columns that pass and each column's piece."""
        return stretches(self.q_of(q), [len(self.rest), *self.widths])

    def g(self, w: ArrayLike, z: ArrayLike) -> Array:
        """Return (z_rest; phi; phi; ...), (gives,)."""
        z = self.pair(w, z)[1]
        return np.concatenate([z[self.rest], *(self.phi(*column) for column in self._columns(w, z))])

    def A(self, w: ArrayLike, z: ArrayLike) -> Array:
        """Return the columns' dphi/dw_j along the diagonal, below zero rows for the columns that pass."""
        passing = np.empty((len(self.rest), 0))
        return block_diagonal([passing, *(self.dphi_dw(*column) for column in self._columns(w, z))])

    def B(self, w: ArrayLike, z: ArrayLike) -> Array:
        """Return rows of the unit matrix for the columns that pass; column c_j holds dphi/dx."""
        pieces = [self.dphi_dx(*column)[:, np.newaxis] for column in self._columns(w, z)]
        J = block_diagonal([np.eye(len(self.rest)), *pieces])
        return J[:, np.argsort([*self.rest, *self.places])]

    def A_vjp(self, w: ArrayLike, z: ArrayLike, q: ArrayLike) -> Array:
        """Return each column's (dphi/dw_j)^T q_j, one behind another."""
        _, *pieces = self._pieces(q)
        pairs = zip(self._columns(w, z), pieces, strict=True)
        return np.concatenate([np.empty(0), *(self.dphi_dw(*column).T @ q_j for column, q_j in pairs)])

    def B_vjp(self, w: ArrayLike, z: ArrayLike, q: ArrayLike) -> Array:
        """Return q for the columns that pass, <dphi/dx, q_j> for the others."""
        passing, *pieces = self._pieces(q)
        back = np.zeros(self.n_in, passing.dtype)
        back[self.rest] = passing
        for (j, w_j, x), q_j in zip(self._columns(w, z), pieces, strict=True):
            back[self.places[j]] = self.dphi_dx(j, w_j, x) @ q_j
        return back


@dataclass(frozen=True)
class Embedding(OfColumns):
    """Embedding of categories: a column that holds the code c becomes row c of its table, phi(T; c) = T_c.

    w holds the tables (count, width) one after another, row after row. dphi/dx = 0. What is no code gives NaN.

    Attributes
    ----------
    columns : tuple of (int, int)
        Place and number of codes of each column.

    Examples
    --------
    >>> Embedding(2, ((0, 3),), width=2).g([10.0, 11.0, 20.0, 21.0, 30.0, 31.0], [2.0, 7.0])
    array([ 7., 30., 31.])
    """

    kind: ClassVar[str] = "embedding"
    n_in: int
    columns: Sequence[tuple[int, int]]
    width: int

    def __post_init__(self) -> None:
        self._check_places()

    @property
    def places(self) -> tuple[int, ...]:
        """The columns that hold codes."""
        return tuple(place for place, _ in self.columns)

    @property
    def widths(self) -> tuple[int, ...]:
        """How many numbers each becomes."""
        return (self.width,) * len(self.columns)

    def parts_of(self, j: int) -> tuple[Part, ...]:
        """The table."""
        place, count = self.columns[j]
        return (Part(f"table of column {place}", (count, self.width)),)

    def _one_hot(self, j: int, x: complex) -> Array:
        """Return e_c for the code c, (count,); all NaN for what is no code."""
        unit = (np.arange(self.columns[j][1]) == np.real(x)).astype(np.float64)
        return unit if unit.any() else np.full(unit.shape, np.nan)

    def phi(self, j: int, w: list[Array], x: complex) -> Array:
        """Return T^T e_c = T_c."""
        e = self._one_hot(j, x)
        return np.asarray(w[0][int(np.argmax(e))]) if not np.isnan(e[0]) else np.full(self.width, np.nan)

    def dphi_dw(self, j: int, w: list[Array], x: complex) -> Array:
        """Return e_c^T (x) I, (width, count width)."""
        return np.asarray(np.kron(self._one_hot(j, x), np.eye(self.width)), dtype=np.float64)

    def dphi_dx(self, j: int, w: list[Array], x: complex) -> Array:
        """Return 0: a code is no quantity."""
        return np.zeros(self.width)


@dataclass(frozen=True)
class Periodic(OfColumns):
    """Waves of learnable frequency (PBLD of RealMLP): phi(x) = (x, W2 cos(2 pi (w1 x) + b1) + b2), `width` numbers.

    Of each column w1 and b1 (k,), then W2 as (k, d - 1) row after row, then b2 (d - 1,), with k = `frequencies`,
    d = `width` (arXiv 2407.04491, after Gorishniy, Rubachev and Babenko 2022).

    Examples
    --------
    >>> Periodic(1, (0,), frequencies=1, width=2).g([0.25, 0.0, 4.0, 1.0], [2.0])  # cos(2 pi 0.25 2) = -1
    array([ 2., -3.])
    """

    kind: ClassVar[str] = "periodic"
    n_in: int
    columns: Sequence[int]
    frequencies: int
    width: int

    def __post_init__(self) -> None:
        self._check_places()
        if self.width < 2:
            raise NetworkError(f"width: a column becomes itself and at least one number more, got {self.width}")

    @property
    def places(self) -> tuple[int, ...]:
        """The columns that are turned."""
        return tuple(self.columns)

    @property
    def widths(self) -> tuple[int, ...]:
        """How many numbers each becomes."""
        return (self.width,) * len(self.columns)

    def parts_of(self, j: int) -> tuple[Part, ...]:
        """`w1`, `b1`, `W2` transposed, `b2`."""
        k, d = self.frequencies, self.width - 1
        shapes = (("w1", (k,)), ("b1", (k,)), ("W2", (k, d)), ("b2", (d,)))
        return tuple(Part(f"{name} of column {self.columns[j]}", shape) for name, shape in shapes)

    def _angle(self, w: list[Array], x: complex) -> Array:
        return np.asarray(2.0 * np.pi * (w[0] * x) + w[1])

    def phi(self, j: int, w: list[Array], x: complex) -> Array:
        """Return (x, W2 cos(2 pi (w1 x) + b1) + b2)."""
        return np.append(x, np.cos(self._angle(w, x)) @ w[2] + w[3])

    def dphi_dw(self, j: int, w: list[Array], x: complex) -> Array:
        """Return (-W2 diag(2 pi x sin)  -W2 diag(sin)  cos^T (x) I  I), (d, size of w_j), below a zero row for x."""
        angle, d = self._angle(w, x), self.width - 1
        slope = -w[2].T * np.sin(angle)
        waves = np.hstack([slope * 2.0 * np.pi * x, slope, np.kron(np.cos(angle), np.eye(d)), np.eye(d)])
        return np.vstack([np.zeros(waves.shape[1]), waves])

    def dphi_dx(self, j: int, w: list[Array], x: complex) -> Array:
        """Return (1, -W2 (2 pi w1 o sin))."""
        return np.append(1.0, -(2.0 * np.pi * w[0] * np.sin(self._angle(w, x))) @ w[2])


@dataclass(frozen=True)
class PiecewiseLinear(OfColumns):
    """Piecewise-linear encoding by bins b_0 < ... < b_T: e_j(x) = (x - b_{j-1}) / (b_j - b_{j-1}) held in [0, 1].

    e_1 is not held at 0, nor e_T at 1, so nothing outside the edges is lost (Gorishniy, Rubachev and Babenko 2022).
    Without `width` phi(x) = e(x), (T,), and there are no parameters; with it phi(x) = W^T e(x) + b, W (T, width) row
    after row, then b. At an edge the derivative is the left one.

    Examples
    --------
    >>> PiecewiseLinear(1, (0,), ((0.0, 1.0, 3.0, 4.0),)).g([], [2.0])
    array([1. , 0.5, 0. ])
    >>> PiecewiseLinear(1, (0,), ((0.0, 1.0, 3.0),), width=1).g([10.0, 20.0, 1.0], [-2.0])  # -2 10 + 0 20 + 1
    array([-19.])
    """

    kind: ClassVar[str] = "piecewise_linear"
    n_in: int
    columns: Sequence[int]
    edges: Sequence[Sequence[float]]
    width: int | None = None

    def __post_init__(self) -> None:
        self._check_places()
        if len(self.edges) != len(self.columns):
            raise NetworkError(f"edges: expected those of {len(self.columns)} columns, got {len(self.edges)}")
        for column in self.edges:
            if len(column) < 2 or not all(a < b for a, b in pairwise(column)):
                raise NetworkError(f"edges: expected two or more rising numbers for each column, got {column}")

    @property
    def places(self) -> tuple[int, ...]:
        """The columns that are turned."""
        return tuple(self.columns)

    @property
    def widths(self) -> tuple[int, ...]:
        """How many numbers each becomes."""
        return tuple(len(column) - 1 if self.width is None else self.width for column in self.edges)

    def parts_of(self, j: int) -> tuple[Part, ...]:
        """With a width, `W` (T, width) and `b` (width,)."""
        if self.width is None:
            return ()
        shapes = (("W", (len(self.edges[j]) - 1, self.width)), ("b", (self.width,)))
        return tuple(Part(f"{name} of column {self.columns[j]}", shape) for name, shape in shapes)

    def _e(self, j: int, x: complex) -> tuple[Array, Array]:
        """Return e(x) and de/dx, (T,)."""
        b = np.array(self.edges[j])
        low, high = b[:-1].copy(), b[1:].copy()
        slope = 1.0 / (high - low)
        e = (x - low) * slope
        low[0], high[-1] = -np.inf, np.inf
        e = np.where(np.real(x) <= low, 0.0, np.where(np.real(x) > high, 1.0, e))  # asked this way round, NaN stays
        return e, np.where((low < np.real(x)) & (np.real(x) <= high), slope, 0.0)

    def phi(self, j: int, w: list[Array], x: complex) -> Array:
        """Return e(x), or W^T e(x) + b."""
        e, _ = self._e(j, x)
        return e if self.width is None else np.asarray(e @ w[0] + w[1])

    def dphi_dw(self, j: int, w: list[Array], x: complex) -> Array:
        """Return (e^T (x) I  I), (width, T width + width); (T, 0) without a width."""
        e, _ = self._e(j, x)
        if self.width is None:
            return np.empty((e.size, 0))
        return np.hstack([np.kron(e, np.eye(self.width)), np.eye(self.width)])

    def dphi_dx(self, j: int, w: list[Array], x: complex) -> Array:
        """Return de/dx, or W^T de/dx."""
        _, slope = self._e(j, x)
        return slope if self.width is None else np.asarray(slope @ w[0])

    def kinks(self, w: ArrayLike, z: ArrayLike) -> Iterator[tuple[float, str]]:
        """Yield how far each column is from its inner edges."""
        for j, _, x in self._columns(w, z):
            for b in self.edges[j][1:-1]:
                yield float(abs(x - b)), f"column {self.columns[j]}"
