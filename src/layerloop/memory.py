"""Arrays that begin on a cache line, as NumPy's own do not: what the engine goes through at every step lies in these.

A row of 64 float32 fills four lines of 64 bytes, and five where it begins between two. Where rows come from far away,
as the columns of wide sparse data do, that is a fifth of the traffic; and wide vector loads cross lines all the time.
"""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from layerloop.containers import CGROUPS, PROC, groups, text_of

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import DTypeLike, NDArray

LINE = 64  # bytes of a cache line
PART = 1 << 16  # numbers that are compared at a time
LARGE = 1 << 30  # bytes up to which nobody asks how many there are


def memory_limit(proc: Path = PROC, cgroups: Path = CGROUPS) -> float:
    """Return how many bytes this process can have: what the machine has, or its container; infinity if none tells.

    Examples
    --------
    >>> memory_limit() > 0
    True
    """
    names = getattr(os, "sysconf_names", {})
    known = "SC_PHYS_PAGES" in names and "SC_PAGE_SIZE" in names
    found = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")] if known else []
    for version, folder in groups("memory", proc, cgroups):
        text = text_of(folder / ("memory.max" if version == 2 else "memory.limit_in_bytes")).strip()
        found += [int(text)] if text.isdecimal() else []  # "max", or no such file
    return min((limit for limit in found if limit > 0), default=math.inf)


def check_memory(need: int, what: str) -> None:
    """Raise MemoryError for more bytes than there are.

    A system may hand out addresses for them all the same, and end the process when they are used.

    Examples
    --------
    >>> check_memory(1000, "a picture")
    """
    if need > LARGE and need > (most := memory_limit()):
        raise MemoryError(f"{what} would take {need / 1e9:.3g} GB, and this process may have {most / 1e9:.3g}")


def aligned_zeros(size: int, dtype: DTypeLike) -> NDArray[Any]:
    """Return a vector of zeros that begins on a cache line: memory that is not there before it is used.

    Raises
    ------
    MemoryError
        More than there is.

    Examples
    --------
    >>> z = aligned_zeros(3, "float32")
    >>> z, z.ctypes.data % LINE
    (array([0., 0., 0.], dtype=float32), 0)
    """
    kind = np.dtype(dtype)
    check_memory(size * kind.itemsize, f"{size:,} numbers of {kind}")
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
