"""Figures with the interval that they lie in: Wilson's for shares, the bootstrap's for means and other statistics.

Both are SciPy's. The bootstrap draws rows with replacement, 999 times, and takes the percentiles of the statistic.
"""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

LEVEL = 0.95
RESAMPLES = 999
BLOCK = 2_000_000  # numbers that are drawn at a time


class Figure(NamedTuple):
    """A figure, the ends of its interval, and how these were found; NaN where there are none."""

    name: str
    value: float
    low: float
    high: float
    interval: str

    def as_dict(self) -> dict[str, Any]:
        """Return plain data; what is not a number is None."""
        row = self._asdict()
        return {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in row.items()}


def share(name: str, successes: int, rows: int) -> Figure:
    """Return a share with Wilson's interval at 95 %.

    Examples
    --------
    >>> found = share("accuracy", 95, 100)
    >>> found.value, round(found.low, 4), round(found.high, 4)
    (0.95, 0.8882, 0.9785)
    """
    if rows == 0:
        return Figure(name, math.nan, math.nan, math.nan, "no rows")
    from scipy.stats import binomtest

    ends = binomtest(successes, rows).proportion_ci(LEVEL, method="wilson")
    return Figure(name, successes / rows, float(ends.low), float(ends.high), "95 %, Wilson")


def bootstrapped(
    name: str, statistic: Callable[..., Any], columns: Sequence[NDArray[np.floating]], seed: int = 0
) -> Figure:
    """Return a statistic of rows with its percentile bootstrap interval at 95 %.

    Parameters
    ----------
    statistic : callable
        Takes the columns and `axis`, as NumPy's own do.
    columns : sequence of (n,)
        Drawn together, row by row.
    seed : int
        Draws the rows.

    Examples
    --------
    >>> found = bootstrapped("loss", np.mean, [np.arange(100.0)])
    >>> found.value, 40 < found.low < 49.5 < found.high < 59
    (49.5, True)
    """
    value = float(statistic(*columns, axis=-1))
    n = len(columns[0])
    if n < 2:
        return Figure(name, value, math.nan, math.nan, "too few rows for an interval")
    from scipy.stats import DegenerateDataWarning, bootstrap

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DegenerateDataWarning)  # R2 of rows that are all one: left out below
        found = bootstrap(
            tuple(columns),
            statistic,
            paired=len(columns) > 1,
            vectorized=True,
            n_resamples=RESAMPLES,
            batch=max(1, BLOCK // n),
            method="percentile",
            rng=np.random.default_rng(seed),
        )
    drawn = found.bootstrap_distribution[np.isfinite(found.bootstrap_distribution)]
    if not drawn.size:
        return Figure(name, value, math.nan, math.nan, "no interval: all rows are alike")
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Figure(name, value, float(low), float(high), f"95 %, bootstrap of {RESAMPLES}")
