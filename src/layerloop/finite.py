"""Whether all numbers of an array are finite, without a second array as large as the first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def all_finite(x: NDArray[Any]) -> bool:
    """Whether no entry is NaN or infinite.

    A sum that is finite has finite terms, and is formed in one pass; one that is not may be of finite terms that are
    large, which are then looked at themselves.

    Examples
    --------
    >>> import numpy as np
    >>> all_finite(np.array([1.0, -2.0])), all_finite(np.array([1.0, np.nan])), all_finite(np.array([3e38, 3e38], "f4"))
    (True, False, True)
    """
    if x.dtype.kind not in "fc":
        return True
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(np.add.reduce(x, axis=None)) or np.isfinite(x).all())
