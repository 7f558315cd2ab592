"""Values as JSON can hold them."""

from __future__ import annotations

import math


def plain(value: object) -> object:
    """Return a value as JSON can hold it: NaN and infinity become null, tuples lists, paths text.

    Examples
    --------
    >>> plain({"loss": float("nan"), "layers": (32, 10)})
    {'loss': None, 'layers': [32, 10]}
    """
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value if value is None or isinstance(value, bool | int | str) else str(value)
