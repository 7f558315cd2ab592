"""Small pictures that stand in a page: PNG inside the address, so that nothing is loaded."""

from __future__ import annotations

import base64
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

NEGATIVE, POSITIVE = np.array([33.0, 102.0, 172.0]), np.array([178.0, 60.0, 24.0])  # blue and orange, on white


def shown(values: ArrayLike) -> str:
    """Return a picture of bytes, grey (h, w) or in colour (h, w, 3), as the address of a PNG.

    Examples
    --------
    >>> shown([[0, 255]])[:22]
    'data:image/png;base64,'
    """
    return _png(np.asarray(values, np.uint8))


def signed(values: ArrayLike, largest: float) -> str:
    """Return numbers (h, w) as colours: white for 0, blue below and orange above, full at +-largest."""
    t = np.asarray(values, np.float64) / (largest or 1.0)
    share = np.clip(np.abs(t), 0, 1)[..., np.newaxis]
    colour = np.where(t[..., np.newaxis] < 0, NEGATIVE, POSITIVE)
    return _png(np.rint(255 * (1 - share) + colour * share).astype(np.uint8))


def _png(pixels: NDArray[np.uint8]) -> str:
    from PIL import Image

    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
