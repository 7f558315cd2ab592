"""What is reported beside a loss: accuracy of classes and of single yes-or-no entries, r2 of values."""

from __future__ import annotations

from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from layerloop.decision import EVEN, says_yes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from layerloop.losses import LossSpec

    Floats = NDArray[np.floating]
    Weights = NDArray[np.float64] | None


def figures_of(
    loss: LossSpec | None, outputs: Floats, targets: NDArray[np.generic], weights: Weights
) -> dict[str, float]:
    """Return the figure that goes with a loss of the table, by its name; a loss of one's own has none.

    Examples
    --------
    >>> from layerloop.losses import LossSpec
    >>> figures_of(LossSpec("binarycrossentropy"), np.array([[0.9, 0.2]]), np.array([[1.0, 1.0]]), None)
    {'accuracy': 0.5}
    """
    if loss is None or loss.row.figure is None:
        return {}
    return {loss.row.figure: FIGURES[loss.row.targets, loss.row.scores](outputs, targets, weights)}


def _of_classes(outputs: Floats, targets: NDArray[np.generic], weights: Weights) -> float:
    """The share of rows whose largest output is that of their class."""
    labels = targets.argmax(axis=1) if targets.ndim == 2 else targets
    return float(np.average(outputs.argmax(axis=1) == labels, weights=weights))


def _of_shares(even: float, outputs: Floats, targets: NDArray[np.generic], weights: Weights) -> float:
    """The share of entries on the right side of an even chance, over all outputs alike."""
    right = says_yes(outputs, even) == says_yes(targets.astype(np.float64))
    return float(np.average(right.mean(axis=1), weights=weights))


def _r2(outputs: Floats, targets: NDArray[np.generic], weights: Weights) -> float:
    """1 - sum (y - yhat)^2 / sum (y - mean y)^2; of several columns the mean over those that are not constant."""
    y = targets.astype(np.float64)
    errors, around = np.square(y - outputs), np.square(y - np.average(y, axis=0, weights=weights))
    found = []
    for k in np.flatnonzero(y.max(axis=0) > y.min(axis=0)):
        spread, missed = (float(np.average(part[:, k], weights=weights)) for part in (around, errors))
        found += [1 - missed / spread] if spread else []
    return float(np.mean(found)) if found else float("nan")


# By what the targets are, and whether the outputs are scores.
FIGURES: Mapping[tuple[str, bool], Callable[[Floats, NDArray[np.generic], Weights], float]] = MappingProxyType(
    {
        ("classes", False): _of_classes,
        ("classes", True): _of_classes,
        ("shares", False): partial(_of_shares, EVEN),
        ("shares", True): partial(_of_shares, 0.0),
        ("values", False): _r2,
    }
)
