"""Layers that turn single columns of the input into several numbers each."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from layerloop.errors import SettingError
from layerloop.layers.base import Kind, Part, number_within, settle, whole_all, widths
from layerloop.settings import whole

if TYPE_CHECKING:
    from collections.abc import Sequence


class OfColumns(Kind):
    """A layer that turns named columns into several numbers each; the others pass, in front and in their order."""

    if TYPE_CHECKING:

        @property
        def places(self) -> tuple[int, ...]:  # noqa: D102
            ...

        @property
        def added(self) -> tuple[int, ...]:  # noqa: D102
            ...

    @property
    def rest(self) -> tuple[int, ...]:
        """The columns that pass."""
        return tuple(j for j in range(self.n_in) if j not in set(self.places))

    @property
    def n_out(self) -> int:
        """The columns that pass, and what the others become."""
        return len(self.rest) + sum(self.added)

    def _check_places(self) -> None:
        name = type(self).__name__
        if not self.places:
            raise SettingError(f"{name}: columns must name at least one column")
        if len(set(self.places)) != len(self.places) or not all(0 <= j < self.n_in for j in self.places):
            raise SettingError(f"{name}: columns must be different places in 0 to {self.n_in - 1}, got {self.places}")


@dataclass(frozen=True, repr=False)
class Embedding(OfColumns):
    """A learnable row for each category: a column that holds the code c becomes the row c of its table.

    Parameters
    ----------
    n_in : int
        Columns of the input.
    columns : sequence of (int, int)
        Place and number of codes of each column that holds codes 0, 1, ...
    width : int
        Numbers that a code becomes.

    Examples
    --------
    >>> Embedding(3, [(1, 100)], width=8).n_out
    10
    """

    kind: ClassVar[str] = "embedding"
    n_in: int
    columns: Sequence[tuple[int, int]]
    width: int = 8

    def __post_init__(self) -> None:
        widths(self, "n_in", "width")
        try:
            pairs = [(place, count) for place, count in self.columns]
        except (TypeError, ValueError):
            raise SettingError(f"Embedding: columns are pairs (place, number of codes), got {self.columns!r}") from None
        places = whole_all([place for place, _ in pairs], "Embedding: a place", 0)
        counts = whole_all([count for _, count in pairs], "Embedding: a number of codes", 1)
        settle(self, columns=tuple(zip(places, counts, strict=True)))
        self._check_places()

    @property
    def places(self) -> tuple[int, ...]:
        """The columns that hold codes."""
        return tuple(place for place, _ in self.columns)

    @property
    def added(self) -> tuple[int, ...]:
        """How many numbers each becomes."""
        return (self.width,) * len(self.columns)

    @property
    def parts(self) -> tuple[Part, ...]:
        """A table (codes, width) for each column, named by its place."""
        return tuple(Part(f"table{place}", (count, self.width)) for place, count in self.columns)


@dataclass(frozen=True, repr=False)
class Periodic(OfColumns):
    """Numbers through waves of learnable frequency: x becomes (x, W cos(2 pi (u x) + v) + b), `width` numbers.

    RealMLP's PBLD (arXiv 2407.04491), after Gorishniy, Rubachev and Babenko 2022.

    Parameters
    ----------
    n_in : int
        Columns of the input.
    columns : sequence of int
        Places of the columns that are turned.
    frequencies : int
        Waves for each column.
    width : int
        Numbers that a column becomes, itself the first of them; at least 2.
    sigma : float
        Standard deviation of the first frequencies u.

    Examples
    --------
    >>> Periodic(3, [0, 2]).n_out
    9
    """

    kind: ClassVar[str] = "periodic"
    n_in: int
    columns: Sequence[int]
    frequencies: int = 16
    width: int = 4
    sigma: float = 0.1

    def __post_init__(self) -> None:
        widths(self, "n_in", "frequencies")
        settle(self, width=whole(self.width, "Periodic: width", least=2))
        number_within(self, "sigma", 0, math.inf, ends="()")
        settle(self, columns=whole_all(self.columns, "Periodic: a column", 0))
        self._check_places()

    @property
    def places(self) -> tuple[int, ...]:
        """The columns that are turned."""
        return tuple(self.columns)

    @property
    def added(self) -> tuple[int, ...]:
        """How many numbers each becomes."""
        return (self.width,) * len(self.columns)

    @property
    def parts(self) -> tuple[Part, ...]:
        """For each column u and v (frequencies,), W (frequencies, width - 1), b (width - 1,), named by its place."""
        k, d = self.frequencies, self.width - 1
        shapes = (("frequency", (k,)), ("phase", (k,)), ("weight", (k, d)), ("bias", (d,)))
        return tuple(Part(f"{name}{place}", shape) for place in self.columns for name, shape in shapes)


@dataclass(frozen=True, repr=False)
class PiecewiseLinear(OfColumns):
    """Numbers by the bin that they fall into: e_j(x) = (x - b_{j-1}) / (b_j - b_{j-1}), kept within [0, 1].

    The first is not bounded below, the last not above, so nothing outside the edges is lost. With `width`, an affine
    map of its own takes each column's T numbers to `width` (Gorishniy, Rubachev and Babenko 2022).

    Parameters
    ----------
    n_in : int
        Columns of the input.
    columns : sequence of int
        Places of the columns that are turned.
    edges : sequence of sequences of float
        b_0 < b_1 < ... < b_T of each of them, such as quantiles of the training rows.
    width : int, optional
        Numbers that a column becomes; without, its T.

    Examples
    --------
    >>> PiecewiseLinear(2, [1], [(0.0, 1.0, 5.0)]).n_out
    3
    """

    kind: ClassVar[str] = "piecewise_linear"
    n_in: int
    columns: Sequence[int]
    edges: Sequence[Sequence[float]]
    width: int | None = None

    def __post_init__(self) -> None:
        widths(self, "n_in", *(["width"] if self.width is not None else []))
        settle(self, columns=whole_all(self.columns, "PiecewiseLinear: a column", 0))
        edges = tuple(tuple(float(b) for b in column) for column in self.edges)
        if len(edges) != len(self.columns):
            raise SettingError(f"PiecewiseLinear: {len(self.columns)} columns want as many edges, got {len(edges)}")
        for column in edges:
            rising = all(a < b for a, b in itertools.pairwise(column)) and all(map(math.isfinite, column))
            if len(column) < 2 or not rising:
                raise SettingError(f"PiecewiseLinear: edges are two or more finite, rising numbers, got {column}")
        settle(self, edges=edges)
        self._check_places()

    @property
    def places(self) -> tuple[int, ...]:
        """The columns that are turned."""
        return tuple(self.columns)

    @property
    def bins(self) -> tuple[int, ...]:
        """T of each column."""
        return tuple(len(column) - 1 for column in self.edges)

    @property
    def added(self) -> tuple[int, ...]:
        """How many numbers each becomes."""
        return self.bins if self.width is None else (self.width,) * len(self.columns)

    @property
    def parts(self) -> tuple[Part, ...]:
        """With a width, W (T, width) and b (width,) for each column, named by its place."""
        if self.width is None:
            return ()
        pairs = zip(self.columns, self.bins, strict=True)
        return tuple(
            part
            for place, T in pairs
            for part in (Part(f"weight{place}", (T, self.width)), Part(f"bias{place}", (self.width,)))
        )

    def __repr__(self) -> str:
        bins = self.bins[0] if len(set(self.bins)) == 1 else list(self.bins)
        width = "" if self.width is None else f", width={self.width}"
        return f"PiecewiseLinear({self.n_in}, {list(self.columns)}, {bins} bins{width})"
