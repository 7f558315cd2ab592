"""Values as a network is trained on them: of mean 0 and deviation 1, every column of the target by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from layerloop.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Number = float | NDArray[np.float64]

# A target this many times its own deviation away from zero keeps no three digits of that deviation in float32.
FARTHEST = {"float32": 1e4, "float64": 1e12}


class Standard(NamedTuple):
    """Center and spread of a target while training: numbers of one value a row, (K,) of several; (0, 1) as it is."""

    center: Number = 0.0
    spread: Number = 1.0

    @property
    def several(self) -> bool:
        """Whether there are several values a row, each with a unit of its own."""
        return np.ndim(self.spread) > 0

    @property
    def spreads(self) -> tuple[float, ...]:
        """The spread of every column."""
        return tuple(np.atleast_1d(self.spread).tolist())

    def applied(self, y: NDArray[np.generic]) -> NDArray[np.float64]:
        """Return values in their own units as they are while training."""
        scaled: NDArray[np.float64] = (y.astype(np.float64) - self.center) / self.spread
        return scaled

    def undone(self, y: NDArray[np.generic]) -> NDArray[np.float64]:
        """Return values as they are while training in their own units."""
        values: NDArray[np.float64] = y.astype(np.float64) * self.spread + self.center
        return values

    def fold(self, weight: NDArray[np.floating], bias: NDArray[np.floating]) -> None:
        """Make of W z + b, in place, spread * (W z + b) + center; weight is (n_in, K), bias (K,)."""
        weight *= self.spread
        bias *= self.spread
        bias += self.center


AS_IT_IS = Standard()


def standard_of(y: NDArray[np.generic], names: Sequence[str], dtype: str) -> Standard:
    """Return center and spread of every column of y, (n,) or (n, K), which the messages call `names`.

    Raises
    ------
    InputError
        The network's numbers cannot hold them once they are folded into its last layer.

    Examples
    --------
    >>> standard_of(np.array([1.0, 3.0]), ["the price"], "float32")
    Standard(center=2.0, spread=1.0)
    """
    if y.ndim == 1:
        return Standard(*_column(y, names[0], dtype))
    center, spread = np.transpose([_column(*pair, dtype) for pair in zip(y.T, names, strict=True)])
    return Standard(center, spread)


def _column(y: NDArray[Any], name: str, dtype: str) -> tuple[float, float]:
    """Return center and spread of one column; 1 for the spread of a constant one."""
    values = y.astype(np.float64)
    largest = float(np.abs(values).max())
    hint = "use dtype float64, or " if dtype == "float32" else ""
    if not largest < np.sqrt(float(np.finfo(dtype).max)) / 10:  # its square must have room
        raise InputError(f"{name} reaches {largest:.3g}, too much for {dtype}: {hint}rescale it")
    center, spread = float(values.mean()), float(values.std())
    if spread <= 1e-14 * largest:
        return center, 1.0
    if abs(center) > FARTHEST[dtype] * spread:
        raise InputError(
            f"{name} is {center:.6g} +- {spread:.2g}, which {dtype} has too few digits for: {hint}subtract {center:.6g}"
        )
    return center, spread
