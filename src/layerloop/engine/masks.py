"""Which entries a dropout keeps: a hash of seed, step, layer and entry, the same in both engines.

No order of work matters then, nor how many threads share it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MASK64 = (1 << 64) - 1


def _mixed(x: int) -> int:
    """Return 64 well-mixed bits (the finaliser of splitmix64; Steele, Lea and Flood 2014)."""
    x = ((x ^ x >> 30) * 0xBF58476D1CE4E5B9) & MASK64
    x = ((x ^ x >> 27) * 0x94D049BB133111EB) & MASK64
    return x ^ x >> 31


def key_of(seed: int, step: int, place: int) -> tuple[int, int]:
    """Return two 32-bit keys for one mask of one step; both engines compute with these."""
    mixed = _mixed(_mixed((seed + 0x9E3779B97F4A7C15 * (step + 1)) & MASK64) ^ _mixed(place + 1))
    return mixed & 0xFFFFFFFF, mixed >> 32


def keeps(n: int, width: int, rate: float, key: tuple[int, int, int]) -> NDArray[np.bool_]:
    """Return which entries of (n, width) a dropout keeps: a hash of their number, so that no order of work matters."""
    x = np.arange(n * width, dtype=np.uint32).reshape(n, width)
    for part in key_of(*key):
        x = x ^ np.uint32(part)
        x = (x ^ x >> np.uint32(16)) * np.uint32(0x7FEB352D)
        x = (x ^ x >> np.uint32(15)) * np.uint32(0x846CA68B)
        x ^= x >> np.uint32(16)
    return x >> np.uint32(8) >= np.uint32(threshold(rate))


def threshold(rate: float) -> int:
    """Return the 24-bit number below which an entry is dropped."""
    return round(rate * (1 << 24))
