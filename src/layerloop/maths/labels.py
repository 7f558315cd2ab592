"""Outputs and a label as a loss takes them: two vectors of one length, and products in which 0 wins.

Letters: z outputs, y the label, both of shape (K,).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from layerloop.maths.heads import as_vector

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from layerloop.maths.activations import Array


def smoothed(y: ArrayLike, smoothing: float) -> Array:
    """Return the label of which a share is spread evenly over all K classes, (1 - s) y + s / K.

    Examples
    --------
    >>> smoothed([1, 0, 0, 0], 0.1)
    array([0.925, 0.025, 0.025, 0.025])
    """
    y = as_vector(y, "y")
    return (1.0 - smoothing) * y + smoothing / y.size


def pair(z: ArrayLike, y: ArrayLike) -> tuple[Array, Array]:
    """Return outputs and label as vectors of one length."""
    z = as_vector(z)
    return z, as_vector(y, "y", z.size)


def times(y: Array, z: Array) -> Array:
    """Return y z with 0 inf = 0; 0 NaN stays NaN."""
    return np.where((y == 0) & ~np.isnan(z), 0.0, y * z)


def absolute(d: Array) -> Array:
    """Return d or -d by the sign of its real part, so that a complex step sees the slope; |NaN| = NaN."""
    return np.where(d.real < 0, -d, d)
