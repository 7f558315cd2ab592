"""Where training can go back to: the numbers as they were, and the steps taken since.

The first layer's weights are a table, (n_in, n_out). A lazy rule on sparse rows changes those rows of it alone whose
columns occur in the data; with two million columns the others are most of all numbers, and are not looked at here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from layerloop.csr import Csr
from layerloop.finite import all_finite
from layerloop.optim import LazyAdam
from layerloop.optim.compact import CompactSlots, held

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from layerloop.engine import Rows
    from layerloop.network import Chain
    from layerloop.optim import State

    Vector = NDArray[np.floating]
    Places = NDArray[np.intp] | None  # rows of the table that training may change; None for all


@dataclass
class Stretch:
    """Steps that were taken: where they stand, their rows, and the state's single numbers before them."""

    epoch: int
    done: int
    order: NDArray[np.intp]
    scale: float
    numbers: dict[str, float]


@dataclass
class Savepoint:
    """A copy of what training may change, and the stretches since; `vectors` are w and the slots, each in two parts."""

    t: int
    places: Places
    vectors: list[tuple[Vector, Vector]]
    fresh: bool = False  # all slots are 0, and not copied: to read them has the system hand out their pages
    since: list[Stretch] = field(default_factory=list)

    @classmethod
    def of(
        cls, w: Vector, state: State, places: Places, room: Savepoint | None = None, *, fresh: bool = False
    ) -> Savepoint:
        """Return a copy of the numbers as they are now, in the memory of a savepoint that is no longer needed."""
        vectors = room.vectors if room else _room(w, state, places)
        compact = state.slots if isinstance(state.slots, CompactSlots) else None
        copied = (w,) if fresh else (w, *held(state.slots))
        for i, (vector, (some, others)) in enumerate(zip(copied, vectors, strict=False)):
            table, rest = _parts(vector, state, places)
            if places is not None and i and compact:
                compact.take(i - 1, places, out=some)
            elif places is not None:
                np.take(table, places, axis=0, out=some, mode="clip")  # another mode makes a copy in between
            others[...] = rest
        return cls(state.t, places, vectors, fresh)

    def restore(self, w: Vector, state: State) -> None:
        """Put the numbers back where they were."""
        for vector, (some, others) in zip((w, *state.slots), self.vectors, strict=True):
            table, rest = _parts(vector, state, self.places)
            zero = self.fresh and vector is not w
            if self.places is not None:
                table[self.places] = 0 if zero else some
            rest[...] = 0 if zero else others
        state.t = self.t


def changing(m: Chain, state: State, rows: Rows) -> Places:
    """Return the rows of the table that training may change."""
    lazy = isinstance(rows.X, Csr) and isinstance(state.rule, LazyAdam) and m.architecture.takes_sparse
    if not lazy or not isinstance(rows.X, Csr) or state.rows[0] != rows.X.width:
        return None
    return rows.X.occurring


def still_finite(w: Vector, state: State | None = None, places: Places = None) -> bool:
    """Whether no number that training may change is NaN or infinite."""
    table, rest = _parts(w, state, places)
    return all_finite(rest) and (places is None or all_finite(table[places]))


def _parts(vector: Vector, state: State | None, places: Places) -> tuple[Vector, Vector]:
    """Return table and rest as views; where all may change, everything is rest."""
    if state is None or places is None:
        return vector[:0], vector
    n, width = state.rows
    return vector[: n * width].reshape(n, width), vector[n * width :]


def _room(w: Vector, state: State, places: Places) -> list[tuple[Vector, Vector]]:
    """Return arrays for a copy, in one stretch of memory: the system hands out a long one in larger pages, sooner."""
    width = state.rows[1]
    some = 0 if places is None else len(places) * width
    sizes = [some, len(_parts(w, state, places)[1])] * (1 + len(state.slots))
    parts = np.split(np.empty(sum(sizes), w.dtype), np.cumsum(sizes)[:-1])
    return [(table.reshape(-1, max(width, 1)), rest) for table, rest in zip(parts[::2], parts[1::2], strict=True)]
