"""The slots of a rule that leaves rows alone, kept short: a place for each row of a wide first layer that steps met.

With two million columns each slot is as long as the weights, and the rows that ever change lie so far apart in it that
the system hands out memory for nearly all of it. Here those rows lie side by side, in the order in which steps met
them, and the long vectors, zeros that take no memory, are not touched until somebody reads them.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from layerloop.memory import aligned_zeros

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Vector = NDArray[np.floating]
    Batch = NDArray[np.floating]

SHARE = 4  # the rows with a place are at most one in so many


class CompactSlots(Sequence["Vector"]):
    """Slots as a sequence of vectors like w, of which rows of the first layer may have a place elsewhere.

    To read a vector puts all rows back into it first, and no row has a place from then on: what is read may be changed.

    Parameters
    ----------
    vectors : sequence of ndarray
        The slots, each as long as w.
    rows : (int, int)
        Number and width of the first layer's rows, with which each of them begins.
    room : int
        For how many rows there are places.

    Examples
    --------
    >>> slots = CompactSlots([np.zeros(8)], rows=(3, 2), room=2)
    >>> slots.places[1], slots.near[0][0], slots.used[0] = 0, [4.0, 5.0], 1  # what an engine does
    >>> slots.held[0].any(), slots[0], slots.places
    (np.False_, array([0., 0., 4., 5., 0., 0., 0., 0.]), array([-1, -1, -1], dtype=int32))
    """

    def __init__(self, vectors: Sequence[Vector], rows: tuple[int, int], room: int) -> None:
        self._renew_lock()
        _all.add(self)
        self.held = tuple(vectors)  # as they are: a row that has a place is out of date here
        self.rows = rows
        self.places = np.full(rows[0], -1, np.int32)  # of each row; -1 for none
        self.near = tuple(self._rows(room) for _ in self.held)
        self.used = np.zeros(1, np.int64)  # places that are taken, the first ones

    def _renew_lock(self) -> None:
        self.lock = threading.RLock()  # while rows are put back or steps change them: other threads may read meanwhile

    def _rows(self, room: int) -> Batch:
        width = self.rows[1]
        return aligned_zeros(room * width, self.held[0].dtype).reshape(room, width)

    @property
    def room(self) -> int:
        """For how many rows there are places."""
        return len(self.near[0])

    def __len__(self) -> int:
        return len(self.held)

    @overload
    def __getitem__(self, i: int) -> Vector: ...
    @overload
    def __getitem__(self, i: slice) -> Sequence[Vector]: ...
    def __getitem__(self, i: int | slice) -> Vector | Sequence[Vector]:
        self.settle()
        return self.held[i]

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle and copy as the tuple of vectors that this stands for."""
        return tuple, (tuple(self),)

    def grow(self, room: int) -> None:
        """Have places for more rows."""
        with self.lock:
            used, larger = self.used[0], tuple(self._rows(room) for _ in self.held)
            for new, old in zip(larger, self.near, strict=True):
                new[:used] = old[:used]
            self.near = larger  # last: Ctrl-C may come before

    def settle(self) -> None:
        """Put all rows back into the vectors."""
        with self.lock:
            if not self.used[0]:
                return
            rows = np.flatnonzero(self.places >= 0)
            for vector, near in zip(self.held, self.near, strict=True):
                self._table(vector)[rows] = near[self.places[rows]]
            self.places[rows], self.used[0] = -1, 0

    def take(self, slot: int, rows: NDArray[np.integer], out: Batch) -> None:
        """Fill `out` with rows of a slot as they are now, wherever they lie."""
        with self.lock:
            at, table = self.places[rows], self._table(self.held[slot])
            here = at >= 0
            if here.all():
                np.take(self.near[slot], at, axis=0, out=out, mode="clip")  # another mode makes a copy in between
            else:
                out[here], out[~here] = self.near[slot][at[here]], table[rows[~here]]

    def _table(self, vector: Vector) -> Batch:
        n, width = self.rows
        return vector[: n * width].reshape(n, width)


_all: weakref.WeakSet[CompactSlots] = weakref.WeakSet()


def _renew_locks() -> None:
    """Free the locks in a child of fork, where the threads that hold them are not."""
    for slots in _all:
        slots._renew_lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_locks)


def held(slots: Sequence[Vector]) -> Sequence[Vector]:
    """Return slots to be looked at as arrays, without putting rows back into them."""
    return slots.held if isinstance(slots, CompactSlots) else slots


def compacted(slots: Sequence[Vector], rows: tuple[int, int], entries: int) -> Sequence[Vector]:
    """Return the slots with places for the rows that so many entries of sparse data may name, where that is few of all.

    Examples
    --------
    >>> w = np.zeros(400)
    >>> type(compacted([w], (100, 4), 20)).__name__, compacted([w], (100, 4), 60) == [w]
    ('CompactSlots', True)
    """
    most = rows[0] // SHARE
    if not isinstance(slots, CompactSlots):
        return slots if entries > most or not entries else CompactSlots(slots, rows, min(2 * entries, most))
    need = min(int(slots.used[0]) + entries, most)
    if slots.room < need:
        slots.grow(min(2 * need, most))
    return slots
