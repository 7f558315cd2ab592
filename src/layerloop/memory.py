"""Arrays that begin on a cache line, as NumPy's own do not: what the engine goes through at every step lies in these.

A row of 64 float32 fills four lines of 64 bytes, and five where it begins between two. Where rows come from far away,
as the columns of wide sparse data do, that is a fifth of the traffic; and wide vector loads cross lines all the time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

LINE = 64  # bytes of a cache line
PART = 1 << 16  # numbers that are compared at a time


def aligned_zeros(size: int, dtype: DTypeLike) -> NDArray[Any]:
    """Return a vector of zeros that begins on a cache line: memory that is not there before it is used.

    Examples
    --------
    >>> z = aligned_zeros(3, "float32")
    >>> z, z.ctypes.data % LINE
    (array([0., 0., 0.], dtype=float32), 0)
    """
    kind = np.dtype(dtype)
    room = np.zeros(size * kind.itemsize + LINE, np.uint8)
    start = -room.ctypes.data % LINE
    return room[start : start + size * kind.itemsize].view(kind)


def aligned_copy(vector: NDArray[Any]) -> NDArray[Any]:
    """Return a copy of a vector that begins on a cache line.

    Examples
    --------
    >>> aligned_copy(np.array([1.0, 2.0]))
    array([1., 2.])
    """
    copy = aligned_zeros(len(vector), vector.dtype)
    copy[...] = vector
    return copy


def same_bits(a: NDArray[Any], b: NDArray[Any]) -> bool:
    """Whether two vectors are of one type and equal bit by bit, a NaN too; compared in parts, without a copy.

    Examples
    --------
    >>> same_bits(np.array([np.nan, 0.0]), np.array([np.nan, 0.0])), same_bits(np.array([0.0]), np.array([-0.0]))
    (True, False)
    """
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    pairs = ((a[start : start + PART], b[start : start + PART]) for start in range(0, len(a), PART))
    return all(np.array_equal(x.view(np.uint8), y.view(np.uint8)) for x, y in pairs)
