"""Looking at a table's columns and deciding what is done to each; the decisions are `layerloop.features`."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from layerloop.features import PERIODS, Codes, Date, Features, Flag, Left, Number, OneHot, SparseFeatures, Text, days_of
from layerloop.frames import Series, as_kind, parse_date, parse_number

if TYPE_CHECKING:
    from layerloop.csr import Csr
    from layerloop.features import Feature
    from layerloop.frames import Frame

FEW = 8  # levels that become a column each; RealMLP's number
WORDS = 4.0  # words a cell on average that make a column of strings text rather than a category
NUMBERS = 20  # strings that are all numbers, and more than so many different ones, are numbers
TEXT_WIDTH = 2**14


def fit_features(frame: Frame) -> Features:
    """Return what is to be done to each column.

    Examples
    --------
    >>> from layerloop.frames import read_frame
    >>> [feature.done for feature in fit_features(read_frame([[1.0, "a"], [3.0, "b"], [5.0, "a"]])).columns]
    ['number: (x - 3) / 2, smoothly clipped', 'two values: a is -1, b is 1']
    """
    return Features(tuple(_feature(series) for series in frame.series), frame.named)


def fit_sparse(rows: Csr) -> SparseFeatures:
    """Return one factor for all entries, which gives rows the root of mean squared length sqrt(width).

    Under the NTK scaling W x / sqrt(width) such rows reach the first layer at about 1, however few their entries are.
    """
    length = float(np.sqrt(np.square(rows.values.astype(np.float64)).sum() / max(len(rows), 1)))
    return SparseFeatures(rows.width, float(np.sqrt(rows.width) / length) if length > 0 else 1.0)


def _feature(series: Series) -> Feature:
    if series.missing.all():
        return Left(series.name, "it has no value at all")
    if series.kind == "number":
        return _number(series)
    if series.kind == "date":
        return _date(series)
    return _words(as_kind(series, "text"))


def robust(values: np.ndarray) -> tuple[float, float] | None:
    """Return median and the distance of the quartiles, or half the range where they meet; None for a constant."""
    present = values[~np.isnan(values)]
    low, center, high = np.quantile(present, [0.25, 0.5, 0.75])
    spread = high / 2 - low / 2
    if not spread > 0:
        spread = present.max() / 4 - present.min() / 4
    spread = min(2 * spread, np.finfo(np.float64).max)
    return (float(center), float(spread)) if spread > 0 else None


def _number(series: Series) -> Feature:
    scale, gaps = robust(series.values), bool(series.missing.any())
    if scale is None and not gaps:
        return Left(series.name, "it is constant")
    center, spread = scale or (float(np.nanmedian(series.values)), 1.0)
    return Number(series.name, center, spread, gaps)


def _date(series: Series) -> Feature:
    days = days_of(series)
    scale, gaps = robust(days), bool(series.missing.any())
    if scale is None and not gaps:
        return Left(series.name, "it is constant")
    center, spread = scale or (float(np.nanmedian(days)), 1.0)
    present = days[~np.isnan(days)]
    periods = [p for p in PERIODS if np.ptp(present) > PERIODS[p] / 2 and (p != "day" or (present % 1 != 0).any())]
    return Date(series.name, center, spread, tuple(periods), gaps)


def _words(series: Series) -> Feature:
    """A column of strings: numbers or dates in disguise, categories, text, or names that say nothing."""
    present = [word for word in series.values if word is not None]
    counts: Counter[str | None] = Counter(present)
    if len(counts) > NUMBERS and all(parse_number(word) is not None for word in present):
        return _number(as_kind(series, "number"))
    if all(parse_date(word) is not None for word in present):
        return _date(as_kind(series, "date"))
    if len(present) < len(series.values):
        counts[None] = len(series.values) - len(present)
    if len(counts) == 1:
        return Left(series.name, "it is constant")
    if len(counts) > FEW and sum(word.count(" ") + 1 for word in present) >= WORDS * len(present):
        return Text(series.name, TEXT_WIDTH)
    return _category(series.name, counts)


def _category(name: str, counts: Counter[str | None]) -> Feature:
    ordered = sorted(counts, key=lambda level: (level is None, level or ""))
    if len(ordered) == 2:
        return Flag(name, tuple(ordered))
    if len(ordered) <= FEW:
        return OneHot(name, tuple(ordered))
    often = [level for level in ordered if counts[level] > 1]
    return Codes(name, tuple(often)) if often else Left(name, "every row has a value of its own")
