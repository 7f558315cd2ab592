"""Layers of columns over a batch in NumPy; letters and contract as in steps.py."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

from layerloop.engine.steps import Mode, Step
from layerloop.layers import Embedding, Periodic, PiecewiseLinear

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from layerloop.plan import Op

    Batch = NDArray[np.floating]
    Vector = NDArray[np.floating]


class ColumnsStep(Step):
    """Passes the other columns on, and knows where those that are turned come out."""

    def __init__(self, op: Op, place: int, n: int, members: int, dtype: str, *, class_major: bool) -> None:
        super().__init__(op, place, n, members, dtype, class_major=class_major)
        self.rest = list(self.layer.rest)
        self.places = list(self.layer.places)
        ends = np.cumsum([len(self.rest), *self.layer.added]).tolist()
        self.out = [slice(a, b) for a, b in itertools.pairwise(ends)]

    def pass_on(self, Z: Batch) -> None:
        """Fill the columns that are not turned."""
        self.Z[:, : len(self.rest)] = Z[:, self.rest]

    def pass_back(self, Q: Batch) -> None:
        """Fill their gradient, and 0 in the others."""
        Q.fill(0)
        Q[:, self.rest] = self.D[:, : len(self.rest)]


class EmbeddingStep(ColumnsStep):
    """A row of its table for each code; what is no code gives NaN."""

    def forward(self, Z: Batch, w: dict[str, Vector], mode: Mode) -> Batch:
        """Return the other columns and the rows."""
        self.pass_on(Z)
        self.codes: list[NDArray[np.intp]] = []
        for (place, count), out, table in zip(self.layer.columns, self.out, w.values(), strict=True):
            column = Z[:, place]
            good = (column >= 0) & (column < count) & (column == np.floor(column))
            code = np.where(good, column, 0).astype(np.intp)
            self.codes.append(code)
            self.Z[:, out] = np.where(good[:, np.newaxis], table[code], np.nan)
        return self.Z

    def backward(self, Z: Batch, w: Any, g: dict[str, Vector], Q: Batch | None) -> None:
        """Add D to the rows that were taken; a code has no gradient."""
        for code, out, table in zip(self.codes, self.out, g.values(), strict=True):
            table.fill(0)
            np.add.at(table, code, self.D[:, out])
        if Q is not None:
            self.pass_back(Q)


class PeriodicStep(ColumnsStep):
    """(x, W cos(2 pi u x + v) + b) for each column; arrays (columns, n, ...) so that all columns are one product."""

    def bound(self, w: Vector) -> tuple[Batch, Batch, Batch, Batch]:
        """Return u, v (c, 1, K), W (c, K, d) and b (c, 1, d): the columns' parts lie one behind another."""
        c, K, d = len(self.places), self.layer.frequencies, self.layer.width - 1
        block = w.reshape(c, -1)
        u, v, W, b = np.split(block, [K, 2 * K, 2 * K + K * d], axis=1)
        return u[:, np.newaxis], v[:, np.newaxis], W.reshape(c, K, d), b[:, np.newaxis]

    def forward(self, Z: Batch, w: Any, mode: Mode) -> Batch:
        """Return the other columns, and for each of these itself and its waves."""
        u, v, W, b = w
        self.pass_on(Z)
        self.x = np.dtype(self.dtype).type(2 * np.pi) * Z[:, self.places].T[:, :, np.newaxis]
        self.angle = self.x * u + v
        self.wave = np.cos(self.angle)
        waves = self.wave @ W + b
        for place, out, numbers in zip(self.places, self.out, waves, strict=True):
            self.Z[:, out.start] = Z[:, place]
            self.Z[:, out.start + 1 : out.stop] = numbers
        return self.Z

    def backward(self, Z: Batch, w: Any, g: Any, Q: Batch | None) -> None:
        """Through the product, the cosine, and both factors of the angle."""
        (u, _, W, _), (du, dv, dW, db) = w, g
        D = np.stack([self.D[:, out] for out in self.out])
        E = D[:, :, 1:]
        np.sum(E, axis=1, keepdims=True, out=db)
        np.matmul(self.wave.transpose(0, 2, 1), E, out=dW)
        back = -np.sin(self.angle) * (E @ W.transpose(0, 2, 1))
        np.sum(back, axis=1, keepdims=True, out=dv)
        np.sum(back * self.x, axis=1, keepdims=True, out=du)
        if Q is not None:
            self.pass_back(Q)
            slope = np.dtype(self.dtype).type(2 * np.pi) * (back * u).sum(axis=2)
            Q[:, self.places] = (D[:, :, 0] + slope).T


class PiecewiseLinearStep(ColumnsStep):
    """The share of each bin that a number fills, through a map of the column's own where there is a width."""

    def __init__(self, op: Op, place: int, n: int, members: int, dtype: str, *, class_major: bool) -> None:
        super().__init__(op, place, n, members, dtype, class_major=class_major)
        edges = [np.array(column) for column in self.layer.edges]
        # Formed in float64: rounded edges would shift the bins of large numbers.
        self.start = [e[:-1].astype(dtype) for e in edges]
        self.inverse = [(1 / np.diff(e)).astype(dtype) for e in edges]

    def forward(self, Z: Batch, w: dict[str, Vector], mode: Mode) -> Batch:
        """Return the other columns, and the shares or what they are mapped to."""
        self.pass_on(Z)
        maps = list(w.values())
        self.shares: list[Batch] = []
        self.slopes: list[Batch] = []
        for j, (place, out) in enumerate(zip(self.places, self.out, strict=True)):
            t = (Z[:, place, np.newaxis] - self.start[j]) * self.inverse[j]
            above, below = t > 0, t <= 1  # the slope at an edge is the left one
            above[:, 0] = below[:, -1] = True
            low, high = np.full(t.shape[1], 0.0), np.full(t.shape[1], 1.0)
            low[0], high[-1] = -np.inf, np.inf
            self.shares.append(np.clip(t, low, high).astype(self.dtype))
            self.slopes.append((above & below) * self.inverse[j])
            self.Z[:, out] = self.shares[j] @ maps[2 * j] + maps[2 * j + 1] if maps else self.shares[j]
        return self.Z

    def backward(self, Z: Batch, w: dict[str, Vector], g: dict[str, Vector], Q: Batch | None) -> None:
        """Through the map, then through the slopes of the shares."""
        maps, into = list(w.values()), list(g.values())
        if Q is not None:
            self.pass_back(Q)
        for j, (place, out) in enumerate(zip(self.places, self.out, strict=True)):
            E = self.D[:, out]
            if maps:
                np.copyto(into[2 * j], self.shares[j].T @ E)
                np.sum(E, axis=0, out=into[2 * j + 1])
                E = E @ maps[2 * j].T
            if Q is not None:
                Q[:, place] = (E * self.slopes[j]).sum(axis=1)


COLUMN_STEPS: dict[type, type[Step]] = {
    Embedding: EmbeddingStep,
    Periodic: PeriodicStep,
    PiecewiseLinear: PiecewiseLinearStep,
}
