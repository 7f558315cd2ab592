"""Settings are checked where they are made: one sentence says which, what is allowed, and what came."""

from __future__ import annotations

import math

import numpy as np

from layerloop.errors import SettingError

Range = tuple[float, float]

POSITIVE: Range = (math.ulp(0.0), math.inf)
NOT_NEGATIVE: Range = (0.0, math.inf)
SHARE: Range = (0.0, 1.0)
INSIDE: Range = (math.ulp(0.0), 1.0)


def check_ranges(settings: object, **ranges: Range) -> None:
    """Refuse settings outside [low, high); a tuple's entries are checked one by one.

    Raises
    ------
    SettingError
        Names the class, the setting, its bounds and its value.

    Examples
    --------
    >>> class Rule: rate = -1.0
    >>> check_ranges(Rule(), rate=POSITIVE)
    Traceback (most recent call last):
    layerloop.errors.SettingError: Rule: rate must be positive and finite, got -1.0
    """
    for name, (low, high) in ranges.items():
        value = getattr(settings, name)
        values = value if isinstance(value, tuple) else (value,)
        if not all(isinstance(v, int | float | np.number) and low <= v < high for v in values):
            raise SettingError(f"{type(settings).__name__}: {name} must be {_words(low, high)}, got {value!r}")


def _words(low: float, high: float) -> str:
    if low == math.ulp(0.0):
        return "positive and finite" if high == math.inf else f"in (0, {high:g})"
    return f"in [{low:g}, {high:g})"
