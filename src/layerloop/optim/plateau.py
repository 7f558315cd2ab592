"""A rate that follows what training achieves: reduced whenever a watched figure has stopped improving."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from layerloop.errors import look_up
from layerloop.optim.ranges import INSIDE, NOT_NEGATIVE, POSITIVE, check_ranges
from layerloop.settings import whole

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class ReduceOnPlateau:
    """A constant rate r, multiplied by `factor` whenever a watched figure has stopped improving.

    How often that has happened is no function of t, so it is kept in the optimiser's state: the rate of a step is r
    times `state.scale`, and `watch(state, figures)`, which `train` calls after every pass with the row of the history,
    brings `state.scale` and the two numbers behind it, `state.numbers["best"]` and `["waited"]`, up to date.

    A figure improves when it is better than the best so far by more than threshold |best|. After more than `patience`
    passes in a row without that, the rate is reduced and the count begins anew (as PyTorch's ReduceLROnPlateau).

    Parameters
    ----------
    rate : float
    factor : float
        In (0, 1).
    patience : int
        Passes without improvement that are borne.
    threshold : float
        Least improvement that counts, as a share of the best figure.
    least : float
        The rate is never reduced below it.
    on : str
        The figure: a column of the history, such as `loss` or `validation_accuracy`.
    better : "lower" or "higher"

    Examples
    --------
    >>> plateau, scale, numbers = ReduceOnPlateau(0.1, factor=0.5, patience=1), 1.0, {}
    >>> for loss in (0.9, 0.7, 0.7, 0.8):
    ...     scale, numbers = plateau.watched(loss, scale, numbers)
    >>> scale, numbers
    (0.5, {'best': 0.7, 'waited': 0})
    """

    rate: float
    factor: float = 0.1
    patience: int = 10
    threshold: float = 1e-4
    least: float = 0.0
    on: str = "loss"
    better: str = "lower"

    def __post_init__(self) -> None:
        check_ranges(self, rate=POSITIVE, factor=INSIDE, threshold=NOT_NEGATIVE, least=NOT_NEGATIVE)
        whole(self.patience, "ReduceOnPlateau: patience", least=0)
        look_up({"lower": None, "higher": None}, self.better, "sense of better")

    def __call__(self, t: int) -> float:
        """Return r; the state's scale is applied by the step."""
        return self.rate

    def improves(self, figure: float, best: float) -> bool:
        """Whether a figure is better than the best so far by more than threshold |best|; NaN never is.

        Examples
        --------
        >>> ReduceOnPlateau(0.1, threshold=0.1).improves(0.89, 1.0), ReduceOnPlateau(0.1).improves(1.0, 1.0)
        (True, False)
        """
        margin = self.threshold * abs(best)
        return figure < best - margin if self.better == "lower" else figure > best + margin

    def watched(self, figure: float, scale: float, numbers: Mapping[str, float]) -> tuple[float, dict[str, float]]:
        """Return scale and numbers as they are after one more figure; those given are left alone."""
        best, waited = numbers.get("best"), numbers.get("waited", 0)
        if self.improves(figure, best) if best is not None else not math.isnan(figure):
            return scale, {**numbers, "best": figure, "waited": 0}
        if waited < self.patience:
            return scale, {**numbers, "waited": waited + 1}
        least = min(scale, self.least / self.rate)
        return max(scale * self.factor, least), {**numbers, "waited": 0}
