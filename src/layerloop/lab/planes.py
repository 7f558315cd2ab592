"""Data sets of two columns, whose decision surface can be drawn: moons, circles, spirals."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from layerloop.data import Dataset
from layerloop.errors import look_up

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    Plane = tuple[NDArray[np.floating], NDArray[np.integer]]

ROWS = 600


def plane(name: str, rows: int = ROWS, seed: int = 0) -> Dataset:
    """Return a set of points in the plane, drawn by the seed.

    Raises
    ------
    UnknownNameError
        When it is none of the table.

    Examples
    --------
    >>> moons = plane("moons")
    >>> moons.X.shape, moons.classes, moons.columns
    ((600, 2), ('A', 'B'), ('x', 'y'))
    """
    X, y = look_up(PLANES, name, "data set")(rows, seed)
    classes = tuple("ABCDEFG"[: int(y.max()) + 1])
    return Dataset(name, X.astype(np.float32), y.astype(np.int64), "classes", classes, columns=("x", "y"))


def _moons(rows: int, seed: int) -> Plane:
    from sklearn.datasets import make_moons

    return make_moons(rows, noise=0.15, random_state=seed)  # type: ignore[no-any-return]


def _circles(rows: int, seed: int) -> Plane:
    from sklearn.datasets import make_circles

    return make_circles(rows, noise=0.08, factor=0.5, random_state=seed)  # type: ignore[no-any-return]


def _spirals(rows: int, seed: int) -> Plane:
    """Three arms, r(t) e^{i (2 pi c / 3 + 4 t)} for t in [0.1, 1], with noise."""
    rng = np.random.default_rng(seed)
    y = np.arange(rows) % 3
    t = rng.uniform(0.1, 1, rows)
    angle = 2 * np.pi * y / 3 + 4 * t
    return np.c_[t * np.cos(angle), t * np.sin(angle)] + rng.normal(0, 0.03, (rows, 2)), y


PLANES: Mapping[str, Callable[[int, int], Plane]] = MappingProxyType(
    {"moons": _moons, "circles": _circles, "spirals": _spirals}
)
