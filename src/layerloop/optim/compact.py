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

from layerloop.memory import aligned_copy, aligned_zeros

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
    zero : bool
        Whether the vectors are all 0; a copy then leaves their rows untouched too, until somebody has read them.

    Examples
    --------
    >>> slots = CompactSlots([np.zeros(8)], rows=(3, 2), room=2)
    >>> slots.places[1], slots.near[0][0], slots.used[0] = 0, [4.0, 5.0], 1  # what an engine does
    >>> slots.held[0].any(), slots[0], slots.places
    (np.False_, array([0., 0., 4., 5., 0., 0., 0., 0.]), array([-1, -1, -1], dtype=int32))
    """

    def __init__(self, vectors: Sequence[Vector], rows: tuple[int, int], room: int = 0, *, zero: bool = False) -> None:
        self._renew_lock()
        _all.add(self)
        self.held = tuple(vectors)  # as they are: a row that has a place is out of date here
        self.rows = rows
        self.places = np.empty(0, np.int32)  # of each row, -1 for none, once there are any
        self.near = tuple(self._rows(0) for _ in self.held)
        self.used = np.zeros(2, np.int64)  # places that are taken, the first ones; whether a step lacked room for more
        self._zero = zero
        if room:
            self.grow(room)

    def _renew_lock(self) -> None:
        self.lock = threading.RLock()  # while rows are put back or steps change them: other threads may read meanwhile

    def _rows(self, room: int) -> Batch:
        width = self.rows[1]
        return aligned_zeros(room * width, self.held[0].dtype).reshape(room, width)

    @property
    def room(self) -> int:
        """For how many rows there are places."""
        return len(self.near[0])

    @property
    def untouched(self) -> bool:
        """Whether rows without a place are 0: nobody has read the vectors, and no step lacked room."""
        return self._zero and not self.used[1]

    def __len__(self) -> int:
        return len(self.held)

    @overload
    def __getitem__(self, i: int) -> Vector: ...
    @overload
    def __getitem__(self, i: slice) -> Sequence[Vector]: ...
    def __getitem__(self, i: int | slice) -> Vector | Sequence[Vector]:
        self.settle()
        return self.held[i]

    def __repr__(self) -> str:
        n, width = self.rows
        return f"CompactSlots({len(self.held)} vectors, {self.used[0]} of {n} rows of {width} side by side)"

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the rows that have a place and what stands behind the rows, where that is all; else whole vectors."""
        with self.lock:
            if not self.untouched:
                return tuple, (tuple(self.copy()),)
            rows, size, used = np.flatnonzero(self.places >= 0), self.rows[0] * self.rows[1], self.used[0]
            rest = [vector[size:].copy() for vector in self.held]
            near = [part[:used].copy() for part in self.near]
            return _from_rows, (self.rows, self.room, rows[np.argsort(self.places[rows])], near, rest)

    def __copy__(self) -> CompactSlots:
        return self.copy()

    def __deepcopy__(self, memo: dict[int, Any]) -> CompactSlots:
        return self.copy()

    def copy(self) -> CompactSlots:
        """Return an independent copy, which takes as little memory."""
        with self.lock:
            zero, size = self.untouched, self.rows[0] * self.rows[1]
            copied = [aligned_zeros(len(v), v.dtype) if zero else aligned_copy(v) for v in self.held]
            if zero:
                for vector, own in zip(copied, self.held, strict=True):
                    vector[size:] = own[size:]
            new = CompactSlots(copied, self.rows, zero=zero)
            new.near, new.places, new.used = self._moved(self.room), self.places.copy(), self.used.copy()
            return new

    def grow(self, room: int) -> None:
        """Have places for more rows."""
        with self.lock:
            near = self._moved(room)
            if not self.room:
                self.places = np.full(self.rows[0], -1, np.int32)
            self.near = near  # last: Ctrl-C may come before

    def _moved(self, room: int) -> tuple[Batch, ...]:
        """Return other memory for so many rows, with those that are side by side now."""
        used, moved = self.used[0], tuple(self._rows(room) for _ in self.held)
        for new, old in zip(moved, self.near, strict=True):
            new[:used] = old[:used]
        return moved

    def settle(self) -> None:
        """Put all rows back into the vectors, into which a reader may write from then on."""
        with self.lock:
            self._zero = False
            if not self.used[0]:
                return
            rows = np.flatnonzero(self.places >= 0)
            for vector, near in zip(self.held, self.near, strict=True):
                self._table(vector)[rows] = near[self.places[rows]]
            self.places[rows], self.used[:] = -1, 0

    def take(self, slot: int, rows: NDArray[np.integer], out: Batch) -> None:
        """Fill `out` with rows of a slot as they are now, wherever they lie."""
        with self.lock:
            table = self._table(self.held[slot])
            at = self.places[rows] if self.room else np.full(len(rows), -1)
            here = at >= 0
            if here.all():
                np.take(self.near[slot], at, axis=0, out=out, mode="clip")  # another mode makes a copy in between
            else:
                out[here], out[~here] = self.near[slot][at[here]], table[rows[~here]]

    def _table(self, vector: Vector) -> Batch:
        n, width = self.rows
        return vector[: n * width].reshape(n, width)


def _from_rows(
    rows: tuple[int, int],
    room: int,
    placed: NDArray[np.intp],
    near: Sequence[Batch],
    rest: Sequence[Vector],
) -> CompactSlots:
    """Return slots from the rows that had a place, in that order, and what stood behind all rows; the others are 0."""
    size = rows[0] * rows[1]
    slots = CompactSlots([aligned_zeros(size + len(part), part.dtype) for part in rest], rows, room, zero=True)
    for vector, part in zip(slots.held, rest, strict=True):
        vector[size:] = part
    for ours, theirs in zip(slots.near, near, strict=True):
        ours[: len(placed)] = theirs
    slots.places[placed], slots.used[0] = np.arange(len(placed)), len(placed)
    return slots


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


def compacted(slots: Sequence[Vector], rows: tuple[int, int], met: NDArray[np.integer]) -> Sequence[Vector]:
    """Return the slots with places for the rows that steps will meet, each named once, where that is few of all.

    Examples
    --------
    >>> w = np.zeros(400)
    >>> type(compacted([w], (100, 4), np.arange(20))).__name__, compacted([w], (100, 4), np.arange(60)) == [w]
    ('CompactSlots', True)
    """
    most, count = rows[0] // SHARE, len(met)
    found = slots if isinstance(slots, CompactSlots) else None
    if not count or (count > most and not (found and found.room)):
        return slots
    if not found:
        return CompactSlots(slots, rows, min(2 * count, most))
    if found.room < min(int(found.used[0]) + count, most):
        new = int(np.count_nonzero(found.places[met] < 0)) if found.room else count
        need = min(int(found.used[0]) + new, most)
        if found.room < need:
            found.grow(min(2 * need, most))
    return found
